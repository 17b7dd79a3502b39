"""Which channels go, and how many: against direct computations, by hand and by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from transformers import LlamaConfig

from prune.methods.width import Width, channel_budget, channel_energies, strongest, target_width, widths_by_layer
from recipes.errors import UserError
from recipes.prune import WidthPrune
from tests.prune.models import LAYERS, SHAPE, TOKENS, build

BATCH = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}


def section(**values: object) -> WidthPrune:
    return WidthPrune.model_validate({"method": "width", "multiple": 8, **values})


@pytest.mark.parametrize("family", ["qwen3", "llama", "gemma"])
def test_energy_is_what_a_channel_adds_to_the_residual_stream(family: str) -> None:
    """The mean square of the difference that switching one channel off makes to its MLP's output."""
    model, outputs = build(family), []
    mlp = model.model.layers[3].mlp
    energies = channel_energies(model, [BATCH])[3]
    hook = mlp.register_forward_hook(lambda _module, inputs, output: outputs.append((inputs[0], output)))
    with torch.no_grad():
        model(TOKENS, use_cache=False)
        hook.remove()
        inputs, whole = outputs[0]
        mlp.down_proj.weight[:, 7] = 0
        lost = (whole - mlp(inputs)).double().square().sum(dim=-1).mean()
    assert energies[7] == pytest.approx(float(lost), rel=1e-3)


def test_the_strongest_stay_in_rising_order_and_of_equals_the_earlier_one() -> None:
    assert strongest(np.array([1.0, 5.0, 1.0, 9.0]), 3) == (0, 1, 3)


@pytest.mark.parametrize(
    ("values", "width"),
    [({"width": 16}, 16), ({"share": 0.85}, 16), ({"share": 0.7}, 16), ({"share": 0.85, "multiple": 4}, 20)],
)
def test_a_share_is_rounded_down_to_the_multiple(values: dict[str, float], width: int) -> None:
    assert target_width(section(**values), 24) == width


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 24}, "prune.width=24: the model has 24 channels in each MLP, and between 1 and 23 can stay"),
        (
            {"share": 0.2},
            r"prune.share=0.2 with prune.multiple=8 gives 0 channels: .* in multiples of prune.multiple=8",
        ),
    ],
)
def test_a_width_that_takes_nothing_or_leaves_nothing_is_refused_from_the_config(
    values: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Width(section(**values)).check_config(LlamaConfig(**SHAPE))


def test_a_uniform_choice_keeps_the_strongest_of_each_layer() -> None:
    model = build("llama")
    choice = Width(section(width=8)).choose(model, [BATCH])
    energies = channel_energies(model, [BATCH])
    assert choice.channels is not None and choice.channels.widths == (8,) * LAYERS
    assert choice.channels.kept[2] == tuple(sorted(int(i) for i in np.argsort(-energies[2])[:8]))
    kept = np.sort(energies[2])[::-1][:8].sum() / energies[2].sum()
    assert (choice.removed, choice.scores[2]) == ((), pytest.approx(float(kept)))


@pytest.mark.parametrize(("values", "budget"), [({"width": 16}, 96), ({"share": 0.7}, 100)])
def test_by_layer_a_share_is_of_all_channels_together(values: dict[str, float], budget: int) -> None:
    """0.7 of 6 times 24"""
    assert channel_budget(section(**values), full=24, layers=6) == budget


def test_widths_by_layer_are_the_best_within_the_budget() -> None:
    random = np.random.default_rng(0)
    energies = [random.exponential(size=24) ** power for power in (1, 3, 6)]

    def kept(widths: tuple[int, ...]) -> float:
        return sum(np.sort(own)[::-1][:width].sum() / own.sum() for own, width in zip(energies, widths, strict=True))

    allowed = [widths for widths in product((8, 16, 24), repeat=3) if sum(widths) <= 48]
    assert tuple(widths_by_layer(energies, 48, 8)) == max(allowed, key=kept)


def test_a_choice_by_layer_keeps_no_more_channels_than_the_uniform_one() -> None:
    choice = Width(section(width=16, widths="by_layer")).choose(build("qwen3"), [BATCH])
    assert choice.channels is not None and sum(choice.channels.widths) <= 16 * LAYERS
    assert all(width % 8 == 0 for width in choice.channels.widths)


def test_a_layer_without_any_energy_loses_nothing_whatever_its_width() -> None:
    model = build("llama")
    torch.nn.init.zeros_(model.model.layers[2].mlp.down_proj.weight)
    assert Width(section(width=8)).choose(model, [BATCH]).scores[2] == 1.0
