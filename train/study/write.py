"""Writes a study's page: study.md, study.html and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recipes.loader import Loaded
from recipes.study import StudyRecipe
from runtime.files import write_whole
from train.study.blocks import ARMS_PICTURE, TOKENS_PICTURE, Missing, blocks
from train.study.findings import findings
from train.study.grid import Cell
from train.study.page import html, markdown
from train.study.price import kept_prices
from train.study.record import read_record
from train.study.results import read_results


def write_page(loaded: Loaded[StudyRecipe], cells: Sequence[Cell], missing: Missing, out: Path) -> list[Path]:
    """Writes the page of the finished `cells`, at least one; returns its files."""
    from eval.show.curves import save  # loads matplotlib, which nothing needs earlier
    from train.study.figures import arms_figure, tokens_figure

    found = findings(loaded.recipe, read_results(cells))
    pictures = {
        ARMS_PICTURE: save(arms_figure(found), out / ARMS_PICTURE),
        TOKENS_PICTURE: save(tokens_figure(found), out / TOKENS_PICTURE),
    }
    said = blocks(loaded.recipe, found, read_record(out), missing, kept_prices(cells, out))
    write_whole(out / "study.md", markdown(loaded.recipe.question, said))
    write_whole(out / "study.html", html(loaded.recipe.question, said, pictures))
    return [out / "study.md", out / "study.html"]
