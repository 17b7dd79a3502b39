"""The order of training traces: each once per epoch, for any number of ranks, determined by the recipe's seed alone.

A separate generator draws the order, so dropout and sweeps do not affect it. All ranks share it: a global batch has the
same examples for any number of ranks and any accumulation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from accelerate.data_loader import SeedableRandomSampler
from datasets import Dataset
from torch.utils.data import Sampler
from trl import SFTConfig, SFTTrainer


def fillers(sequences: int, arguments: SFTConfig) -> int:
    """Number of unlabelled examples that fill the last micro batches of an epoch on all ranks.

    Without them, ranks with too few examples would be given the first ones of the epoch a second time. A single rank
    accepts a short batch.
    """
    ranks, shuffled = arguments.world_size, arguments.train_sampling_strategy == "random"
    if ranks == 1 or not shuffled or arguments.dataloader_drop_last:
        return 0
    return -sequences % (arguments.per_device_train_batch_size * ranks)


class WholeEpochs(Sampler[int]):
    """All `sequences` examples in a new order every epoch, followed by the fillers."""

    def __init__(self, sequences: int, fillers: int, seed: int) -> None:
        self.sequences, self.fillers = sequences, fillers
        self.order = SeedableRandomSampler(range(sequences), data_seed=seed)

    def __len__(self) -> int:
        return self.sequences + self.fillers

    def __iter__(self) -> Iterator[int]:
        yield from self.order  # a new permutation for each epoch, the same on every rank
        yield from range(self.sequences, len(self))

    def set_epoch(self, epoch: int) -> None:
        self.order.set_epoch(epoch)


class EpochTrainer(SFTTrainer):
    """TRL's trainer with `filling` fillers, which `train_dataset` has after its own examples."""

    filling = 0

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> torch.utils.data.Sampler[int] | None:
        if not self.filling:
            plain: torch.utils.data.Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return plain
        return WholeEpochs(len(self.train_dataset) - self.filling, self.filling, self.args.data_seed)
