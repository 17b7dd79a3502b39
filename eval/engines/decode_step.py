"""One decoding step of a fixed shape, all of it on the device: feed, attend, choose, note.

The step reads and writes buffers that stay where they are, asks nothing of the host and allocates nothing that outlives
it, so a CUDA graph of it can be replayed (`eval.engines.decode_graphs`); without a graph it is the same function. A
block of steps runs without a look at its tokens: what each row feeds (its queue first, then the tokens it chooses)
lies in the buffers beforehand, and the host reads the chosen tokens afterwards (`eval.engines.block_steps`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward
from eval.protocol import Protocol
from eval.streams import sample_likeliest, sample_tokens

Choose = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(logits [rows, vocabulary], uniform [rows]) to (token ids [rows], whether they are decided [rows])"""


class Size(NamedTuple):
    """The shape of a step: rows that are fed, and columns of the cache that none of them goes beyond."""

    rows: int
    width: int


@dataclass(frozen=True)
class StepBuffers:
    """What a block of steps reads and writes; the first dimension is rows.

    fed [rows, steps]: tokens to feed, -1 where it is the one just chosen; position [rows]: of the block's first step;
    first_choice [rows]: the step whose logits choose a row's first token; answering [rows]: whether the protocol's
    marks are banned; banned [rows, ids]: more that are banned at the first choice, filled up with one of them, where
    `has_banned` [rows]; uniform [rows, steps]; step [1]: of this block, counted by the device; last [rows]: the token
    just chosen; chosen, decided [rows, steps]: what came out.
    """

    fed: torch.Tensor
    position: torch.Tensor
    first_choice: torch.Tensor
    answering: torch.Tensor
    banned: torch.Tensor
    has_banned: torch.Tensor
    uniform: torch.Tensor
    step: torch.Tensor
    last: torch.Tensor
    chosen: torch.Tensor
    decided: torch.Tensor


def make_buffers(rows: int, steps: int, banned: int, device: torch.device) -> StepBuffers:
    """Buffers for at most `rows` rows, `steps` steps a block and `banned` more banned ids."""

    def zeros(*shape: int, dtype: torch.dtype = torch.long) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    return StepBuffers(
        fed=zeros(rows, steps),
        position=zeros(rows),
        first_choice=zeros(rows),
        answering=zeros(rows, dtype=torch.bool),
        banned=zeros(rows, max(1, banned)),
        has_banned=zeros(rows, dtype=torch.bool),
        uniform=zeros(rows, steps, dtype=torch.float64),
        step=zeros(1),
        last=zeros(rows),
        chosen=zeros(rows, steps),
        decided=zeros(rows, steps, dtype=torch.bool),
    )


def choosing(protocol: Protocol) -> tuple[Choose, Choose]:
    """How the device chooses, and the same to the last row, for which the host may have to be asked."""

    def greedy(logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = logits.argmax(dim=-1)
        return tokens, torch.ones_like(tokens, dtype=torch.bool)

    def likeliest(logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return sample_likeliest(logits, uniform, protocol.sampling)

    def all_rows(logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = sample_tokens(logits, uniform, protocol.sampling)
        return tokens, torch.ones_like(tokens, dtype=torch.bool)

    return (greedy, greedy) if protocol.temperature == 0 else (likeliest, all_rows)


class DecodeStep:
    """The step of one model, cache and protocol on its buffers."""

    def __init__(self, forward: SlotForward, cache: SlotCache, protocol: Protocol, steps: int) -> None:
        self.forward, self.cache, self.vocabulary_size = forward, cache, protocol.vocabulary_size
        device = forward.model.device
        fmt = protocol.format
        # what may complete a mark of several tokens is another thing at each step, and banned by the host's word alone
        more = sum(len(mark[-1]) for mark in fmt.banned_marks)
        self.buffers = make_buffers(cache.slots, steps, more, device)
        self.banned_ids = torch.tensor(fmt.banned_ids, dtype=torch.long, device=device)[None]  # [1, ids]
        self.choose, self.choose_exactly = choosing(protocol)

    def run(self, size: Size) -> None:
        """The next step of the block."""
        self._step(size, self.choose)

    def run_exactly(self, size: Size) -> None:
        """The same, with every choice decided."""
        self._step(size, self.choose_exactly)

    def _step(self, size: Size, choose: Choose) -> None:
        of, rows = self.buffers, size.rows
        fed = of.fed[:rows].index_select(1, of.step)[:, 0]  # [rows]
        ids = torch.where(fed < 0, of.last[:rows], fed)
        # A row that has ended runs on until the block does; beyond the cache there is nothing that it could spoil.
        positions = (of.position[:rows] + of.step).clamp(max=size.width - 1)
        logits = self.forward.fixed_step(ids, positions, size.width, self.cache)[:, : self.vocabulary_size].float()
        self._ban(logits, rows)
        tokens, decided = choose(logits, of.uniform[:rows].index_select(1, of.step)[:, 0])
        of.last[:rows].copy_(tokens)
        of.chosen[:rows].index_copy_(1, of.step, tokens[:, None])
        of.decided[:rows].index_copy_(1, of.step, decided[:, None])
        of.step.add_(1)

    def _ban(self, logits: torch.Tensor, rows: int) -> None:
        """Think marks in answers, and at a row's first choice what the host has banned besides."""
        of = self.buffers
        is_first = of.has_banned[:rows] & (of.first_choice[:rows] == of.step)
        for ids, is_banned in ((self.banned_ids.expand(rows, -1), of.answering[:rows]), (of.banned[:rows], is_first)):
            # ids that stand twice in a row are written twice with the same value
            hidden = logits.gather(1, ids).masked_fill(is_banned[:, None], -torch.inf)
            logits.scatter_(1, ids, hidden)
