"""The table of cuts, worked out by hand, and its place in a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prune.repaired import Repair
from recipes.errors import UserError
from tests.train.cuts.cut_rows import CUTS, rows
from train.cuts.table import BEGIN, END, check_page, comeback, markdown, with_table
from train.cuts.trained import Trained

PAGE = f"before\n{BEGIN}\n\nold\n{END}\nafter\n"


def test_a_line_for_each_model() -> None:
    assert markdown(CUTS, "chain").splitlines() == [
        "| method | layers | without | facts at 8 | chain at 4 | 8 | gain per doubling |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| unpruned | 0 | - | 1.00 [.90, 1.0] | 0.50 [.40, .60] | 0.90 [.80, 1.0] | +0.40 [+.00, +.20] |",
        "| tail | 1 | 5 | 0.90 [.80, 1.0] | 0.50 [.40, .60] | 0.60 [.50, .70] | +0.10 [+.00, +.20] |",
        "| laco, T 0.7 | 2 | 3, 4 into 2 | 0.80 [.70, .90] | 0.30 [.20, .40] | 0.30 [.20, .40] | +0.00 [+.00, +.20] |",
    ]


def test_what_came_back_is_told_with_its_cost() -> None:
    """.95 has an interval that begins at .85: .8 reaches to .9 and is not told apart, .7 reaches to .8 and is."""
    _, tail, laco = CUTS
    trained = [
        replace(tail, trained=Trained(20, rows(1.0, (0.5, 0.95)), tokens=4000, seconds=10)),
        replace(tail, method="shortgpt", trained=Trained(20, rows(1.0, (0.5, 0.8)), tokens=4000, seconds=11)),
        replace(tail, method="perplexity", trained=Trained(20, rows(1.0, (0.5, 0.7)), tokens=4000, seconds=12)),
        replace(laco, trained=Trained(20, rows(1.0, (0.5, 0.5)), tokens=4000, seconds=13)),
    ]
    assert comeback(trained, "chain").splitlines() == [
        "",
        "| method | layers | chain after 20 steps | gain per doubling | tokens | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
        "| tail | 1 | 0.95 [.85, 1.0] | +0.45 [+.00, +.20] | 4,000 | 10 |",
        "| shortgpt | 1 | 0.80 [.70, .90] | +0.30 [+.00, +.20] | 4,000 | 11 |",
        "| perplexity | 1 | 0.70 [.60, .80] | +0.20 [+.00, +.20] | 4,000 | 12 |",
        "| laco, T 0.7 | 2 | 0.50 [.40, .60] | +0.00 [+.00, +.20] | 4,000 | 13 |",
        "",
        "- 1 layer: tail recovers most, not distinguishable from shortgpt",
        "- 2 layers: laco, T 0.7 recovers most",
        "- cost: 16,000 tokens and 46 seconds in all",
    ]


def test_without_a_training_nothing_came_back() -> None:
    assert comeback(CUTS, "chain") == ""


def test_the_table_takes_the_place_of_the_old_one() -> None:
    assert with_table(PAGE, "new\n") == PAGE.replace("old\n", "new\n\n")


@pytest.mark.parametrize("text", ["no marks", f"{END} {BEGIN}"])
def test_a_page_without_the_marks_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(UserError, match="add the lines .*; the table goes between them"):
        check_page(tmp_path / "page.md")


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_page(tmp_path / "page.md")


def test_a_page_with_the_marks_is_taken(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    check_page(tmp_path / "page.md")


def test_a_repaired_cut_says_so() -> None:
    repairs = (Repair(4, (5,), 0.5, 0.25, 9, 1e-3),)
    cut = replace(CUTS[1], plan=replace(CUTS[1].plan, repairs=repairs))
    assert markdown([CUTS[0], cut], "chain").splitlines()[3].startswith("| tail, repaired | 1 | 5 |")
