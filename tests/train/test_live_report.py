"""When the report of a run that trains is written again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.runs import run_in
from train.live_report import LiveReport, write


class Clock:
    """Seconds that the test sets; each report takes `cost`."""

    def __init__(self, cost: float) -> None:
        self.now, self.cost, self.written = 0.0, cost, []  # type: ignore[var-annotated]

    def __call__(self) -> float:
        return self.now

    def write(self, folder: Path) -> None:
        self.now += self.cost
        self.written.append(self.now)


def test_reports_take_at_most_a_twentieth_of_the_time() -> None:
    clock = Clock(cost=2.0)
    live = LiveReport(Path("run"), clock.write, clock)
    for _ in range(100):  # a sweep every 10 s
        clock.now += 10
        live.renew()
    assert clock.written[0] == 12.0
    assert 2.0 * len(clock.written) <= 0.05 * clock.now + 2.0 * 1
    assert len(clock.written) > 20


def test_a_cheap_one_is_written_after_every_sweep() -> None:
    clock = Clock(cost=0.1)
    live = LiveReport(Path("run"), clock.write, clock)
    for _ in range(5):
        clock.now += 10
        live.renew()
    assert len(clock.written) == 5


def test_a_report_that_fails_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(folder: Path) -> None:
        raise OSError("no room")

    LiveReport(Path("run"), fails).renew()
    assert capsys.readouterr().out == "report.html could not be written (OSError: no room); the run continues\n"


def test_a_run_that_has_nothing_yet_has_a_report(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.folder.add_facts({"steps": 12})
    LiveReport(run.folder.path, write).renew()
    assert "Running: step 0 of 12, last written 20" in (tmp_path / "report.html").read_text()
