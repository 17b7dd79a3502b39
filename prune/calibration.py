"""The traces that a pruning method measures on."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from data_prep.prepared.prepare import Prepared, Say, prepare
from data_prep.problem import Suite
from data_prep.tokens.prompts import ThinkFormat
from recipes.data import DataSection


def calibration_set(
    data: DataSection, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat, say: Say, suites: Sequence[Suite]
) -> Prepared:
    """The recipe's traces as a run trains on them, clear of its suites, but without `data.select`.

    The scores that `data.select` reads are losses of the pruned model, so they exist only after the cut. A recipe that
    selects nothing has the same set here and in training: it is made once and found again.
    """
    return prepare(data.changed(select=None), tokenizer, fmt, say, suites)
