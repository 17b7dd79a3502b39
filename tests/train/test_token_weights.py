"""What each token weighs: by hand, and measured against whole logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.prepared.by_label import ByLabel
from data_prep.tokens.tokenize import IGNORED, Row
from recipes.loss import DistillLoss
from tests.prune.models import TOKENS, build
from train.token_weights import by_damage, by_entropy, damages, token_weights

ROWS = [Row("a", [5, 6, 7], [IGNORED, 6, 7]), Row("b", TOKENS[0].tolist(), [IGNORED] * 4 + TOKENS[0, 4:].tolist())]


def test_by_damage_in_proportion_with_the_mean_1() -> None:
    assert by_damage(np.array([0.0, 1.0, 3.0, 4.0])).tolist() == [0.0, 0.5, 1.5, 2.0]


def test_a_rounding_below_zero_is_no_damage() -> None:
    assert by_damage(np.array([-1e-9, 2.0])).tolist() == [0.0, pytest.approx(2.0)]


def test_without_any_damage_all_count_the_same() -> None:
    assert by_damage(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_by_entropy_the_largest_gaps_count_alone_and_the_first_of_equal_ones() -> None:
    assert by_entropy(np.array([0.1, 0.9, 0.9, 0.9]), 0.5).tolist() == [0.0, 2.0, 2.0, 0.0]


def test_at_least_one_token_counts() -> None:
    assert by_entropy(np.array([1.0, 2.0, 0.0]), 0.01).tolist() == [0.0, 3.0, 0.0]


def test_a_row_has_the_weights_of_its_own_labels(tmp_path: Path) -> None:
    # columns: divergence, entropy of the pruned model, of the unpruned one
    np.save(tmp_path / "d.npy", np.array([[1, 2.0, 0.5], [3, 1, 1], [0, 0, 1], [4, 5, 0]], np.float32))
    damage = ByLabel(tmp_path / "d.npy", np.array([0, 1, 4]))
    weights = [
        [token_weights(section, damage).of_row(row).tolist() for row in (0, 1)]
        for section in (
            DistillLoss(name="distill", tokens="damage"),
            DistillLoss(name="distill", tokens="entropy", share=0.5),
        )
    ]
    assert weights == [[[0.5], [1.5, 0.0, 2.0]], [[2.0], [0.0, 0.0, 2.0]]]


def test_measures_are_those_of_whole_logits_whatever_the_padding() -> None:
    unpruned, pruned = build("qwen3").eval(), build("qwen3").eval()
    del pruned.model.layers[4:]
    found = dict(damages(unpruned, pruned, ROWS))
    for place, row in enumerate(ROWS):
        wanted = [at - 1 for at, label in enumerate(row.labels) if label != IGNORED]
        taught, own = (
            model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0, wanted].detach().log_softmax(-1)
            for model in (unpruned, pruned)
        )
        columns = [(taught.exp() * (taught - own)).sum(-1), *(-(each.exp() * each).sum(-1) for each in (own, taught))]
        np.testing.assert_allclose(found[place], torch.stack(columns, -1).numpy(), rtol=1e-4, atol=1e-5)
