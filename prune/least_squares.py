"""A linear map by least squares over more tokens than fit into memory: sums of products, then one solve."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recipes.errors import UserError


class LeastSquares:
    """Tokens are added batch by batch; memory is two matrices [hidden, hidden], however many there are.

    The map T minimises |C T - R|² + ridge · m · |T - 1|², C and R [tokens, hidden] being all that was added, m the mean
    of the diagonal of CᵀC and 1 the identity: where the tokens say nothing, what was there stays.

    All in float64: CᵀC squares the condition of C, of which float32 would leave nothing.
    """

    def __init__(self, hidden: int, device: torch.device) -> None:
        self.gram = torch.zeros(hidden, hidden, dtype=torch.float64, device=device)  # CᵀC
        self.cross = torch.zeros_like(self.gram)  # CᵀR
        self.wanted, self.states, self.tokens = 0.0, 0.0, 0  # |R|², |L|²

    def add(self, given: Tensor, without: Tensor, state: Tensor) -> None:
        """given: C; without: Y; state: L, to which Y + C T is brought near; each [tokens, hidden]. R is L - Y."""
        given, without, state = given.double(), without.double(), state.double()
        wanted = state - without
        self.gram += given.T @ given
        self.cross += given.T @ wanted
        self.wanted += float(wanted.square().sum())
        self.states += float(state.square().sum())
        self.tokens += len(given)

    def solve(self, ridge: float) -> Tensor:
        """T [hidden, hidden], in float64 and in main memory. UserError where it is not determined or not finite."""
        one = torch.eye(len(self.gram), dtype=torch.float64, device=self.gram.device)
        if not math.isfinite(self.wanted + self.states + float(self.gram.sum())):
            raise UserError(
                "prune.repair=linear: states of the calibration are not finite; use model.dtype=float32 or check the "
                "weights"
            )
        weight = ridge * float(self.gram.diagonal().mean())
        if weight == 0 and ridge > 0:
            return one.cpu()  # the MLP gives nothing at all: whatever T is, nothing changes
        # Cholesky, since the matrix is symmetric and, by the ridge, positive definite
        factor, failed = torch.linalg.cholesky_ex(self.gram + weight * one)
        if int(failed):
            raise UserError(
                f"prune.repair=linear: {self.tokens} tokens do not determine a map of {len(one)} by {len(one)}; give "
                "more calibration_traces"
            )
        return torch.cholesky_solve(self.cross + weight * one, factor).cpu()

    def error(self, linear_map: Tensor) -> float:
        """|Y + C T - L| as a share of |L|, over all tokens."""
        linear_map = linear_map.to(self.gram)
        # |C T - R|² from the sums alone; rounding can bring what is 0 a little below it
        squared = float((linear_map * (self.gram @ linear_map - 2 * self.cross)).sum()) + self.wanted
        return math.sqrt(max(squared, 0.0) / self.states) if self.states else 0.0
