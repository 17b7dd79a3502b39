"""The table of cuts, worked out by hand, and its place in a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from tests.train.cuts.cut_rows import CUTS
from train.cuts.table import BEGIN, END, check_page, markdown, with_table

PAGE = f"before\n{BEGIN}\n\nold\n{END}\nafter\n"


def test_a_line_for_each_model() -> None:
    assert markdown(CUTS, "chain").splitlines() == [
        "| method | layers | without | facts at 8 | chain at 4 | 8 | gain per doubling |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| unpruned | 0 | - | 1.00 [.90, 1.0] | 0.50 [.40, .60] | 0.90 [.80, 1.0] | +0.40 [+.00, +.20] |",
        "| tail | 1 | 5 | 0.90 [.80, 1.0] | 0.50 [.40, .60] | 0.60 [.50, .70] | +0.10 [+.00, +.20] |",
        "| laco, T 0.7 | 2 | 3, 4 into 2 | 0.80 [.70, .90] | 0.30 [.20, .40] | 0.30 [.20, .40] | +0.00 [+.00, +.20] |",
    ]


def test_the_table_takes_the_place_of_the_old_one() -> None:
    assert with_table(PAGE, "new\n") == PAGE.replace("old\n", "new\n\n")


@pytest.mark.parametrize("text", ["no marks", f"{END} {BEGIN}"])
def test_a_page_without_the_marks_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(UserError, match="are not there; the table goes between them"):
        check_page(tmp_path / "page.md")


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_page(tmp_path / "page.md")


def test_a_page_with_the_marks_is_taken(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    check_page(tmp_path / "page.md")
