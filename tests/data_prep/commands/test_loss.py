"""The loss of a model on traces, against one that is worked out token by token."""

from __future__ import annotations

import pytest

from data_prep.commands.loss import trace_losses
from data_prep.nano_world import nano_traces
from data_prep.tokens.tokenize import label_trace
from tests.data_prep.losses_by_hand import loss_by_hand
from tests.eval.worlds import nano, nano_format, nano_tokenizer

TRACES = nano_traces({"knowledge": 1, "chain": 2}, 6, 3)


ROWS = [label_trace(trace, nano_tokenizer(), nano_format()) for trace in TRACES]


@pytest.mark.parametrize("batch_tokens", [1, 100, 10_000])
def test_the_loss_is_the_mean_cross_entropy_of_the_labelled_tokens(batch_tokens: int) -> None:
    found = dict(trace_losses(nano(), ROWS, batch_tokens))
    assert found == {i: pytest.approx(loss_by_hand(row), abs=1e-5) for i, row in enumerate(ROWS)}


def test_the_longest_rows_go_first_and_every_row_once() -> None:
    places = [place for place, _ in trace_losses(nano(), ROWS, 1)]
    lengths = [len(ROWS[place].input_ids) for place in places]
    assert (sorted(places), lengths) == (list(range(len(ROWS))), sorted(lengths, reverse=True))
