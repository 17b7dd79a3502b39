"""The solve against numpy.linalg.lstsq, and its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from prune.least_squares import LeastSquares
from recipes.errors import UserError

HIDDEN = 5


def tokens(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """C, Y and L [count, HIDDEN]."""
    generator = torch.Generator().manual_seed(3)
    given, without, state = (torch.randn(count, HIDDEN, generator=generator) for _ in range(3))
    return given, without, state


def fit(count: int, batches: int = 1) -> LeastSquares:
    sums = LeastSquares(HIDDEN, torch.device("cpu"))
    for parts in zip(*(each.chunk(batches) for each in tokens(count)), strict=True):
        sums.add(*parts)
    return sums


def relative(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """C and L - Y, each row as a share of the size of its L."""
    given, without, state = (each.double().numpy() for each in tokens(count))
    size = np.linalg.norm(state, axis=1, keepdims=True)
    return given / size, (state - without) / size


def test_the_map_without_a_ridge_is_that_of_lstsq() -> None:
    expected = np.linalg.lstsq(*relative(40), rcond=None)[0]
    assert np.allclose(fit(40).solve(0.0).numpy(), expected, atol=1e-10)


def test_the_ridge_adds_rows_that_ask_for_the_identity() -> None:
    given, wanted = relative(40)
    root = np.sqrt(0.1 * (given**2).sum() / HIDDEN)
    rows = np.vstack([given, root * np.eye(HIDDEN)]), np.vstack([wanted, root * np.eye(HIDDEN)])
    assert np.allclose(fit(40).solve(0.1).numpy(), np.linalg.lstsq(*rows, rcond=None)[0], atol=1e-10)


def test_batches_do_not_matter() -> None:
    assert torch.allclose(fit(40, batches=4).solve(0.1), fit(40).solve(0.1), atol=1e-12)


def test_the_error_is_the_distance_as_a_share_of_each_state() -> None:
    given, without, state = tokens(40)
    linear_map = torch.randn(HIDDEN, HIDDEN, generator=torch.Generator().manual_seed(4))
    shares = (without + given @ linear_map - state).norm(dim=1) / state.norm(dim=1)
    expected = float(shares.square().mean().sqrt())
    assert fit(40).error(linear_map) == pytest.approx(expected, rel=1e-5)


def test_a_token_with_a_massive_state_does_not_determine_the_map_alone() -> None:
    """Forty tokens follow one map and one token, a thousand times as large, another one in the same directions."""
    given, _, _ = tokens(41)
    maps = torch.full((41, 1, 1), 2.0)
    maps[0], given[0] = -3.0, given[0] * 1000
    sums = LeastSquares(HIDDEN, torch.device("cpu"))
    sums.add(given, torch.zeros_like(given), (given[:, None] @ (maps * torch.eye(HIDDEN)))[:, 0])
    direction = given[0].double() / given[0].double().norm()
    assert float(direction @ sums.solve(1e-6) @ direction) == pytest.approx(2.0, abs=1.0)  # -3 if sizes counted


def test_a_token_without_a_state_is_left_out() -> None:
    given, without, _ = tokens(40)
    sums = fit(40)
    sums.add(given[:3], without[:3], torch.zeros(3, HIDDEN))
    assert (sums.tokens, torch.equal(sums.solve(0.1), fit(40).solve(0.1))) == (40, True)


def test_directions_without_tokens_stay() -> None:
    sums = LeastSquares(2, torch.device("cpu"))
    sums.add(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2), torch.tensor([[3.0, 0.0]]))
    found = sums.solve(1e-9)
    assert torch.allclose(found, torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64), atol=1e-6)


def test_an_mlp_that_gives_nothing_keeps_its_weight() -> None:
    sums = LeastSquares(2, torch.device("cpu"))
    sums.add(torch.zeros(3, 2), torch.ones(3, 2), torch.ones(3, 2))
    assert torch.equal(sums.solve(1e-3), torch.eye(2, dtype=torch.float64))


def test_too_few_tokens_without_a_ridge_are_refused() -> None:
    sums = LeastSquares(2, torch.device("cpu"))
    sums.add(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2), torch.ones(1, 2))
    with pytest.raises(UserError, match=r"1 tokens do not determine a map of 2 by 2.*calibration_traces"):
        sums.solve(0.0)


def test_states_that_are_not_finite_are_refused() -> None:
    sums = LeastSquares(2, torch.device("cpu"))
    sums.add(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([[1.0, float("inf")]]))
    with pytest.raises(UserError, match="not finite"):
        sums.solve(1e-3)
