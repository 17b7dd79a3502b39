"""A loss that is no number or explodes: which traces are named, what is left out, and what is never saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from data_prep.commands.nano import FORMAT
from data_prep.models import load_model, load_tokenizer
from data_prep.prepared.prepare import open_prepared, prepare
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection
from recipes.guard import GuardSection
from recipes.schema import ModelSection
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.train.runs import MODEL, rows, run_here, same, small, untimed, weights
from train.exits import Stopped
from train.feed import examples
from train.guard import Guard, GuardedEngine, leaving_out, sequences
from train.packed_attention import packed_collator

PLAIN = ModelSection(unpruned=str(MODEL), pruned=str(MODEL), dtype="float32")

DIVERGES = (
    "trainer.optim=sgd",
    "trainer.learning_rate=1e30",
    "trainer.max_grad_norm=0",
    "trainer.warmup_steps=0",
    "trainer.lr_scheduler_type=constant",
    "trainer.save_steps=1",
    "sweep.every_steps=1000",
    "export.enabled=false",
)
# every loss above the median of the last two is taken for an explosion: some of the steps are
JUMPY = (
    "guard.on_bad_loss=skip",
    "guard.explode_factor=1.0001",
    "guard.window=2",
    "sweep.every_steps=1000",
    "export.enabled=false",
    "trainer.logging_steps=1",
    "trainer.save_steps=1",
    "trainer.lr_scheduler_type=constant",
    "trainer.warmup_steps=0",
)


def test_the_traces_of_a_padded_batch() -> None:
    batch = {"input_ids": torch.tensor([[5, 6, 0], [7, 8, 9]]), "attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]])}
    assert [ids.tolist() for ids in sequences(batch)] == [[5, 6], [7, 8, 9]]


def test_the_traces_of_a_packed_batch() -> None:
    batch = {"input_ids": torch.tensor([[5, 6, 7, 8, 9]]), "position_ids": torch.tensor([[0, 1, 0, 1, 2]])}
    assert [ids.tolist() for ids in sequences(batch)] == [[5, 6], [7, 8, 9]]


@pytest.mark.parametrize("packed", [False, True])
def test_the_ids_of_a_bad_step_are_those_of_its_traces_without_fillers(packed: bool, tmp_path: Path) -> None:
    section = DataSection.model_validate(
        {"traces": {"source": "nano", "size": 3}, "max_length_tokens": 256, "cache_dir": tmp_path / "cache"}
    )
    model = load_model(str(MODEL), PLAIN)
    tokenizer = load_tokenizer(str(MODEL), PLAIN)
    stored = prepare(section, tokenizer, think_format(FORMAT, tokenizer)).rows
    collate = packed_collator(model, 0) if packed else DataCollatorForLanguageModeling(pad_token_id=0)
    groups = examples([[0, 1], [2]] if packed else [[0], [1], [2]], stored, fillers=1)
    guard = Guard(GuardSection(), stored, RunFolder(tmp_path), ALONE)
    guard.add(collate([groups[i] for i in range(len(groups))]), torch.tensor(float("nan")))
    with pytest.raises(Stopped, match=f"step 5: the loss is nan; traces {', '.join(row.id for row in stored)}\n"):
        guard.judge_loss(5)


class Zero:
    """Steps as DeepSpeed's optimizer of ZeRO does: not where its check finds an overflow."""

    def __init__(self) -> None:
        self.steps, self.overflow = 0, False

    def check_overflow(self) -> bool:
        return False

    def step(self) -> None:
        if not self.check_overflow():
            self.steps += 1


class Plain:
    """An optimizer without such a check."""

    steps = 0

    def step(self) -> None:
        self.steps += 1


@pytest.mark.parametrize("kind", [Zero, Plain])
def test_a_step_is_left_out_within_the_block_alone(kind: type[Zero] | type[Plain]) -> None:
    optimizer = kind()
    before = dict(vars(optimizer))
    with leaving_out(optimizer):
        optimizer.step()
    left_out = optimizer.steps
    assert vars(optimizer).keys() == before.keys()
    optimizer.step()
    assert (left_out, optimizer.steps) == (0, 1)


class Engine:
    """DeepSpeed's engine, as Accelerate's wrapper calls it: what happened, in its order."""

    def __init__(self) -> None:
        self.optimizer, self.said = Zero(), list[str]()

    def set_gradient_accumulation_boundary(self, is_boundary: bool) -> None:
        self.said.append(f"boundary {is_boundary}")

    def backward(self, loss: str, **more: str) -> None:
        self.said.append(f"backward {loss}")

    def step(self) -> None:
        self.optimizer.step()
        self.said.append(f"{self.optimizer.steps} steps")


@pytest.mark.parametrize("bad", [False, True])
def test_the_guard_is_asked_between_the_last_backward_pass_and_the_step(bad: bool) -> None:
    engine, guard = Engine(), SimpleNamespace(leave_out=False)

    def judge() -> None:
        engine.said.append("judged")
        guard.leave_out = bad

    wrapper = GuardedEngine(engine, guard, judge)  # type: ignore[arg-type]
    wrapper.backward("first", sync_gradients=False)
    wrapper.backward("last", sync_gradients=True)
    steps = f"{0 if bad else 1} steps"
    assert engine.said == ["boundary False", "backward first", "boundary True", "backward last", "judged", steps]


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Callable[..., tuple[int, Path]]:
    def run(*overrides: str) -> tuple[int, Path]:
        folder = tmp_path_factory.mktemp("diverged") / "run"
        return run_here(small("full", folder, cache, "zero.stage=0", *DIVERGES, *overrides)), folder

    return run


@pytest.mark.slow
def test_a_run_that_diverges_stops_with_step_traces_and_the_last_good_checkpoint(
    diverged: Callable[..., tuple[int, Path]], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, folder = diverged()
    said = capsys.readouterr().err
    assert code == 1
    whole = sorted(path.parent.name for path in folder.glob("checkpoint-*/COMPLETE"))
    assert f"step {len(whole) + 1}: the " in said
    last = f"the last good checkpoint is {folder / whole[-1]}" if whole else "there is no complete checkpoint yet"
    assert last in said
    data = json.loads((folder / "run.json").read_text())["data"]["hash"]
    known = {
        row.id
        for prepared in (open_prepared(path.parent) for path in (cache / "data").glob("*/rows.arrow"))
        if prepared.hash == data
        for row in prepared.rows
    }
    named = said.split("traces ")[1].splitlines()[0].split(", ")
    assert len(named) == 8
    assert set(named) <= known


@pytest.mark.slow
def test_a_run_that_only_diverges_stops_after_the_most_that_may_be_skipped(
    diverged: Callable[..., tuple[int, Path]],
) -> None:
    code, folder = diverged("guard.on_bad_loss=skip", "guard.most_skipped=2")
    facts = json.loads((folder / "run.json").read_text())
    assert (code, len(facts["skipped_steps"])) == (1, 2)
    assert [row["step"] for row in rows(folder / "skipped.jsonl")] == facts["skipped_steps"]
    assert all(
        bool(torch.isfinite(tensor).all())
        for checkpoint in folder.glob("checkpoint-*")
        if (checkpoint / COMPLETE).is_file()
        for tensor in weights(checkpoint).values()
    )


@pytest.fixture(scope="module")
def jumpy(here: Callable[..., Path]) -> Path:
    return here("full", *JUMPY)


@pytest.mark.slow
def test_a_skipped_step_moves_nothing_and_the_others_all(jumpy: Path) -> None:
    skipped = set(json.loads((jumpy / "run.json").read_text())["skipped_steps"])
    assert 0 < len(skipped) < 6
    moved = {
        step
        for step in range(2, 9)
        if not same(weights(jumpy / f"checkpoint-{step - 1}"), weights(jumpy / f"checkpoint-{step}"))
    }
    assert moved == set(range(2, 9)) - skipped


@pytest.mark.slow
def test_the_record_counts_what_was_skipped(jumpy: Path) -> None:
    skipped = json.loads((jumpy / "run.json").read_text())["skipped_steps"]
    counts = [row.get("skipped_steps", 0) for row in rows(jumpy / "metrics.jsonl")]
    assert counts == [sum(each <= step for each in skipped) for step in range(1, 9)]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])  # where ranks hold parts of the gradients
def test_deepspeed_leaves_out_the_same_steps_on_two_ranks(
    stage: int, jumpy: Path, two_ranks: Callable[..., Path]
) -> None:
    folder = two_ranks("full", f"zero.stage={stage}", *JUMPY)
    assert (
        json.loads((folder / "run.json").read_text())["skipped_steps"]
        == json.loads((jumpy / "run.json").read_text())["skipped_steps"]
    )
    one, two = ([row["loss"] for row in rows(each / "metrics.jsonl")] for each in (jumpy, folder))
    assert two == pytest.approx(one, rel=1e-3)


@pytest.mark.slow
def test_a_resumed_run_skips_the_same_steps(jumpy: Path, tmp_path: Path, cache: Path) -> None:
    whole = json.loads((jumpy / "run.json").read_text())["skipped_steps"]
    resumed = shutil.copytree(jumpy, tmp_path / "run")
    for step in range(whole[0] + 1, 9):
        (resumed / f"checkpoint-{step}" / COMPLETE).unlink()
    assert run_here(small("full", resumed, cache, "zero.stage=0", *JUMPY)) == 0
    assert json.loads((resumed / "run.json").read_text())["skipped_steps"] == whole
    assert untimed(resumed / "metrics.jsonl") == untimed(jumpy / "metrics.jsonl")
    assert rows(resumed / "skipped.jsonl") == rows(jumpy / "skipped.jsonl")
