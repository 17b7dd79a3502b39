"""Shards are disjoint and cover the set, and global batches are the same whatever the ranks, dropout and the sweeps."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from data_prep.models import load_model
from recipes.loader import load
from tests.train.runs import small, trainer_of
from train.arguments import make_arguments
from train.order import WholeEpochs, fillers


def shards(traces: int, micro: int, ranks: int, epoch: int = 0) -> list[list[list[int]]]:
    """The micro batches of each rank, as accelerate cuts them; fillers are taken out."""
    filling = -traces % (micro * ranks) if ranks > 1 else 0
    found = []
    for rank in range(ranks):
        sampler = WholeEpochs(traces, filling, seed=5)
        sampler.set_epoch(epoch)
        whole = BatchSampler(sampler, micro, drop_last=False)
        cut = BatchSamplerShard(whole, ranks, rank) if ranks > 1 else whole
        found.append([[index for index in batch if index < traces] for batch in cut])
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("traces", [24, 25, 13, 5])
def test_shards_are_disjoint_and_cover_the_set(traces: int, ranks: int) -> None:
    seen = [index for shard in shards(traces, 2, ranks) for batch in shard for index in batch]
    assert sorted(seen) == list(range(traces))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("traces", [24, 25, 13, 5])
def test_every_rank_has_as_many_batches(traces: int, ranks: int) -> None:
    assert len({len(shard) for shard in shards(traces, 2, ranks)}) == 1


@pytest.mark.parametrize("traces", [24, 25, 13, 5])
def test_one_rank_that_accumulates_sees_the_global_batches_of_two(traces: int) -> None:
    (alone,), (first, second) = shards(traces, 4, 1), shards(traces, 4, 2)
    accumulated = [sorted(chain(*alone[step : step + 2])) for step in range(0, len(alone), 2)]
    assert accumulated == [sorted(one + two) for one, two in zip(first, second, strict=True)]


def test_every_epoch_has_an_order_of_its_own() -> None:
    assert shards(24, 2, 2, epoch=0) != shards(24, 2, 2, epoch=1)


def order_of(tmp_path: Path, *overrides: str) -> list[list[int]]:
    """The token ids of an epoch's micro batches, from the real trainer's loader."""
    recipe = load(
        small(
            "lora",
            tmp_path,
            tmp_path / "cache",
            "zero.stage=0",
            "data.traces.size=21",
            "trainer.per_device_train_batch_size=4",
            *overrides,
        )
    )
    trainer = trainer_of(recipe, tmp_path, load_model(recipe.model.unpruned, recipe.model))
    return [batch["input_ids"].flatten().tolist() for batch in trainer.get_train_dataloader()]


def test_neither_dropout_nor_sweeps_change_the_order(tmp_path: Path) -> None:
    plain = order_of(tmp_path)
    assert (
        order_of(
            tmp_path,
            "adapter.dropout=0.3",
            "sweep.every_steps=1",
            "sweep.temperature=0.7",
            "sweep.seed=9",
            "sweep.samples=2",
            "adapter.r=4",
        )
        == plain
    )


def test_another_seed_changes_the_order(tmp_path: Path) -> None:
    assert order_of(tmp_path, "seed=2") != order_of(tmp_path)


def test_the_order_of_one_rank_is_that_of_two(tmp_path: Path) -> None:
    """The trainer of one rank leaves the order to transformers and accelerate; that of several draws the same."""
    recipe = load(
        small(
            "lora",
            tmp_path,
            tmp_path / "cache",
            "zero.stage=0",
            "data.traces.size=21",
            "trainer.per_device_train_batch_size=4",
        )
    )
    trainer = trainer_of(recipe, tmp_path, load_model(recipe.model.unpruned, recipe.model))
    drawn = [index for batch in trainer.get_train_dataloader().batch_sampler for index in batch]
    ours = WholeEpochs(21, 3, seed=recipe.seed)
    assert (drawn, [21, 22, 23]) == (list(ours)[:21], list(WholeEpochs(21, 3, seed=recipe.seed))[21:])


@pytest.mark.parametrize(("overrides", "count"), [((), 0), (("trainer.dataloader_drop_last=true",), 0)])
def test_one_rank_alone_needs_no_fillers(overrides: tuple[str, ...], count: int, tmp_path: Path) -> None:
    recipe = load(small("lora", tmp_path, tmp_path, "zero.stage=0", *overrides))
    assert fillers(21, make_arguments(recipe, tmp_path)) == count
