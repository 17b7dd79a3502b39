"""One decoding step of a fixed shape, entirely on the device: feed, attend, choose, record.

The step reads and writes buffers at fixed addresses, does not synchronise with the host, and allocates nothing that
outlives it. So a CUDA graph of it can be replayed (`eval.engines.decode_graphs`); without a graph it is the same
function. A block of steps runs without looking at its tokens: the buffers already contain what each row feeds (its
queue first, then the tokens it chooses), and the host reads the chosen tokens afterwards (`eval.engines.block_steps`).
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
    """The shape of a step: the number of rows fed, and of cache columns that none of them exceeds."""

    rows: int
    width: int


@dataclass(frozen=True)
class StepBuffers:
    """The inputs and outputs of a block of steps; the first dimension is rows.

    fed [rows, steps]: tokens to feed, -1 for the token just chosen; position [rows]: of the block's first step;
    first_choice [rows]: the step whose logits choose a row's first token; answering [rows]: whether the protocol's
    marks are banned; banned [rows, ids]: further ids banned at the first choice, padded by repeating one of them, valid
    if `has_banned` [rows]; uniform [rows, steps]; step [1]: index in this block, counted by the device; last [rows]:
    the token just chosen; chosen, decided [rows, steps]: the results.
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
    """Buffers for at most `rows` rows, `steps` steps per block and `banned` further banned ids."""

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
    """The device's way to choose tokens, and one that decides every row, for which the host may be needed."""

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
        # tokens that may complete a mark of several tokens differ at each step; only the host can ban these
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
        # A row that has ended runs on until the block ends; writes beyond the cache's valid columns are harmless.
        positions = (of.position[:rows] + of.step).clamp(max=size.width - 1)
        logits = self.forward.fixed_step(ids, positions, size.width, self.cache)[:, : self.vocabulary_size].float()
        self._ban(logits, rows)
        tokens, decided = choose(logits, of.uniform[:rows].index_select(1, of.step)[:, 0])
        of.last[:rows].copy_(tokens)
        of.chosen[:rows].index_copy_(1, of.step, tokens[:, None])
        of.decided[:rows].index_copy_(1, of.step, decided[:, None])
        of.step.add_(1)

    def _ban(self, logits: torch.Tensor, rows: int) -> None:
        """Bans thinking tags in answers, and at a row's first choice what the host has banned in addition."""
        of = self.buffers
        is_first = of.has_banned[:rows] & (of.first_choice[:rows] == of.step)
        for ids, is_banned in ((self.banned_ids.expand(rows, -1), of.answering[:rows]), (of.banned[:rows], is_first)):
            # ids that occur twice in a row are written twice with the same value
            hidden = logits.gather(1, ids).masked_fill(is_banned[:, None], -torch.inf)
            logits.scatter_(1, ids, hidden)
