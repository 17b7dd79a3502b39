"""The walk of LaCo worked out by hand, and its cosines against models that are really merged."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from prune.methods.laco import LaCo
from prune.methods.method import Choice
from prune.plan import PrunePlan
from prune.surgery import apply_plan
from recipes.errors import UserError
from recipes.prune import LaCoPrune
from tests.prune.models import FAMILIES, IDLE, LAYERS, TOKENS, build
from tests.runtime.test_progress import every_line

LENGTHS = (11, 7)
ANYTHING = -1.0
"""a threshold that every merge passes"""


def batch() -> dict[str, torch.Tensor]:
    mask = (torch.arange(TOKENS.shape[1]) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_ids": TOKENS * mask, "attention_mask": mask}


def laco(**keys: Any) -> LaCo:
    return LaCo(LaCoPrune(method="laco", **keys))


def choose(model: PreTrainedModel, **keys: Any) -> Choice:
    return laco(**keys).choose(model, [batch()])


def with_idle_layer() -> PreTrainedModel:
    """A model whose layer IDLE adds nothing: merged with the next one by the equation, it is that one."""
    model = build("llama")
    for part in (model.model.layers[IDLE].self_attn.o_proj, model.model.layers[IDLE].mlp.down_proj):
        torch.nn.init.zeros_(part.weight)
    return model


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        # from the top, two down after each merge: layers 4 and 2 (then 0, which is below the lowest)
        ({"layers_merged": 2, "interval": 2}, ((4, 5), (2, 3))),
        # one down: 4 took 5 in and goes into 3, and so on; of 6, 5, 4, 3 layers the last two are merged
        ({"layers_merged": 2, "interval": 1}, ((4, 5), (3, 4), (2, 3), (1, 2))),
        # the lowest may be merged into too
        ({"layers_merged": 2, "interval": 2, "lowest": 0}, ((4, 5), (2, 3), (0, 1))),
        # the highest layer that is merged is 4
        ({"layers_merged": 2, "interval": 2, "highest": 4}, ((3, 4), (1, 2))),
        # four layers are left after the first merge: the next group of three begins at 1, not at 3 - 1 = 2
        ({"layers_merged": 3, "interval": 1}, ((3, 4, 5), (1, 2, 3))),
        # two layers go with the first group, so the second is of two layers alone
        ({"layers_merged": 3, "interval": 1, "layers": 3}, ((3, 4, 5), (1, 2))),
        ({"layers_merged": 4, "layers": 1}, ((2, 3),)),
    ],
    ids=["two down", "one down", "to the lowest", "from below the top", "of three", "as many as asked", "one layer"],
)
def test_the_walk_is_that_worked_out_by_hand(keys: dict[str, Any], groups: tuple[tuple[int, ...], ...]) -> None:
    choice = choose(build("llama"), threshold=ANYTHING, **keys)
    assert choice.merged == groups
    assert choice.removed == tuple(sorted(i for group in groups for i in group[1:]))


def test_a_merge_below_the_threshold_is_refused_and_the_walk_goes_one_down() -> None:
    choice = choose(with_idle_layer(), layers_merged=2, threshold=0.9999, layers=1)
    tried = [(attempt["group"], attempt["accepted"]) for attempt in choice.details["attempts"]]
    assert tried == [([4, 5], False), ([3, 4], False), ([IDLE, IDLE + 1], True)]


def test_a_layer_that_adds_nothing_is_merged_without_a_trace() -> None:
    choice = choose(with_idle_layer(), layers_merged=2, threshold=0.9999, layers=1)
    assert choice.details["attempts"][-1]["cosine"] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_cosines_are_those_of_models_that_are_really_merged(family: str) -> None:
    model = build(family)
    choice = choose(model, layers_merged=2, interval=1, threshold=ANYTHING)
    for merges, attempt in enumerate(choice.details["attempts"], start=1):
        groups = choice.merged[:merges]
        removed = tuple(i for group in groups for i in group[1:])
        merged = apply_plan(deepcopy(model), PrunePlan(method="laco", layers=LAYERS, removed=removed, merged=groups))
        cosines = []
        for row, length in zip(TOKENS, LENGTHS, strict=True):
            with torch.no_grad():
                a, b = (m.model(row[None, :length]).last_hidden_state.flatten().double() for m in (model, merged))
            cosines.append(float(cosine_similarity(a, b, dim=0)))
        assert attempt["cosine"] == pytest.approx(sum(cosines) / 2, abs=1e-5)


def test_fewer_layers_than_asked_for_is_refused_with_what_the_threshold_reached() -> None:
    with pytest.raises(UserError, match=r"LaCo could remove 1 of the 2 layers.*cosine of 0\.\d+.*prune.layers=1"):
        choose(with_idle_layer(), layers_merged=2, threshold=0.9999, layers=2)


def test_a_threshold_that_allows_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"prune.threshold=0.9999: LaCo could remove no layer.*lower prune.threshold"):
        choose(build("llama"), layers_merged=2, threshold=0.9999)


def test_bounds_that_leave_no_room_for_what_was_asked_are_named() -> None:
    with pytest.raises(UserError, match="2 of the 4 layers.*widen prune.lowest"):
        choose(build("llama"), layers_merged=2, threshold=ANYTHING, layers=4)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"layers": 6}, "6 of 6 layers would be removed"),
        ({"highest": 6}, r"prune.highest=6: the model has layers 0 to 5"),
        ({"layers_merged": 6}, "too few layers from 1 to 5"),
        ({"layers_merged": 3, "lowest": 2, "highest": 3}, "too few layers from 2 to 3"),
    ],
)
def test_bounds_outside_the_model_are_refused_without_weights(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        laco(**keys).check(LAYERS)


def test_without_a_number_of_layers_one_merge_is_counted() -> None:
    assert (laco(layers_merged=4).count, laco(layers=2).count) == (3, 2)


def test_the_walk_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    every_line(monkeypatch)
    choose(build("llama"), layers_merged=2, interval=2, threshold=ANYTHING)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("merges tried: ")]
    # from layer 4 down to 1 there are four places; each merge goes two further
    assert [line.split(": ")[1].split(",")[0] for line in lines if "tokens/s" in line][-1] == "4 of 4 places (100%)"
