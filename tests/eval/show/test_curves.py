"""Curves on one axis: which are drawn, where, and what the note on protocols says."""

from eval.show.curves import (
    LEGEND_STEPS,
    SPENT,
    TOTAL,
    curves,
    draw_curves,
    legend_entries,
    protocol_note,
    save,
    single_axes,
)
from tests.eval.show.made_rows import by_likelihood, made_rows


def test_the_last_step_is_the_strong_one():
    drawn = curves(made_rows(run_steps=(0, 5, 10)), "chain")
    assert [curve.label for curve in drawn] == [
        "unpruned",
        "pruned",
        "recovered, step 0",
        "recovered, step 5",
        "recovered, step 10",
    ]
    assert max(drawn[2:], key=lambda curve: curve.width) is drawn[4] and drawn[2].band == 0 < drawn[4].band


def test_an_equal_curve_does_not_hide_the_unpruned_one():
    unpruned, _, *recovered = curves(made_rows(run_steps=(0, 5)), "chain")
    assert unpruned.label == "unpruned" and unpruned.width > 2 * recovered[-1].width


def test_the_legend_stays_short():
    labels = [curve.label for curve in legend_entries(curves(made_rows(run_steps=range(15)), "chain"))]
    assert (
        labels[:2] == ["unpruned", "pruned"] and len(labels) == 2 + LEGEND_STEPS and labels[-1] == "recovered, step 14"
    )


def test_differing_protocols_are_named():
    mixed = [row | {"protocol": "other999"} if row["model"] == "run" else row for row in made_rows()]
    assert protocol_note(curves(made_rows(), "chain")) == ""
    note = protocol_note(curves(mixed, "chain"))
    assert "other999 (recovered)" in note and "hash (unpruned, pruned)" in note


def _drawn(rows, suite="chain", *axis):
    axes = single_axes()[1]
    draw_curves(axes, curves(rows, suite), *axis)
    return axes, {tick.get_text(): at for tick, at in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}


def test_thinking_off_is_drawn_apart_and_joined_to_nothing():
    axes, ticks = _drawn(made_rows(budgets=(0, 16, 32)))
    assert ticks == {"off": 8, "16": 16, "32": 32}
    lines = [list(line.get_xdata()) for line in axes.get_lines()]
    assert lines.count([16, 32]) == 4 and lines.count([8]) == 4  # unpruned, pruned and two steps


def test_along_tokens_spent_points_lie_at_what_was_spent():
    axes, ticks = _drawn(made_rows(budgets=(0, 16, 64)), "chain", SPENT)
    lines = [list(line.get_xdata()) for line in axes.get_lines()]
    assert lines.count([16 * 0.8, 64 * 0.8]) == 4 and lines.count([6.4]) == 4
    assert ticks == {"0": 6.4, "16": 16, "32": 32}
    assert list(_drawn(made_rows(budgets=(70,)), "chain", SPENT)[1]) == ["56"]  # no power of two among the points


def test_along_all_tokens_rows_of_older_runs_are_left_out():
    rows = made_rows(budgets=(16, 64))
    rows[0].pop("total_tokens")
    lines = [list(line.get_xdata()) for line in _drawn(rows, "chain", TOTAL)[0].get_lines()]
    assert lines.count([16 * 0.8 + 0.5, 64 * 0.8 + 0.5]) == 3 and lines.count([64 * 0.8 + 0.5]) == 1


def test_a_suite_by_likelihood_is_one_point_per_model_with_chance_under_it():
    axes, ticks = _drawn(by_likelihood(), "mmlu")
    assert list(ticks) == ["likelihood"]
    assert [line.get_ydata()[0] for line in axes.get_lines() if line.get_label() == "chance"] == [0.25]


def test_a_figure_is_written_whole_and_alone(tmp_path):
    path = save(single_axes()[0], tmp_path / "figures" / "a.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and list(path.parent.iterdir()) == [path]
