"""Greedy removal by the loss (Shortened LLaMA, arXiv 2402.02834; SLEB, arXiv 2402.09025).

At each step, every remaining layer (or block of neighbours) is left out once. The one whose absence gives the lowest
mean loss on the calibration traces is removed; the next step measures again without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from data_prep.tokens.tokenize import IGNORED
from prune.families import decoder_layers
from prune.forward import Forward, as_given, check_plain, decoder_output, exchanged, head_logits, measuring
from prune.methods.method import Batches, Choice, Counted, checked_means, least_of_blocks
from recipes.prune import PerplexityPrune
from runtime.progress import counted, progress

CHUNK = 1024
"""tokens whose logits are held at a time: 0.6 GB in float32 with a vocabulary of 150,000"""

Block = tuple[int, ...]


@dataclass(frozen=True)
class Perplexity(Counted):
    section: PerplexityPrune

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        """A layer's score is the first step's loss without it, or without the best block that contains it."""
        total, block = len(decoder_layers(model)), self.section.block
        targets = [TARGETS[self.section.tokens](batch) for batch in batches]
        with measuring(model):
            for batch in batches[:1]:
                check_plain(decoder_layers(model), model, batch)
            before = mean_loss(model, batches, targets)
            steps: list[dict[Block, float]] = []
            removed: list[int] = []
            with progress("layers chosen by the loss", self.count, "layers") as work:
                while len(removed) < self.count:
                    steps.append(losses_without(model, batches, targets, removed, block))
                    removed += _best(steps[-1])
                    work.advance(block)
        return Choice(
            removed=tuple(sorted(removed)),
            scores=least_of_blocks(steps[0], total),
            details={"loss_before": before, "steps": [_told(step) for step in steps]},
        )


def labelled_targets(batch: Mapping[str, Tensor]) -> Tensor:
    """The token after each token if it is labelled, else IGNORED; [rows, longest - 1]."""
    return batch["labels"][:, 1:]


def all_targets(batch: Mapping[str, Tensor]) -> Tensor:
    """The token after each token, IGNORED in the padding; [rows, longest - 1]."""
    return batch["input_ids"][:, 1:].masked_fill(batch["attention_mask"][:, 1:] == 0, IGNORED)


TARGETS: Mapping[str, Callable[[Mapping[str, Tensor]], Tensor]] = {"labelled": labelled_targets, "all": all_targets}
"""by the section's `tokens`"""


def mean_loss(model: PreTrainedModel, batches: Batches, targets: Sequence[Tensor]) -> float:
    """The mean causal loss over all target tokens of all batches, in nats."""
    sums = [_loss_sum(model, batch, wanted) for batch, wanted in zip(batches, targets, strict=True)]
    total = len(decoder_layers(model))
    return checked_means({total: sum(sums)}, _counted(targets), "loss of the whole model, of layers")[total]


def losses_without(
    model: PreTrainedModel, batches: Batches, targets: Sequence[Tensor], removed: Sequence[int], block: int
) -> dict[Block, float]:
    """The mean loss without `removed` and without each block of `block` neighbouring remaining layers."""
    left = [i for i in range(len(decoder_layers(model))) if i not in removed]
    candidates = [tuple(left[i : i + block]) for i in range(len(left) - block + 1)]
    sums = [0.0] * len(candidates)
    pairs, title = list(zip(batches, targets, strict=True)), f"losses without one of {len(candidates)} blocks more"
    for batch, wanted in counted(pairs, title, len(pairs), "batches"):
        without = _Without(model, left)
        for place, candidate in enumerate(candidates):
            with without.block(candidate):
                sums[place] += _loss_sum(model, batch, wanted)
    by_first = {candidate[0]: total for candidate, total in zip(candidates, sums, strict=True)}
    means = checked_means(by_first, _counted(targets), "loss without the blocks that begin at layers")
    return {candidate: means[candidate[0]] for candidate in candidates}


@dataclass
class _Without:
    """Runs one batch without each block in turn, from the first block to the last.

    The layers before a block are the same for every later block, so their hidden states are kept and extended: the run
    without the layers from i on computes layer i once, for later blocks, and then the layers after the block. This
    halves the work, and needs one additional hidden state [rows, longest, hidden].
    """

    model: PreTrainedModel
    left: Sequence[int]
    """the layers that are not removed"""
    entering: Tensor | None = field(default=None, init=False)
    """the hidden states that enter the first layer of the block; None: the embedding's output"""

    def block(self, block: Block) -> Any:
        """In this context, the model runs without `block` and without everything already removed."""
        layers = decoder_layers(self.model)
        computed = [i for i in self.left if i > block[-1]]
        forwards: dict[torch.nn.Module, Forward] = {
            layer: as_given for i, layer in enumerate(layers) if i not in computed
        }
        own = layers[block[0]].forward

        def first(hidden_states: Tensor, *given: Any, **named: Any) -> Tensor:
            entering = hidden_states if self.entering is None else self.entering
            self.entering = own(entering, *given, **named)
            return entering

        return exchanged({**forwards, layers[block[0]]: first})


def _loss_sum(model: PreTrainedModel, batch: Mapping[str, Tensor], targets: Tensor) -> float:
    """The sum of the loss over the target tokens of a batch, each in float32, in nats."""
    output = decoder_output(model, batch)
    wanted = targets.to(output["last_hidden_state"].device)
    counts = wanted != IGNORED
    hidden, tokens = output["last_hidden_state"][:, :-1][counts], wanted[counts]  # [tokens, hidden], [tokens]
    return sum(
        float(cross_entropy(head_logits(model, output, states).float(), ids, reduction="sum"))
        for states, ids in _chunks(hidden, tokens)
    )


def _chunks(hidden: Tensor, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(hidden.split(CHUNK), tokens.split(CHUNK), strict=True) if len(tokens) else iter(())


def _counted(targets: Sequence[Tensor]) -> int:
    return sum(int((each != IGNORED).sum()) for each in targets)


def _best(losses: Mapping[Block, float]) -> Block:
    """The block with the lowest loss; ties go to the earlier one."""
    return min(losses, key=lambda block: (losses[block], block))


def _told(losses: Mapping[Block, float]) -> dict[str, Any]:
    """A step for the plan: what went, the loss after it, and the loss without each candidate, by its first layer."""
    best = _best(losses)
    return {
        "removed": list(best),
        "loss": losses[best],
        "losses": {str(block[0]): loss for block, loss in losses.items()},
    }
