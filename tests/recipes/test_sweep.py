"""The sweep section: where suites by likelihood can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.loader import load_recipe

Refusal = Callable[..., str]
CHOICES = "{source: named, name: mmlu, method: likelihood}"
PLAIN = "{source: nano, name: chain, family: chain, size: 4}"
CANNOT_DECIDE = (
    "sweep: suite mmlu is scored by likelihood and has no budgets, so it cannot decide the verdict; "
    "name another as verdict.suite, or put another last"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep.suites.0.name=KNOWLEDGE"], "sweep: suite names must differ in more than case, since each names a"),
        (
            ["sweep.suites.0.name=knowledge-confirm", "sweep.confirm.problems=2"],
            "sweep: a suite is called knowledge-confirm, as the problems of sweep.confirm are; rename it",
        ),
    ],
)
def test_suites_that_would_share_a_folder_are_refused(refusal: Refusal, arguments: list[str], message: str) -> None:
    assert refusal(*arguments).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([f"sweep.suites=[{PLAIN}, {CHOICES}]"], CANNOT_DECIDE),
        ([f"sweep.suites=[{CHOICES}, {PLAIN}]", "sweep.verdict.suite=mmlu"], CANNOT_DECIDE),
        (
            [f"sweep.suites=[{CHOICES}, {PLAIN}]", "sweep.engine={name: server, url: x, model: m}"],
            "sweep: engine.name=server gives no likelihoods, and suite mmlu is scored by them; "
            "use engine.name=hf or method=generate",
        ),
        (
            ["sweep.suites=[{source: named, name: aime24, method: likelihood}]"],
            "sweep.suites.0: method=likelihood: aime24 has no choices; write method=generate",
        ),
    ],
)
def test_likelihood_where_it_cannot_be(refusal: Refusal, arguments: list[str], message: str) -> None:
    assert refusal(*arguments) == message


def test_choices_by_likelihood_stand_beside_a_suite_that_decides(small: Path) -> None:
    suites = load_recipe([f"recipe={small}", f"sweep.suites=[{CHOICES}, {PLAIN}]"]).recipe.sweep.suites
    assert [suite.name for suite in suites] == ["mmlu", "chain"]
