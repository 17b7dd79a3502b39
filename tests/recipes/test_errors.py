"""A mistake of the user's is an exception of its own, so that nothing else is taken for one."""

from __future__ import annotations

import pytest

from recipes.errors import UserError


def test_its_text_is_the_message() -> None:
    assert str(UserError("seed=x: must be an integer")) == "seed=x: must be an integer"


@pytest.mark.parametrize("fault", [ValueError("x"), OSError("x"), KeyError("x")])
def test_faults_of_the_code_are_not_the_users(fault: Exception) -> None:
    assert not isinstance(fault, UserError)
