"""The command that prepares traces as a run would, and shows what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.__main__ import main


def test_the_table_and_the_figure_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["prepare", "recipe=lora_recovery.yaml", "data.traces.size=40", f"data.cache_dir={tmp_path}"])
    made, *table, figure = capsys.readouterr().out.splitlines()
    assert made.startswith("prepared set made in ") and table[0].split() == ["rows", "read", "40"]
    assert Path(figure.removeprefix("figure  ")).read_bytes().startswith(b"\x89PNG")
