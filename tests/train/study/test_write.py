"""The page as files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.train.study.made_cells import finished, study
from train.study.blocks import Missing
from train.study.price import NAME, Price
from train.study.record import write_record
from train.study.write import write_page


def test_a_page_from_run_folders(tmp_path: Path) -> None:
    cells, loaded = finished(tmp_path), study(pairs=[["a", "b"]], question="Is it <back>?")
    write_record(loaded, tmp_path)
    prices = [asdict(Price(name, 2, tokens=100.0, flops=1e6)) for name in ("a", "b")]
    (tmp_path / NAME).write_text(json.dumps(prices))
    files = write_page(loaded, cells, Missing(), tmp_path)
    assert [file.name for file in files] == ["study.md", "study.html"]
    markdown, html = (file.read_text() for file in files)
    assert markdown.startswith("# Is it &lt;back&gt;?")
    assert "| the first | 60 | 100 | 1e+06 | 4 | 1 |" in markdown
    assert html.count("data:image/png;base64,") == 2 and "<h1>Is it &lt;back&gt;?</h1>" in html
    assert (tmp_path / "arms.png").is_file() and (tmp_path / "tokens.png").is_file()
