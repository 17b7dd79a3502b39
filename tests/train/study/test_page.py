"""Both forms of the page: the same blocks, everything escaped."""

from __future__ import annotations

from pathlib import Path

from eval.show.sections import Table
from train.study.page import Block, html, markdown

EVIL = "<script>alert(1)</script> | [x](javascript:y) `z`"
BLOCKS = [
    Block("Answers", ("a text",), ("an item",)),
    Block(EVIL, (EVIL,), (EVIL,), Table(["head", EVIL], [["1", EVIL]]), "arms.png"),
]


def test_markdown_has_headings_lists_tables_and_pictures() -> None:
    said = markdown("Title", [Block("B", ("text",), ("item",), Table(["a", "b"], [["1", "2"]]), "arms.png")])
    assert said == "# Title\n\n## B\n\ntext\n\n- item\n\n![B](arms.png)\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_markdown_shows_what_a_user_wrote_as_it_is() -> None:
    said = markdown(EVIL, BLOCKS)
    assert "<" not in said and "[x](" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("| 1")]
    assert line.replace("\\|", "").count("|") == 3


def test_a_line_break_does_not_end_a_row() -> None:
    assert "| a b |" in markdown("T", [Block("B", table=Table(["a\nb"], []))])


def test_html_is_escaped_and_has_its_pictures_inside(tmp_path: Path) -> None:
    picture = tmp_path / "arms.png"
    picture.write_bytes(b"picture")
    said = html(EVIL, BLOCKS, {"arms.png": picture})
    assert "<script" not in said and "&lt;script&gt;" in said
    assert "data:image/png;base64,cGljdHVyZQ==" in said and "http" not in said
