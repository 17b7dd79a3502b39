"""Which tests are left out on this machine, and how the slow ones share two workers (`pytest -m slow -n 2 --dist
loadfile`): by the runs that they look at, what takes longest first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from runtime.pulse import PULSE
from runtime.ranks import OF_A_RANK

# No test depends on a network. huggingface_hub reads its variable when it is imported, and this file is read first.
os.environ["HF_HUB_OFFLINE"] = "1"
for name in [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy")]:
    del os.environ[name]  # servers of tests are on loopback, which a proxy does not reach

TOGETHER = {
    "matrix": ("test_zero_matrix.py", "test_elastic.py", "test_global_loss.py", "test_distilling.py"),
    "sharded": ("test_two_ranks.py", "test_resume.py", "test_export.py", "test_epochs.py"),
    "alone": ("test_training.py", "test_references.py", "test_feed.py"),
}
"""files that look at the same expensive runs of tests/train/conftest.py: one worker does each run once"""
FIRST = (
    "matrix",
    "sharded",
    "test_signals.py",
    "test_kills.py",
    "alone",
    "test_shown_commands.py",
    "test_measure.py",
    "test_gpu_training.py",
    "test_saved_sweeps.py",
    "test_entry.py",
    "test_two_nodes.py",
    "test_mistakes.py",
    "test_hostile_answers.py",
    "test_confirm.py",
    "test_roads.py",
    "test_retention.py",
    "test_gpu_sweep.py",
    "test_tracking.py",
    "test_guard.py",
    "test_gpu_distilling.py",
)
"""what takes longest, in this order, so that short files are left for the end and no worker waits for the other"""


@pytest.fixture(autouse=True)
def _ranks_are_forgotten() -> Iterator[None]:
    """A run in this process says in the environment which rank it is; what comes after it is another one."""
    before = {name: os.environ.get(name) for name in OF_A_RANK}
    yield
    PULSE.may_leave = False  # ranks that are threads share it, and may leave it either way
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def group_of(nodeid: str) -> str:
    """The group of a test's file, or the file's own name."""
    name = PurePosixPath(nodeid.partition("::")[0]).name
    return next((group for group, files in TOGETHER.items() if name in files), name)


def place_of(item: pytest.Item) -> int:
    group = group_of(item.nodeid)
    return FIRST.index(group) if group in FIRST else len(FIRST)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers begin with what takes longest; tests of a GPU are skipped where there is none."""
    if hasattr(config, "workerinput"):
        items.sort(key=place_of)
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files go to the workers whole, those of one group as one."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByRuns(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            group = group_of(nodeid)
            return group if group in TOGETHER else nodeid.partition("::")[0]

    config.option.loadscopereorder = False  # it would begin with the files of the most tests
    return ByRuns(config, log)
