"""A run that was interrupted and goes on gives what an uninterrupted one gives, and goes on only as it began."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.train.conftest import cut_back
from tests.train.runs import opened, rows, run_here, same, small, untimed, weights

PAIRS = [("full_zero2", "full_zero2_resumed"), ("lora_zero3", "lora_zero3_resumed")]


@pytest.fixture(params=PAIRS, ids=["zero2-full", "zero3-lora"])
def pair(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The folder of an uninterrupted run, and that of the same run resumed from step 4 of 8."""
    whole, resumed = (request.getfixturevalue(name) for name in request.param)
    return whole, resumed


@pytest.mark.slow
def test_losses_and_learning_rates_are_the_same_bits(pair: tuple[Path, Path]) -> None:
    whole, resumed = (untimed(folder / "metrics.jsonl") for folder in pair)
    assert resumed == whole


@pytest.mark.slow
def test_weights_are_the_same_bits(pair: tuple[Path, Path]) -> None:
    whole, resumed = (weights(folder / "checkpoint-8") for folder in pair)
    assert same(whole, resumed)


@pytest.mark.slow
def test_sweeps_are_the_same(pair: tuple[Path, Path]) -> None:
    whole, resumed = (untimed(folder / "sweeps.jsonl") for folder in pair)
    assert resumed == whole


@pytest.mark.slow
def test_no_step_is_recorded_twice(pair: tuple[Path, Path]) -> None:
    assert [row["step"] for row in rows(pair[1] / "metrics.jsonl")] == [2, 4, 6, 8]


@pytest.mark.slow
def test_the_run_keeps_its_id(pair: tuple[Path, Path]) -> None:
    whole, resumed = (json.loads((folder / "run.json").read_text())["id"] for folder in pair)
    assert resumed == whole


@pytest.fixture
def cut(lora: Path, tmp_path: Path) -> Path:
    """The LoRA run of one process as it was after step 4; checkpoint-8 is there without its mark."""
    return cut_back(lora, tmp_path / "run", 4)


def arguments(folder: Path, cache: Path, *overrides: str) -> list[str]:
    return small("lora", folder, cache, "zero.stage=0", *overrides)


def refusal(given: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        run_here(given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.slow
def test_an_incomplete_checkpoint_is_ignored(cut: Path, cache: Path, lora: Path) -> None:
    assert run_here(arguments(cut, cache)) == 0
    assert untimed(cut / "metrics.jsonl") == untimed(lora / "metrics.jsonl")


def test_a_run_that_is_through_trains_no_further(lora: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copytree(lora, tmp_path / "run")
    assert run_here(arguments(tmp_path / "run", cache)) == 0
    assert untimed(tmp_path / "run" / "metrics.jsonl") == untimed(lora / "metrics.jsonl")


@pytest.mark.slow
def test_a_row_never_spans_a_resume(here: Callable[..., Path], cache: Path, tmp_path: Path) -> None:
    whole = here("lora", "trainer.logging_steps=3", "sweep.every_steps=1000")
    resumed = cut_back(whole, tmp_path / "run", 4)
    run_here(arguments(resumed, cache, "trainer.logging_steps=3", "sweep.every_steps=1000"))
    assert untimed(resumed / "metrics.jsonl") == untimed(whole / "metrics.jsonl")


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("trainer.learning_rate=1e-4", "trainer.learning_rate (0.005 before, 0.0001 now)"),
        ("zero.stage=2", "zero.stage (0 before, 2 now)"),
        ("adapter.r=8", "adapter.r (16 before, 8 now)"),
        ("seed=5", "seed (1 before, 5 now)"),
    ],
)
def test_another_recipe_is_refused_by_its_keys(override: str, named: str, cut: Path, cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        opened(arguments(cut, cache, override))
    assert named in str(caught.value)


def test_another_number_of_ranks_is_refused(cut: Path, cache: Path) -> None:
    with pytest.raises(UserError, match=r"ranks \(1 before, 2 now\), allowed by run\.resume_ranks=any"):
        opened(arguments(cut, cache), replace(ALONE, count=2))


def test_another_number_of_ranks_is_let_through_where_it_is_asked_for(cut: Path, cache: Path) -> None:
    folder = RunFolder(cut)
    for ranks in (2, 3):  # the number with which it began is kept
        assert opened(arguments(cut, cache, "run.resume_ranks=any"), replace(ALONE, count=ranks)) is not None
        assert (folder.facts()["ranks"], folder.facts()["ranks_begun"]) == (ranks, 1)


def test_never_refuses_a_folder_with_a_run(cut: Path, cache: Path) -> None:
    assert "run.resume=auto" in refusal(arguments(cut, cache, "run.resume=never"))


def test_a_path_that_is_no_complete_checkpoint_is_refused(cut: Path, cache: Path) -> None:
    assert "no complete checkpoint" in refusal(arguments(cut, cache, f"run.resume={cut / 'checkpoint-8'}"))


def test_a_checkpoint_of_another_recipe_is_refused(cut: Path, cache: Path, tmp_path: Path) -> None:
    given = arguments(tmp_path / "new", cache, f"run.resume={cut / 'checkpoint-4'}", "adapter.r=8")
    assert "adapter.r" in refusal(given)


@pytest.mark.slow
def test_a_path_goes_on_in_a_new_folder(cut: Path, cache: Path, tmp_path: Path, lora: Path) -> None:
    assert run_here(arguments(tmp_path / "new", cache, f"run.resume={cut / 'checkpoint-4'}")) == 0
    assert same(weights(tmp_path / "new" / "checkpoint-8"), weights(lora / "checkpoint-8"))


def test_going_back_unmarks_later_checkpoints(lora: Path, cache: Path, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(lora, tmp_path / "run"))
    opened(arguments(folder.path, cache, f"run.resume={folder.path / 'checkpoint-4'}"))
    assert [path.name for path in folder.complete_checkpoints()] == ["checkpoint-4"]


def test_other_pruned_weights_are_refused(cut: Path, cache: Path) -> None:
    from safetensors.torch import save_file

    spoiled = {name: 1.5 * tensor for name, tensor in weights(cut / "pruned").items()}
    save_file(spoiled, cut / "pruned" / "model.safetensors", {"format": "pt"})
    assert "pruned_fingerprint" in refusal(arguments(cut, cache))


@pytest.mark.slow
def test_traces_that_changed_in_their_file_are_refused(here: Callable[..., Path], cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    row = {"question": "calc +3 4 ?", "thinking": "", "answer": "answer 7"}
    file.write_text(json.dumps(row) + "\n")
    data = (
        "data.traces.source=jsonl",
        f"data.traces.path={file}",
        "trainer.max_steps=2",
        "trainer.save_steps=1",
        "trainer.per_device_train_batch_size=1",
        "sweep.every_steps=1000",
    )
    folder = here("lora", *data, "export.enabled=false")
    file.write_text(json.dumps({**row, "question": "calc +3 5 ?", "answer": "answer 8"}) + "\n")
    assert "data.hash" in refusal(arguments(folder, cache, *data))


def spoil(file: Path) -> None:
    """Flips one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.fixture
def copied(lora: Path, tmp_path: Path) -> Path:
    return shutil.copytree(lora, tmp_path / "run")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (spoil, "adapter_model.safetensors has other bytes than were saved"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "adapter_model.safetensors has "),
        (Path.unlink, "adapter_model.safetensors is missing"),
    ],
    ids=["flipped", "cut", "missing"],
)
def test_a_damaged_checkpoint_is_refused_by_the_file_and_the_way_on(
    harm: Callable[[Path], object], said: str, copied: Path, cache: Path
) -> None:
    harm(copied / "checkpoint-8" / "adapter_model.safetensors")
    before = (copied / "run.json").read_text()
    with pytest.raises(UserError) as caught:
        opened(arguments(copied, cache))
    assert said in str(caught.value)
    assert f"run.resume={copied / 'checkpoint-4'} resumes from the previous one" in str(caught.value)
    assert (copied / "run.json").read_text() == before


def test_the_way_on_leads_on(copied: Path, cache: Path) -> None:
    spoil(copied / "checkpoint-8" / "adapter_model.safetensors")
    assert opened(arguments(copied, cache, f"run.resume={copied / 'checkpoint-4'}")) == copied / "checkpoint-4"


def test_a_damaged_mark_is_refused(copied: Path, cache: Path) -> None:
    spoil(copied / "checkpoint-8" / COMPLETE)
    with pytest.raises(UserError, match=f"{COMPLETE} is damaged"):
        opened(arguments(copied, cache))


def test_the_mark_of_an_earlier_version_is_taken_and_that_is_said(
    copied: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "checkpoint-8" / COMPLETE).write_text("8\n")
    assert opened(arguments(copied, cache)) == copied / "checkpoint-8"
    assert "not verified" in capsys.readouterr().out


def test_what_is_forced_is_recorded(copied: Path, cache: Path) -> None:
    opened(arguments(copied, cache, "trainer.learning_rate=1e-4", "run.resume_force=true"))
    last = json.loads((copied / "run.json").read_text())["starts"][-1]
    assert (last["from_step"], last["forced"]) == (8, ["trainer.learning_rate (0.005 before, 0.0001 now)"])


@pytest.mark.parametrize(("override", "named"), [("zero.stage=2", "zero.stage"), ("adapter.r=8", "adapter.r")])
def test_what_a_checkpoint_is_made_for_is_never_forced(override: str, named: str, copied: Path, cache: Path) -> None:
    with pytest.raises(UserError, match=f"{named} .* cannot change it"):
        opened(arguments(copied, cache, override, "run.resume_force=true"))


def test_another_number_of_ranks_is_never_forced(copied: Path, cache: Path) -> None:
    given = arguments(copied, cache, "run.resume_force=true")
    with pytest.raises(UserError, match=r"ranks \(1 before, 2 now\).* cannot change it"):
        opened(given, replace(ALONE, count=2))


def test_a_sweep_of_a_damaged_checkpoint_is_refused(copied: Path) -> None:
    from eval.checkpoint import find_checkpoint

    spoil(copied / "checkpoint-8" / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"is damaged: adapter_model\.safetensors has other bytes"):
        find_checkpoint(str(copied / "checkpoint-8"))


def test_an_export_of_a_damaged_checkpoint_is_refused(copied: Path, tmp_path: Path) -> None:
    from recipes.schema import ExportSection
    from train.export import export_run

    spoil(copied / "checkpoint-8" / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"is damaged: adapter_model\.safetensors has other bytes"):
        export_run(RunFolder(copied), tmp_path / "out", ExportSection())
