"""Lowers the rank of matrices in place, such that the error on typical inputs is smallest.

D is the diagonal of the inputs' root mean squares. W' is the matrix of rank r that minimises |(W - W') D|: the
truncated SVD of W D, times D^-1. ASVD (arXiv 2312.05821) scales in the same way, with other powers of the inputs' size.
If input features were uncorrelated, this would minimise the expected error of the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FLOOR = 1e-6
"""relative to the largest scale: avoids division by 0 for an input that is never used"""


def singular_energies(weight: Tensor, scale: Tensor) -> Tensor:
    """The squares of the singular values of W D, largest first, [min(rows, columns)], float64 on the CPU.

    weight: [rows, columns]; scale: the diagonal of D, [columns].
    """
    return torch.linalg.eigvalsh(_gram(weight, scale)).flip(0).clamp(min=0).cpu()


def of_rank(weight: Tensor, scale: Tensor, rank: int) -> Tensor:
    """W' of that rank, in float64 on the device where it was computed; see the module's docstring.

    From the eigenvectors of the smaller Gram matrix: W' = U U^T W with those of W D^2 W^T, or W' = W D V V^T D^-1
    with those of D W^T W D. Up to the rounding of squared singular values this is the truncated SVD, at a fraction of
    its cost.
    """
    vectors = torch.linalg.eigh(_gram(weight, scale)).eigenvectors[:, -rank:]  # [min(rows, columns), rank]
    exact, diagonal = weight.to(vectors), _diagonal(scale).to(vectors)
    if weight.shape[0] <= weight.shape[1]:
        return vectors @ (vectors.T @ exact)
    return (exact * diagonal @ vectors) @ (vectors.T / diagonal)


def lower_ranks(model: nn.Module, ranks: Mapping[str, int], scales: Mapping[str, Tensor]) -> None:
    """Gives each module of `ranks` a weight of that rank, in its present dtype; rounding to it adds its own error.

    scales: for each of these modules, the root mean squares of its inputs, [columns].
    """
    with torch.no_grad():
        for name, rank in ranks.items():
            weight = model.get_submodule(name).get_parameter("weight")
            weight.copy_(of_rank(weight, scales[name], rank))


def _gram(weight: Tensor, scale: Tensor) -> Tensor:
    """(W D) (W D)^T, or (W D)^T (W D) if the matrix has more rows than columns; float64, on a GPU if there is one."""
    device = torch.device("cuda") if torch.cuda.is_available() else weight.device
    exact = weight.detach().to(device, torch.float64)
    scaled = exact * _diagonal(scale).to(exact)  # [rows, columns]
    return scaled @ scaled.T if weight.shape[0] <= weight.shape[1] else scaled.T @ scaled


def _diagonal(scale: Tensor) -> Tensor:
    """D's diagonal, without zeros; if all inputs were always 0, all features weigh the same."""
    largest = float(scale.max())
    return scale.double().clamp(min=FLOOR * largest) if largest > 0 else torch.ones_like(scale, dtype=torch.float64)
