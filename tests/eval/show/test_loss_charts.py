"""Training losses of several runs in one figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eval.show.chart import RUNS, Line, Tone
from eval.show.loss_charts import MOST_POINTS, loss_charts, loss_notes

LOOKS: list[tuple[Tone, Line]] = [(tone, "solid") for tone in RUNS]


@dataclass(frozen=True)
class Run:
    name: str
    logged: list[dict[str, Any]]
    record: dict[str, Any] = field(default_factory=dict)


def drawn(*runs: Run) -> dict[str, dict[str, list[tuple[float, float]]]]:
    return {
        chart.name: {each.label: [(point.x, point.y) for point in each.points] for each in chart.series}
        for chart in loss_charts(runs, LOOKS[: len(runs)])
    }


A = Run("a", [{"step": 5, "loss": 2.0, "tokens": 300}, {"step": 10, "loss": 1.5, "tokens": 200}])
B = Run("b", [{"step": 4, "loss": 3.0, "tokens": 100}, {"step": 8, "loss": 1.0, "tokens": 100}])


def test_a_line_for_each_run_by_step_and_by_the_tokens_so_far() -> None:
    assert drawn(A, B) == {
        "loss-steps": {"a": [(5, 2.0), (10, 1.5)], "b": [(4, 3.0), (8, 1.0)]},
        "loss-tokens": {"a": [(300, 2.0), (500, 1.5)], "b": [(100, 3.0), (200, 1.0)]},
    }


def test_tokens_of_rows_without_a_loss_count_and_without_tokens_there_is_no_line() -> None:
    gap = Run("gap", [A.logged[0], {"step": 7, "loss": None, "tokens": 50}, A.logged[1]])
    assert drawn(gap)["loss-tokens"] == {"gap": [(300, 2.0), (550, 1.5)]}
    unknown = Run("unknown", [A.logged[0], {"step": 7, "loss": 1.8}])
    assert "loss-tokens" not in drawn(unknown) and drawn(unknown)["loss-steps"] == {"unknown": [(5, 2.0), (7, 1.8)]}


def test_a_step_that_was_logged_twice_counts_once() -> None:
    again = Run("a", [*A.logged, {"step": 10, "loss": 1.4, "tokens": 210}])
    assert drawn(again)["loss-tokens"] == {"a": [(300, 2.0), (510, 1.4)]}


def test_without_losses_there_is_nothing_to_say() -> None:
    runs = [Run("a", []), Run("b", [{"step": 1, "loss": 2.0, "tokens": 5}])]
    assert (loss_charts(runs, LOOKS[:2]), loss_notes(runs)) == ([], ())


def test_runs_without_a_line_are_named() -> None:
    assert loss_notes([A, Run("none", []), B]) == ("Without logged losses: none.",)


def test_different_losses_are_said_to_be_so_but_not_other_places_of_a_teacher() -> None:
    one, same, other = (
        Run(name, A.logged, {"loss": {"name": "distill", "temperature": temperature, "teacher": {"at": name}}})
        for name, temperature in (("one", 1.0), ("same", 1.0), ("other", 2.0))
    )
    assert loss_notes([one, same]) == ()
    assert loss_notes([one, other])[0].startswith("The runs' losses are different quantities")


def test_the_points_of_long_runs_are_means_and_it_is_said() -> None:
    logged = [{"step": step, "loss": float(step % 2), "tokens": 1} for step in range(1, MOST_POINTS + 1)]
    runs = [Run(str(number), logged) for number in range(10)]
    by_step, by_tokens = loss_charts(runs, (LOOKS * 2)[:10])
    for chart in (by_step, by_tokens):
        assert sum(len(series.points) for series in chart.series) == MOST_POINTS
        assert chart.notes == ("Each point is the mean of up to 10 logging steps.",)
        assert {point.y for series in chart.series for point in series.points} == {0.5}
