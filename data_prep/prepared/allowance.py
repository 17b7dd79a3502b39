"""`data.labelled_tokens`: limits a pool of traces to a number of labelled tokens, so that pools can be compared.

A hundred long traces teach more than a hundred short ones, so comparing sets with equally many traces is unfair.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from data_prep.ledger import Ledger
from recipes.errors import UserError

BEYOND = "beyond data.labelled_tokens"


class Allowance:
    """Passes rows on in their order while their labelled tokens fit into `tokens` (None: all).

    The first row that does not fit ends the pool: taking shorter ones after it would bias the pool to short traces.
    """

    def __init__(self, tokens: int | None) -> None:
        self.tokens, self.spent, self.closed = tokens, 0, False

    def within(self, rows: pa.RecordBatch, ledger: Ledger) -> pa.RecordBatch:
        """The first rows of a batch (`SCHEMA`) that fit; the others are lost in `ledger`."""
        if self.tokens is None:
            return rows
        labelled = np.diff(rows["input_ids"].offsets.to_numpy()) - rows["prompt_tokens"].to_numpy()
        spent = self.spent + np.cumsum(labelled)  # [rows] labelled tokens up to and including each row
        fitting = 0 if self.closed else int(np.searchsorted(spent, self.tokens, side="right"))
        self.closed = self.closed or fitting < len(rows)
        self.spent = int(spent[fitting - 1]) if fitting else self.spent
        for name in rows["id"][fitting:].to_pylist():
            ledger.lose(BEYOND, name)
        return rows.slice(0, fitting)

    def check_spent(self) -> None:
        """UserError if the traces have too few labelled tokens."""
        if self.tokens is not None and not self.closed and self.spent < self.tokens:
            raise UserError(
                f"data.labelled_tokens={self.tokens}: the traces have {self.spent} labelled tokens in all; "
                "write a smaller number, or give more traces"
            )
