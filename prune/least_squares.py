"""A linear map by least squares over more tokens than fit into memory: accumulate sums of products, solve once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recipes.errors import UserError


class LeastSquares:
    """Tokens are added batch by batch; memory is two matrices [hidden, hidden], whatever the number of tokens.

    The map T minimises |C T - R|² + ridge · m · |T - 1|². C and R [tokens, hidden] are all added rows, m is the mean of
    the diagonal of CᵀC, and 1 is the identity: directions that the tokens do not show stay unchanged.

    Every row counts relative to the size of its token's state, as the following norm will see it. Otherwise the few
    tokens with massive activations, such as the first one of a text (arXiv 2402.17762), would determine the map alone.

    Everything is float64: CᵀC squares the condition number of C, which would leave no precision in float32.
    """

    def __init__(self, hidden: int, device: torch.device) -> None:
        self.gram = torch.zeros(hidden, hidden, dtype=torch.float64, device=device)  # CᵀC
        self.cross = torch.zeros_like(self.gram)  # CᵀR
        self.wanted, self.tokens = 0.0, 0  # |R|²

    def add(self, given: Tensor, without: Tensor, state: Tensor) -> None:
        """given: C; without: Y; state: L, which Y + C T approximates; each [tokens, hidden]. R is L - Y, and all are
        divided by |L|; a token whose state is zero is left out."""
        size = state.double().norm(dim=1, keepdim=True)  # [tokens, 1]
        some = size[:, 0] != 0
        given, without, state = (each.double()[some] / size[some] for each in (given, without, state))
        wanted = state - without
        self.gram += given.T @ given
        self.cross += given.T @ wanted
        self.wanted += float(wanted.square().sum())
        self.tokens += len(given)

    def solve(self, ridge: float) -> Tensor:
        """T [hidden, hidden], in float64 on the CPU. Raises UserError if it is not determined or not finite."""
        one = torch.eye(len(self.gram), dtype=torch.float64, device=self.gram.device)
        if not math.isfinite(self.wanted + float(self.gram.sum())):
            raise UserError(
                "prune.repair=linear: the calibration's hidden states are not finite; use model.dtype=float32 or check "
                "the weights"
            )
        weight = ridge * float(self.gram.diagonal().mean())
        if weight == 0 and ridge > 0:
            return one.cpu()  # the MLP outputs only zeros: T has no effect
        # Cholesky: the matrix is symmetric and, thanks to the ridge, positive definite
        factor, failed = torch.linalg.cholesky_ex(self.gram + weight * one)
        if int(failed):
            raise UserError(
                f"prune.repair=linear: {self.tokens} tokens do not determine a map of {len(one)} by {len(one)}; give "
                "more calibration_traces"
            )
        return torch.cholesky_solve(self.cross + weight * one, factor).cpu()

    def error(self, linear_map: Tensor) -> float:
        """|Y + C T - L| / |L|, the root of its mean square over all tokens."""
        linear_map = linear_map.to(self.gram)
        # |C T - R|² from the sums only; rounding can make a true 0 slightly negative
        squared = float((linear_map * (self.gram @ linear_map - 2 * self.cross)).sum()) + self.wanted
        return math.sqrt(max(squared, 0.0) / self.tokens) if self.tokens else 0.0
