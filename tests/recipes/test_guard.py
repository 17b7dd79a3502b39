"""Numbers of a sweep by which a run decides."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from recipes.guard import StopOnPlateau, SweepMetric, sweep_metric


def test_a_metric_is_taken_apart_and_written_again() -> None:
    assert sweep_metric("sweep/chain/total_gain") == SweepMetric("chain", "total_gain")
    assert str(SweepMetric("chain", "total_gain")) == "sweep/chain/total_gain"


def test_a_suite_may_have_a_slash_in_its_name() -> None:
    assert sweep_metric("sweep/own/hard/level").suite == "own/hard"


@pytest.mark.parametrize("text", ["chain/gain", "sweep/chain", "sweep/chain/speed", "sweep//gain", ""])
def test_what_is_not_a_metric_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="with one of level, base, gain, total_gain, accuracy, termination as metric"):
        sweep_metric(text)


def test_a_plateau_needs_a_metric() -> None:
    with pytest.raises(ValidationError, match="must be sweep/<suite>/<metric>"):
        StopOnPlateau(on="plateau", metric="loss")
