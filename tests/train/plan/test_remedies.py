"""Changes that make a run fit: their order, and how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.errors import UserError
from recipes.loader import load
from tests.train.plan.setups import CPU, THOUSAND
from train.plan.memory import MemoryEstimate, Moment
from train.plan.remedies import Remedy, changes, remedies

RECIPE = load(["recipe=lora_recovery.yaml", "trainer.per_device_train_batch_size=1", "model.dtype=bfloat16"])


@dataclass(frozen=True)
class Savings:
    """A run of 100 bytes from which every key takes so many; a key without an entry is refused."""

    bytes_by_key: dict[str, int]
    limit: int

    def memory_with(self, keys: Sequence[str]) -> MemoryEstimate:
        if any(key not in self.bytes_by_key for key in keys):
            raise UserError("refused")
        moment = Moment("loss", {"all": 100 - sum(self.bytes_by_key[key] for key in keys)})
        return MemoryEstimate(THOUSAND, CPU, (moment,), {})

    def fits(self, memory: MemoryEstimate) -> bool:
        return memory.peak.total <= self.limit


def test_changes_begin_with_what_leaves_the_training_as_it_is() -> None:
    recipe = load(["recipe=full_recovery.yaml", "data.traces.size=200", "trainer.gradient_checkpointing=false"])
    assert [keys[0] for keys in changes(recipe, "sweep")][:4] == [
        "sweep.engine.memory_gb=2",
        "trainer.per_device_train_batch_size=1",
        "trainer.gradient_checkpointing=true",
        "zero.stage=3",
    ]


def test_a_smaller_micro_batch_keeps_the_global_batch() -> None:
    keys = ("trainer.per_device_train_batch_size=6", "trainer.gradient_accumulation_steps=2")
    recipe = load(["recipe=full_recovery.yaml", *keys])
    assert ("trainer.per_device_train_batch_size=1", "trainer.gradient_accumulation_steps=12") in changes(
        recipe, "loss"
    )


def test_where_one_change_suffices_none_are_put_together() -> None:
    retry = Savings({"zero.stage=3": 30, "data.max_length_tokens=128": 60}, limit=50)
    assert remedies(RECIPE, "loss", retry) == (
        Remedy(("zero.stage=3",), 70, False),
        Remedy(("data.max_length_tokens=128",), 40, True),
    )


def test_where_none_suffices_they_are_put_together_until_all_fits() -> None:
    retry = Savings({"zero.stage=3": 30, "data.max_length_tokens=128": 40}, limit=50)
    assert remedies(RECIPE, "loss", retry)[-1] == Remedy(("zero.stage=3", "data.max_length_tokens=128"), 30, True)


def test_what_the_recipe_refuses_is_left_out() -> None:
    assert remedies(RECIPE, "loss", Savings({}, limit=50)) == ()
