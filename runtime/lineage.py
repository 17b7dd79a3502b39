"""Which code made a file: the commit that run records and generated traces carry."""

from __future__ import annotations

import subprocess

from recipes.paths import ROOT


def commit() -> str | None:
    """The git commit of this copy of the code; None outside a git repository, or without git."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None
