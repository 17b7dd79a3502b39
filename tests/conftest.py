"""How the slow tests share their runs where they go side by side (`pytest -n 2 --dist loadgroup`)."""

from __future__ import annotations

import pytest

MATRIX, LAUNCHED = {"cell_of"}, {"two_ranks", "full", "lora"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at the same expensive runs goes to one worker, so that each of them is done once; else by file."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    used = set(getattr(item, "fixturenames", ()))
    if used & MATRIX:
        return "matrix"
    return "launched" if used & LAUNCHED or "train/test_resume" in item.nodeid else item.nodeid.partition("::")[0]
