"""A plugin of pytest that writes each test's outcome as soon as it is known: `pytest -p tests.bench.gpu_results`.

One JSON object per line goes to $TEST_RESULTS: {"test", "outcome": passed | failed | skipped, "reason"}. So a run that
is ended before its end has said what it saw.
"""

from __future__ import annotations

import json
import os

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:  # the process that started it hears of every test
        return
    if report.when == "call" or not report.passed:
        line = {"test": report.nodeid, "outcome": report.outcome, "reason": _reason(report)}
        with open(os.environ["TEST_RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _reason(report: pytest.TestReport) -> str:
    """Why it was skipped; "" for the others."""
    place = report.longrepr
    return str(place[2]).removeprefix("Skipped: ") if report.skipped and isinstance(place, tuple) else ""
