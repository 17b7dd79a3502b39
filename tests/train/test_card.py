"""The model card of an export, from a run's record and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from runtime.files import write_rows, write_whole
from runtime.run_folder import RunFolder
from train.card import model_card

FACTS: dict[str, Any] = {
    "name": "mine",
    "id": "abc",
    "commit": "f00",
    "recipe": {
        "model": {"unpruned": "big/model"},
        "adapter": {"method": "lora"},
        "data": {"traces": {"source": "hub", "id": "some/traces"}},
        "sweep": {"suites": [{"name": "chain", "source": "hub", "id": "some/problems"}], "answer_tokens": 8},
    },
    "format": {"open": "<think>\n", "close": "\n</think>\n", "cue": "answer:", "stop": "<end>"},
    "prune_plan": {"method": "tail", "layers": 8, "removed": [6, 7]},
    "data": {"traces_kept": 12, "hash": "cafe"},
}


def row(model: str, step: int, budget: int | None, **more: Any) -> dict[str, Any]:
    return {"model": model, "step": step, "suite": "chain", "budget": budget} | more


def accuracy(value: float) -> dict[str, float]:
    return {"accuracy": value, "low": value - 0.1, "high": value + 0.1}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.add_facts(FACTS)
    write_whole(folder.recipe, "seed: 1\n")
    write_rows(
        folder.sweeps,
        [
            row("unpruned", 0, 16, **accuracy(0.8)),
            row("unpruned", 0, None),
            row("pruned", 0, 16, **accuracy(0.2)),
            row("pruned", 0, None),
            row("run", 4, 16, **accuracy(0.5)),
            row("run", 4, None, verdict="PARTIAL", verdict_line="PARTIAL: half is back"),
            row("run", 8, 16, **accuracy(0.7)),
            row("run", 8, None, verdict="RETURNED", verdict_line="RETURNED: all is back"),
        ],
    )
    return folder


def card_of(folder: RunFolder, step: int, out: Path) -> str:
    model_card(folder, folder.checkpoint(step), 1e-5, out)
    return (out / "README.md").read_text()


def test_the_lineage_names_model_cut_adapter_and_data(folder: RunFolder, tmp_path: Path) -> None:
    card = card_of(folder, 8, tmp_path / "out")
    for line in (
        "- unpruned: `big/model`",
        "layers [6, 7] of 8 removed",
        "- data: 12 traces, hash `cafe`, from `some/traces`",
        "- licence: `big/model`: unknown; `some/traces`: unknown",
    ):
        assert line in card


def test_a_model_without_a_plan_was_pruned_outside_chainmend(folder: RunFolder, tmp_path: Path) -> None:
    folder.add_facts({"prune_plan": None})
    assert "- pruning: done outside chainmend (no plan recorded)" in card_of(folder, 8, tmp_path / "out").splitlines()


def test_the_lineage_names_the_second_world(folder: RunFolder, tmp_path: Path) -> None:
    folder.add_facts({"recipe": FACTS["recipe"] | {"data": {"traces": {"source": "ways"}}}})
    assert "from the second embedded world" in card_of(folder, 8, tmp_path / "out")


@pytest.mark.parametrize(("step", "verdict"), [(8, "RETURNED: all is back"), (4, "PARTIAL: half is back")])
def test_the_verdict_is_that_of_the_exported_step(step: int, verdict: str, folder: RunFolder, tmp_path: Path) -> None:
    assert verdict in card_of(folder, step, tmp_path / "out").splitlines()


def test_a_checkpoint_between_sweeps_shows_the_sweep_before(folder: RunFolder, tmp_path: Path) -> None:
    assert "| step 4 |" in card_of(folder, 6, tmp_path / "out")


def test_what_must_be_said_of_the_figures_stands_under_the_curve(folder: RunFolder, tmp_path: Path) -> None:
    model_card(folder, folder.checkpoint(8), 1e-5, tmp_path / "out", "Best of 2 sweeps, uncorrected.")
    lines = (tmp_path / "out/README.md").read_text().splitlines()
    assert (
        lines.index("RETURNED: all is back") < lines.index("Best of 2 sweeps, uncorrected.") < lines.index("## Recipe")
    )


def test_a_confirmed_checkpoint_has_its_confirmed_curve_first(folder: RunFolder, tmp_path: Path) -> None:
    confirmed = [
        row(model, step, budget, suite="chain-confirm", **more)
        for model, step, value in (("unpruned", 0, 0.8), ("pruned", 0, 0.2), ("run", 8, 0.6))
        for budget, more in ((16, accuracy(value) | {"problems": 40}), (None, {"verdict_line": "PARTIAL: once"}))
    ]
    model_card(folder, folder.checkpoint(8), 1e-5, tmp_path / "out", "said above", confirmed)
    lines = (tmp_path / "out/README.md").read_text().splitlines()
    wanted = [
        "Confirmed: on 40 problems that no sweep of the run saw, measured once.",
        "| step 8 | 0.60 [.50, .70] |",
        "PARTIAL: once",
        "Sweeps during training:",
        "RETURNED: all is back",
    ]
    assert [line for line in lines if line in wanted] == wanted and "said above" not in lines


def test_without_sweeps_it_says_so(folder: RunFolder, tmp_path: Path) -> None:
    folder.sweeps.unlink()
    assert "not measured" in card_of(folder, 8, tmp_path / "out").splitlines()


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("RETURNED", "are shown to have returned"),
        ("UNDECIDED", "do not decide"),
        ("NOT RETURNED", "is shown not to have returned"),
        (None, "was not tested"),
    ],
)
def test_the_first_sentence_follows_the_word(
    word: str | None, sentence: str, folder: RunFolder, tmp_path: Path
) -> None:
    write_rows(folder.sweeps, [row("run", 8, 16, **accuracy(0.7)), row("run", 8, None, verdict=word)])
    head = card_of(folder, 8, tmp_path / "out").split("## Lineage")[0]
    assert sentence in head and "recovered" not in head


def test_the_hub_reads_origin_and_figures(folder: RunFolder, tmp_path: Path) -> None:
    card_of(folder, 8, tmp_path / "out")
    data = ModelCard.load(tmp_path / "out/README.md").data
    assert (data.base_model, data.base_model_relation, data.datasets) == ("big/model", "finetune", ["some/traces"])
    assert (data.pipeline_tag, data.library_name) == ("text-generation", "transformers")
    assert [(each.dataset_type, each.dataset_name, each.metric_value) for each in data.eval_results] == [
        ("some/problems", "chain", 0.7)
    ]


def test_figures_that_need_a_note_are_not_in_the_metadata(folder: RunFolder, tmp_path: Path) -> None:
    model_card(folder, folder.checkpoint(8), 1e-5, tmp_path / "out", "Best of 2 sweeps, uncorrected.")
    assert ModelCard.load(tmp_path / "out/README.md").data.eval_results is None


def test_no_path_of_this_machine_is_in_the_card(folder: RunFolder, tmp_path: Path) -> None:
    model = tmp_path / "home" / "mine"
    model.mkdir(parents=True)
    recipe = {"model": {"unpruned": str(model), "pruned": str(model)}, "run": {"dir": str(tmp_path)}}
    folder.add_facts({"recipe": FACTS["recipe"] | recipe})
    write_whole(folder.recipe, yaml.safe_dump(recipe))
    card = card_of(folder, 8, tmp_path / "out")
    assert str(tmp_path) not in card and "- unpruned: a local folder, `mine`" in card
    assert ModelCard.load(tmp_path / "out/README.md").data.base_model is None


def test_the_code_that_bounds_thinking_compiles(folder: RunFolder, tmp_path: Path) -> None:
    code = card_of(folder, 8, tmp_path / "out").split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert 'name, budget = "mine", 16' in code


def test_backticks_in_a_recipe_do_not_end_its_block(folder: RunFolder, tmp_path: Path) -> None:
    write_whole(folder.recipe, "instruction: |\n  ```\n  <script>\n  ````\n")
    card = card_of(folder, 8, tmp_path / "out")
    block = card.split("## Recipe\n\n")[1]
    assert block.startswith("`````yaml\n") and block.rstrip().endswith("\n`````") and block.count("`````") == 2
