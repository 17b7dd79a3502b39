"""The commit that run records carry."""

from __future__ import annotations

import re

import pytest

from runtime.lineage import commit


def test_the_commit_of_this_repository_is_forty_hex_digits() -> None:
    answer = commit()
    if answer is None:
        pytest.skip("this copy is not a git repository")
    assert re.fullmatch(r"[0-9a-f]{40}", answer)


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None
