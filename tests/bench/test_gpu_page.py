"""The page of a GPU's figures, from rows made by hand."""

from __future__ import annotations

import pytest

from recipes.paths import ROOT
from tests.bench.gpu_page import BEGIN, END, TestsSeen, is_met, number, section, with_measured
from tests.bench.gpu_rows import Row, not_measured, row

FACTS = {"card": "1 × NVIDIA H100, 80 GiB", "commit": "abc"}
SEEN = TestsSeen(
    passed=1234, failed=("tests/a.py::test_b",), skipped={"needs 2 GPUs": 80, "needs a hub": 2}, seconds=99
)


def lines(rows: list[Row], tests: TestsSeen = SEEN) -> list[str]:
    return section(FACTS, rows, tests).splitlines()


def test_a_figure_stands_beside_its_target_and_its_rival() -> None:
    made = row("training 0.6B full", 28_569.4, "tokens/s", "at least 28,000", 9025.0)
    assert "| training 0.6B full | 28,569 tokens/s | at least 28,000 | yes | 9,025 tokens/s | 3.17 |" in lines([made])


def test_a_figure_without_target_and_rival_has_empty_cells() -> None:
    assert "| a step | 12 ms |  |  |  |  |" in lines([row("a step", 12.0, "ms")])


def test_what_was_not_measured_says_why_below() -> None:
    shown = lines([not_measured("plan of 8B", "no time\nwas left | for it")])
    assert "| plan of 8B | not measured |  | | | |" in shown
    assert "- plan of 8B: no time was left / for it" in shown


def test_facts_come_first_and_tests_with_every_reason() -> None:
    shown = lines([])
    assert shown[2] == "| card | 1 × NVIDIA H100, 80 GiB |"
    assert "Tests: 1,234 passed, 1 failed, 82 skipped, in 99 s." in shown
    assert {"- failed: `tests/a.py::test_b`", "- skipped, 80: needs 2 GPUs"} <= set(shown)


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (28_000.0, "at least 28,000", True),
        (27_999.0, "at least 28,000", False),
        (1.21, "at most 1.2", False),
        (1.05, "0.9 … 1.1", True),
        (0.85, "0.9 … 1.1", False),
        (3.0, 2, True),
        (3.0, None, None),
        (None, "at least 1", None),
    ],
)
def test_a_target_is_met_or_not(value: float | None, target: str | int | None, met: bool | None) -> None:
    assert is_met({"name": "", "value": value, "target": target}) is met


@pytest.mark.parametrize(("value", "text"), [(28_569.4, "28,569"), (12.345, "12.3"), (0.8512, "0.851"), (100.0, "100")])
def test_numbers_have_three_digits_that_say_something(value: float, text: str) -> None:
    assert number(value) == text


def test_the_rest_of_the_page_stays() -> None:
    page = f"# Title\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert with_measured(page, "new\n") == f"# Title\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
    assert with_measured(with_measured(page, "x"), "new\n") == with_measured(page, "new\n")


def test_a_page_without_its_marks_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="the marks"):
        with_measured("# Title\n", "new")


def test_the_shipped_page_has_its_marks() -> None:
    assert "new" in with_measured((ROOT / "docs" / "gpu.md").read_text(), "new")


@pytest.mark.parametrize(
    ("tests", "good"),
    [
        (TestsSeen(passed=3), True),
        (TestsSeen(passed=3, failed=("a",)), False),
        (TestsSeen(passed=3, problem="not through after 9 s"), False),
        (TestsSeen(), False),
    ],
)
def test_only_tests_that_all_passed_are_good(tests: TestsSeen, good: bool) -> None:
    assert tests.good is good
