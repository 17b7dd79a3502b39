"""Removes the block of layers that changes the hidden state's direction least (The Unreasonable Ineffectiveness of the
Deeper Layers, arXiv 2403.17887; published as PruneMe)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from prune.families import decoder_layers
from prune.forward import decoder_output, measuring
from prune.methods.method import Batches, Choice, Counted, checked_means, least_of_blocks
from recipes.prune import BlockDistancePrune
from runtime.progress import counted

CHUNK = 4096
"""tokens whose hidden states are held in float64 at a time"""


@dataclass(frozen=True)
class BlockDistance(Counted):
    section: BlockDistancePrune

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        """A layer's score is the least distance of any block that contains it; ties remove the earlier block."""
        distances = block_distances(model, batches, self.count, SELECT[self.section.tokens])
        first = min(range(len(distances)), key=lambda i: (distances[i], i))
        blocks = {tuple(range(i, i + self.count)): distance for i, distance in enumerate(distances)}
        return Choice(
            removed=tuple(range(first, first + self.count)),
            scores=least_of_blocks(blocks, len(decoder_layers(model))),
            details={"distances": distances},
        )


def last_tokens(mask: Tensor) -> Tensor:
    """A mask of each trace's last real token, [rows, longest]; the padding is on the right."""
    after = nn.functional.pad(mask[:, 1:], (0, 1))
    return (mask != 0) & (after == 0)


def real_tokens(mask: Tensor) -> Tensor:
    return mask != 0


SELECT: Mapping[str, Callable[[Tensor], Tensor]] = {"last": last_tokens, "all": real_tokens}
"""by the section's `tokens`"""


def block_distances(
    model: PreTrainedModel, batches: Batches, layers: int, select: Callable[[Tensor], Tensor]
) -> list[float]:
    """d_i = E[arccos(cos(x_i, x_{i + layers})) / pi] for every block of `layers` consecutive layers, by its first one.

    x_i is the hidden state that enters layer i (after the last layer: its output, before the final norm). The
    expectation is over the tokens that `select` takes from the attention masks of all batches. In [0, 1]. The model is
    left unchanged. Raises UserError if there is no token, or if a distance is not finite.
    """
    modules = decoder_layers(model)
    meter = _Meter(layers, len(modules), select)
    hooks = [module.register_forward_pre_hook(meter.enter, with_kwargs=True) for module in modules]
    hooks.append(modules[-1].register_forward_hook(meter.leave))
    try:
        with measuring(model):
            for batch in counted(batches, "distances over blocks", len(batches), "batches"):
                meter.start(batch["attention_mask"])
                decoder_output(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    means = checked_means(dict(enumerate(meter.sums)), meter.tokens, "distance over the blocks that begin at layers")
    return list(means.values())


class _Meter:
    """Sums the angle between the states before and after each block, over the tokens of the current batch."""

    def __init__(self, layers: int, total: int, select: Callable[[Tensor], Tensor]) -> None:
        self.select = select
        self.sums, self.tokens = [0.0] * (total - layers + 1), 0
        # states of the chosen tokens, [tokens, hidden], at the entry of the most recent layers: one block's worth
        self.states: deque[Tensor] = deque(maxlen=layers + 1)
        self.place, self.chosen = 0, Tensor()

    def start(self, mask: Tensor) -> None:
        """Starts a batch."""
        self.chosen, self.place = self.select(mask), 0
        self.tokens += int(self.chosen.sum())
        self.states.clear()

    def enter(self, _module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Before a layer."""
        self._take(arguments[0] if arguments else named["hidden_states"])

    def leave(self, _module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
        """After the last layer."""
        self._take(output if isinstance(output, Tensor) else output[0])

    def _take(self, hidden: Tensor) -> None:
        self.states.append(hidden[self.chosen.to(hidden.device)])
        if len(self.states) == self.states.maxlen:
            self.sums[self.place] += _angles(self.states[0], self.states[-1])
            self.place += 1


def _angles(before: Tensor, after: Tensor) -> float:
    """The sum over tokens of the angle between two states, as a share of pi.

    In float64: near a cosine of 1, a rounding error e of the cosine becomes an error of sqrt(e) of the angle.
    """
    total = 0.0
    for a, b in zip(before.split(CHUNK), after.split(CHUNK), strict=True):
        cosine = cosine_similarity(a.double(), b.double().to(a.device), dim=-1)
        total += float(cosine.clamp(-1.0, 1.0).arccos().sum()) / math.pi
    return total
