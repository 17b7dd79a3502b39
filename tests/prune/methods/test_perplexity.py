"""The greedy choice against models that are really cut, whose loss is written out here."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from transformers import PreTrainedModel

from data_prep.tokens.tokenize import IGNORED
from prune.methods import perplexity
from prune.methods.perplexity import Perplexity, all_targets, labelled_targets, losses_without, mean_loss
from prune.plan import PrunePlan
from prune.surgery import apply_plan
from recipes.errors import UserError
from recipes.prune import PerplexityPrune
from tests.prune.models import FAMILIES, IDLE, LAYERS, TOKENS, build
from tests.runtime.test_progress import every_line

PADDED = 3
"""tokens of the second row of the second batch that are padding"""


def batches() -> list[dict[str, torch.Tensor]]:
    """Two batches; the prompts are 4 tokens long, the second row of the second batch ends early."""
    first = {"input_ids": TOKENS[:1], "attention_mask": torch.ones_like(TOKENS[:1]), "labels": TOKENS[:1].clone()}
    second = {"input_ids": TOKENS.clone(), "attention_mask": torch.ones_like(TOKENS), "labels": TOKENS.clone()}
    second["input_ids"][1, -PADDED:], second["attention_mask"][1, -PADDED:] = 0, 0
    second["labels"][1, -PADDED:] = IGNORED
    for batch in (first, second):
        batch["labels"][:, :4] = IGNORED
    return [first, second]


def direct_loss(model: PreTrainedModel, removed: Sequence[int] = (), tokens: str = "labelled") -> float:
    """The mean loss of the model that is cut, row by row without padding, in float64."""
    cut = (
        apply_plan(deepcopy(model), PrunePlan(method="h", layers=LAYERS, removed=tuple(removed))) if removed else model
    )
    losses: list[float] = []
    for row, end in ((TOKENS[0], 11), (TOKENS[0], 11), (TOKENS[1], 11 - PADDED)):
        with torch.no_grad():
            logs = cut(row[None, :end]).logits[0].double().log_softmax(-1)
        first = 4 if tokens == "labelled" else 1
        losses += [-float(logs[place - 1, row[place]]) for place in range(first, end)]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_without_each_layer_is_that_of_the_model_that_is_cut(family: str) -> None:
    model = build(family)
    targets = [labelled_targets(batch) for batch in batches()]
    with torch.no_grad():
        losses = losses_without(model, batches(), targets, removed=[2], block=1)
    expected = {(i,): direct_loss(model, [2, i]) for i in range(LAYERS) if i != 2}
    assert losses == pytest.approx(expected, rel=1e-5)


def test_blocks_are_neighbours_among_the_layers_that_are_left() -> None:
    model = build("qwen3")
    targets = [labelled_targets(batch) for batch in batches()]
    with torch.no_grad():
        losses = losses_without(model, batches(), targets, removed=[1, 4], block=2)
    assert losses == pytest.approx(
        {(a, b): direct_loss(model, [1, 4, a, b]) for a, b in ((0, 2), (2, 3), (3, 5))}, 1e-5
    )


@pytest.mark.parametrize(("tokens", "targets"), [("labelled", labelled_targets), ("all", all_targets)])
def test_loss_of_the_whole_model_is_over_the_tokens_that_are_named(tokens: str, targets: object) -> None:
    model, wanted = build("llama"), [perplexity.TARGETS[tokens](batch) for batch in batches()]
    with torch.no_grad():
        assert mean_loss(model, batches(), wanted) == pytest.approx(direct_loss(model, (), tokens), rel=1e-5)


def test_each_step_takes_the_layer_without_which_the_loss_is_least_and_measures_anew() -> None:
    model, left, removed = build("gemma2"), list(range(LAYERS)), []
    for _ in range(2):
        best = min(left, key=lambda i: direct_loss(model, [*removed, i]))
        removed.append(best)
        left.remove(best)
    choice = Perplexity(PerplexityPrune(method="perplexity", layers=2)).choose(model, batches())
    assert [step["removed"] for step in choice.details["steps"]] == [[i] for i in removed]
    assert choice.removed == tuple(sorted(removed))


def test_the_plan_gets_the_losses() -> None:
    model = build("qwen3")
    choice = Perplexity(PerplexityPrune(method="perplexity", layers=4, block=2)).choose(model, batches())
    first, second = choice.details["steps"]
    blocks = [direct_loss(model, [i, i + 1]) for i in range(LAYERS - 1)]
    assert choice.details["loss_before"] == pytest.approx(direct_loss(model), rel=1e-5)
    assert list(first["losses"].values()) == pytest.approx(blocks, rel=1e-5)
    assert second["loss"] == pytest.approx(direct_loss(model, choice.removed), rel=1e-5)
    # of a layer the loss of the better one of its two blocks; the first and the last are in one only
    best = [blocks[0], *(min(a, b) for a, b in pairwise(blocks)), blocks[-1]]
    assert choice.scores == pytest.approx(best, rel=1e-5)


def test_a_layer_that_adds_nothing_goes_first() -> None:
    model = build("llama")
    for part in (model.model.layers[IDLE].self_attn.o_proj, model.model.layers[IDLE].mlp.down_proj):
        torch.nn.init.zeros_(part.weight)
    targets = [labelled_targets(batch) for batch in batches()]
    with torch.no_grad():
        losses = losses_without(model, batches(), targets, removed=[], block=1)
        assert losses[IDLE,] == pytest.approx(mean_loss(model, batches(), targets), abs=1e-6)


def test_logits_are_taken_in_pieces_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, targets = build("qwen3"), [labelled_targets(batch) for batch in batches()]
    with torch.no_grad():
        whole = mean_loss(model, batches(), targets)
        monkeypatch.setattr(perplexity, "CHUNK", 3)
        assert mean_loss(model, batches(), targets) == pytest.approx(whole, rel=1e-6)


def test_traces_without_a_labelled_token_are_refused() -> None:
    empty = [{**batch, "labels": torch.full_like(batch["labels"], IGNORED)} for batch in batches()]
    with pytest.raises(UserError, match="no calibration tokens"):
        Perplexity(PerplexityPrune(method="perplexity", layers=1)).choose(build("qwen3"), empty)


def test_broken_weights_are_named() -> None:
    model = build("llama")
    torch.nn.init.constant_(model.model.layers[3].mlp.down_proj.weight, float("nan"))
    with pytest.raises(UserError, match="loss of the whole model.*is not finite"):
        Perplexity(PerplexityPrune(method="perplexity", layers=1)).choose(model, batches())


@pytest.mark.parametrize("count", [6, 8])
def test_removing_everything_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} of 6 layers"):
        Perplexity(PerplexityPrune(method="perplexity", layers=count)).check(LAYERS)


def test_layers_and_batches_are_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    every_line(monkeypatch)
    Perplexity(PerplexityPrune(method="perplexity", layers=2)).choose(build("llama"), batches())
    said = capsys.readouterr().err
    assert "layers chosen by the loss: 2 of 2 layers (100%)" in said
    assert f"losses without one of {LAYERS} blocks more: 2 of 2 batches (100%)" in said
