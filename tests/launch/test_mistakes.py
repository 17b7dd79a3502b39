"""The user's mistakes through the real entry: exit code 2, a line or two on standard error, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.errors import UserError
from tests.launch.models import with_a_lying_config, without_think_tokens
from tests.train.runs import SCRIPT, launch, ours, plain, run_here, small
from tests.train.starts import completed, completed_ranks


def traces(folder: Path, *lines: str) -> list[str]:
    file = folder / "traces.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return ["data.traces.source=jsonl", f"data.traces.path={file}"]


MISTAKES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "wrong key": (lambda _: ["trainer.learning_rat=1"], "trainer.learning_rate"),
    "budgets out of order": (lambda _: ["sweep.budgets=[32, 16]"], "strictly increasing"),
    "a broken trace": (lambda folder: traces(folder, "{"), "traces.jsonl:1"),
    "longer than the context": (lambda _: ["data.max_length_tokens=600"], "the model's context has 512 tokens"),
    "no such model": (lambda _: ["model.unpruned=/none/such"], "/none/such"),
    "no think tokens": (lambda folder: [f"model.unpruned={without_think_tokens(folder / 'model')}"], "<think>"),
    "a config that lies": (
        lambda folder: [f"model.pruned={with_a_lying_config(folder / 'model')}", "prune=null"],
        "layers",
    ),
    "a run folder under a file": (lambda _: [f"run.dir={Path(__file__) / 'run'}"], "is a file; name another folder"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_code_2_and_a_line(name: str, tmp_path: Path) -> None:
    overrides, word = MISTAKES[name]
    arguments = small("lora", tmp_path / "run", tmp_path / "cache", "zero.stage=0", *overrides(tmp_path))
    done = completed([SCRIPT, *arguments], tmp_path)
    said = ours(done.stderr)
    assert (done.returncode, len(said) in (1, 2)) == (2, True), done.stderr[-1500:]
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_recipe_is_named_with_those_there_are(tmp_path: Path) -> None:
    done = plain(["recipe=none.yaml"], tmp_path)
    assert (done.returncode, "lora_recovery.yaml" in done.stderr, len(ours(done.stderr))) == (2, True, 1)


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("prune.layers=8", "prune"),
        ("model.dtype=bfloat16", "zero.stage=1"),
        ("trainer.save_strategy=no", "export.enabled=false"),
        ("model.attention=flash_attention_2", "sdpa"),
        ("sweep.budgets=[16, 600]", "context has 512"),
        ("sweep.engine={name: server, url: 'http://127.0.0.1:9', model: any}", "use hf or vllm here"),
        ("data.max_length_tokens=9", "all 200 traces are longer"),
    ],
)
def test_what_does_not_go_together_is_refused(
    override: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=word):
        run_here(small("lora", tmp_path / "run", tmp_path / "cache", "zero.stage=0", override))


def test_a_trace_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    given = ("data.traces.source=jsonl", f"data.traces.path={tmp_path / 'none.jsonl'}", "zero.stage=0")
    with pytest.raises(UserError, match=r"none\.jsonl"):
        run_here(small("lora", tmp_path / "run", tmp_path / "cache", *given))


@pytest.mark.slow
@pytest.mark.parametrize("override", ["sweep.budgets=[32, 16]", "sweep.budgets=[16, 600]"], ids=["recipe", "inputs"])
def test_two_ranks_say_it_once_and_end(override: str, tmp_path: Path) -> None:
    done = launch(small("lora", tmp_path / "run", tmp_path / "cache", override), tmp_path, 2)
    assert (done.returncode, len(ours(done.stderr))) == (2, 1), done.stderr[-1500:]
    assert "sweep.budgets" in done.stderr


@pytest.mark.slow
def test_a_mistake_that_only_the_first_rank_sees_ends_all(tmp_path: Path) -> None:
    (tmp_path / "run" / "pruned").mkdir(parents=True)
    (tmp_path / "run" / "pruned" / "mine.txt").write_text("mine")
    done = completed_ranks([SCRIPT, *small("lora", tmp_path / "run", tmp_path / "cache")], tmp_path, 2)
    assert (done.returncode, len(ours(done.stderr))) == (2, 1), done.stderr[-1500:]


@pytest.mark.slow
def test_a_fault_of_the_first_rank_ends_the_others_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{")
    done = completed_ranks([SCRIPT, *small("lora", tmp_path / "run", tmp_path / "cache")], tmp_path, 2)
    assert done.returncode == 1
    assert done.stderr.count("JSONDecodeError: Expecting property name") >= 1, done.stderr
