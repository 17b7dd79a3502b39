"""The curves of training."""

from eval.show.training_charts import MOST_POINTS, averaged, training_charts


def test_loss_rate_and_throughput_by_step():
    metrics = [
        {"step": 5, "loss": 2.0, "learning_rate": 1e-3, "tokens": 900, "seconds": 3.0},
        {"step": 10, "loss": 1.5, "learning_rate": 5e-4, "tokens_per_second": 410.0},
    ]
    charts = {chart.name: [(p.x, p.y) for p in chart.series[0].points] for chart in training_charts(metrics)}
    assert charts == {
        "loss": [(5, 2.0), (10, 1.5)],
        "learning-rate": [(5, 1e-3), (10, 5e-4)],
        "throughput": [(5, 300.0), (10, 410.0)],
    }


def test_what_was_logged_once_or_is_not_finite_is_no_curve():
    assert training_charts([{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]) == []


def test_a_step_that_was_logged_twice_counts_once():
    metrics = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 9.0}, {"step": 2, "loss": 2.0}]
    assert [point.y for point in training_charts(metrics)[0].series[0].points] == [3.0, 2.0]


def test_long_curves_are_means_and_say_so():
    points, each = averaged([(step, float(step % 2)) for step in range(2 * MOST_POINTS)])
    assert (len(points), each, points[0], points[-1]) == (MOST_POINTS, 2, (1, 0.5), (2 * MOST_POINTS - 1, 0.5))
    metrics = [{"step": step, "loss": 1.0} for step in range(2 * MOST_POINTS)]
    assert training_charts(metrics)[0].notes == ("Each point is the mean of 2 logging steps.",)
