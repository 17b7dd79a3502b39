"""Matrices of lower rank against torch's SVD."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prune.low_rank import lower_ranks, of_rank, singular_energies
from tests.prune.models import build


def matrix(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return weight, torch.rand(columns, generator=generator, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (8, 8)])
def test_it_is_the_truncated_svd_of_the_scaled_matrix(shape: tuple[int, int]) -> None:
    weight, scale = matrix(*shape)
    u, s, vh = torch.linalg.svd(weight * scale, full_matrices=False)
    expected = (u[:, :3] * s[:3]) @ vh[:3] / scale
    assert torch.allclose(of_rank(weight, scale, 3).cpu(), expected, atol=1e-10)


@pytest.mark.parametrize("shape", [(6, 10), (10, 6)])
def test_energies_are_squared_singular_values_of_the_scaled_matrix(shape: tuple[int, int]) -> None:
    weight, scale = matrix(*shape)
    assert torch.allclose(singular_energies(weight, scale), torch.linalg.svdvals(weight * scale) ** 2)


def test_the_energy_that_is_not_kept_is_the_weighed_error() -> None:
    weight, scale = matrix(6, 10)
    lost = ((weight - of_rank(weight, scale, 4).cpu()) * scale).square().sum()
    assert float(lost) == pytest.approx(float(singular_energies(weight, scale)[4:].sum()))


@pytest.mark.parametrize("scale", [torch.tensor([1.0, 0, 2, 0, 1, 1]), torch.zeros(6)])
def test_inputs_that_are_never_used_do_no_harm(scale: Tensor) -> None:
    weight, _ = matrix(10, 6)
    lowered = of_rank(weight, scale, 3)
    assert bool(torch.isfinite(lowered).all()) and int(torch.linalg.matrix_rank(lowered, rtol=1e-6)) == 3


def test_only_the_named_matrices_change_and_keep_their_dtype() -> None:
    model, name = build("llama").bfloat16(), "model.layers.1.mlp.up_proj"
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    lower_ranks(model, {name: 4}, {name: torch.ones(16)})
    changed = [key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])]
    assert (changed, model.get_submodule(name).weight.dtype) == ([f"{name}.weight"], torch.bfloat16)
