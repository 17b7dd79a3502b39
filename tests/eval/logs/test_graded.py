"""How other tools say that an answer is right."""

import pytest

from eval.logs.graded import chosen_metric, is_right, problem_name
from recipes.errors import UserError


@pytest.mark.parametrize("right", [True, False])
def test_right_and_wrong(right):
    values = ("C", 1, 1.0, True) if right else ("I", "N", 0, 0.0, False)
    assert [is_right(value, "acc", "x:1") for value in values] == [right] * len(values)


@pytest.mark.parametrize("value", ["P", 0.5, 2, None, [1], {"a": 1}, "c", ""])
def test_anything_between_is_refused(value):
    with pytest.raises(UserError, match="x:1: acc=.* is neither right"):
        is_right(value, "acc", "x:1")


def test_the_first_metric_is_the_default():
    assert chosen_metric(["a", "b"], None, "x") == "a" and chosen_metric(["a", "b"], "b", "x") == "b"


@pytest.mark.parametrize(("known", "metric", "says"), [(["a"], "c", "no metric c; it has a"), ([], None, "has none")])
def test_a_metric_that_is_not_there(known, metric, says):
    with pytest.raises(UserError, match=says):
        chosen_metric(known, metric, "x:1")


def test_problems_of_one_number_differ_by_their_question():
    assert problem_name(1, "2+2?") == problem_name("1", "2+2?") != problem_name(1, "3+3?")
