"""Pages: each is one HTML file with its style and script inside, which loads and runs nothing else.

All text is escaped, control characters and bidirectional marks are written out, and a policy in the page lets a browser
run only the one script with the known hash.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from eval.show.chart import data_lines, legend
from eval.show.sections import Table
from eval.show.svg import drawing, swatch
from recipes.terminal import plain

HERE = Path(__file__).parent
DATA_HEAD = ["line", "at", "value", "interval"]


def render(template: str, **values: Any) -> str:
    """The page from a template of this folder with `values`; characters that UTF-8 cannot encode are written out."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_plain
    )
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        "drawing": drawing,
        "swatch": swatch,
        "legend": legend,
        "data_table": lambda chart: Table(DATA_HEAD, data_lines(chart)),
    }
    page = environment.get_template(template).render(**values)
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    """Foreign text without control characters; output of templates and drawings is unchanged."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
