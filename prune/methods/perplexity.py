"""Greedy removal by the loss (Shortened LLaMA, arXiv 2402.02834; SLEB, arXiv 2402.09025).

At each step every layer that is left (or every block of neighbours) is left out once, and the one without which the
mean loss on the calibration traces is least goes; the next step measures anew, without it.
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
        """The scores are the losses of the first step, of each layer that of the best block that holds it."""
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
    """The token that comes after each token where it is labelled, else IGNORED; [rows, longest - 1]."""
    return batch["labels"][:, 1:]


def all_targets(batch: Mapping[str, Tensor]) -> Tensor:
    """The token that comes after each token, IGNORED in the padding; [rows, longest - 1]."""
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
    """The mean loss without `removed` and without each block of `block` neighbouring layers of those that are left."""
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
    """Runs of one batch without one block after the other, from the first layer to the last.

    What comes before a block is the same for every later one, so its hidden states are kept and only carried on: the
    run without the layers from i on computes layer i once, for those that come later, and what follows the block. That
    halves the work, and holds one hidden state [rows, longest, hidden] beside the one in use.
    """

    model: PreTrainedModel
    left: Sequence[int]
    """the layers that are not removed"""
    entering: Tensor | None = field(default=None, init=False)
    """the hidden states that enter the first layer of the block; None: what the embedding gives"""

    def block(self, block: Block) -> Any:
        """While it is entered, the model runs without `block` and without all that is removed."""
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
    """The block of least loss; of equals the earlier one."""
    return min(losses, key=lambda block: (losses[block], block))


def _told(losses: Mapping[Block, float]) -> dict[str, Any]:
    """A step for the plan: what went, the loss after it, and the loss without each candidate, by its first layer."""
    best = _best(losses)
    return {
        "removed": list(best),
        "loss": losses[best],
        "losses": {str(block[0]): loss for block, loss in losses.items()},
    }
