"""What a chart says in words and numbers, and its colours."""

import pytest

from eval.show.chart import (
    DEEP,
    FEW,
    MANY,
    PALE,
    PRUNED,
    RUNS,
    UNPRUNED,
    Chart,
    Level,
    Point,
    Series,
    Tone,
    between,
    data_lines,
    described,
    legend,
    number,
    spread,
)

PAPER = {"light": "#ffffff", "dark": "#0d1117"}


def a_chart(*series, levels=()):
    return Chart("a", "Title", "budget (tokens)", "accuracy", series, levels=levels)


def a_line(label, mark="circle"):
    return Series(label, (Point(8, 0.2, 0.1, 0.3), Point(1024, 0.95)), PRUNED, mark=mark)


def contrast(one, other):
    """By WCAG 2: (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_of_contrast_knows_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("paper", PAPER)
def test_every_line_stands_out_from_the_paper(paper):
    mixed = [between(*ends, index, 14) for ends in ((PALE, DEEP), (FEW, MANY)) for index in range(14)]
    tones = [UNPRUNED, PRUNED, *RUNS, *mixed]
    assert [tone for tone in tones if contrast(getattr(tone, paper), PAPER[paper]) < 3] == []


def test_tones_go_from_the_first_to_the_last():
    first, last = Tone("#000000", "#102030"), Tone("#0000ff", "#304050")
    assert between(first, last, 0, 3) == first and between(first, last, 2, 3) == last
    assert between(first, last, 1, 3) == Tone("#000080", "#203040")


def test_it_is_described_by_where_lines_begin_and_end():
    chart = a_chart(a_line("pruned"), levels=(Level("chance", 0.25, UNPRUNED),))
    assert described(chart) == (
        "accuracy along budget (tokens). pruned: 0.2 at 8 to 0.95 at 1,024. chance: 0.25 throughout."
    )


def test_the_table_has_every_point_and_level():
    chart = a_chart(a_line("pruned"), levels=(Level("chance", 0.25, UNPRUNED),))
    assert data_lines(chart) == [
        ["pruned", "8", "0.2", "0.1 to 0.3"],
        ["pruned", "1,024", "0.95", ""],
        ["chance", "all", "0.25", ""],
    ]


def test_the_legend_names_the_main_lines_first_and_many_earlier_sweeps_once():
    earlier = [a_line(f"recovered, step {step}", mark="none") for step in (5, 10, 15)]
    named = [label for _, label in legend(a_chart(*earlier, a_line("unpruned")))]
    assert named == ["unpruned", "earlier sweeps, pale to dark: step 5 to step 15"]
    assert [label for _, label in legend(a_chart(*earlier[:2]))] == ["recovered, step 5", "recovered, step 10"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.95, "0.95"), (8192, "8,192"), (4e-5, "4e-05"), (-0.25, "-0.25"), (128, "128")]
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_spread_has_the_ends():
    assert spread(range(0, 101, 10), 3) == [0, 50, 100] and spread([4, 5], 3) == [4, 5]
