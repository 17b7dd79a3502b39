"""The `run` section."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from recipes.run import RunSection


def test_a_run_resumes_by_itself_with_as_many_ranks() -> None:
    section = RunSection()
    assert (section.resume, section.resume_ranks, section.resume_force) == ("auto", "same", False)


@pytest.mark.parametrize("fields", [{"stall_seconds": 0.5}, {"resume_ranks": "some"}, {"folder": "x"}])
def test_what_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunSection.model_validate(fields)
