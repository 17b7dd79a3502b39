"""Charts as SVG: where things stand, what is escaped, what a narrow figure leaves out."""

import xml.etree.ElementTree as ET

import pytest

from eval.show.chart import PRUNED, UNPRUNED, Chart, Level, Point, Series
from eval.show.svg import drawing, fitting, frame_of, round_ticks, swatch

SVG = "{http://www.w3.org/2000/svg}"


def a_chart(points, **more):
    series = Series("run", tuple(Point(*point) for point in points), PRUNED)
    return Chart("a-b", "Title", "along", "up", (series,), **more)


def read(chart):
    return ET.fromstring(str(drawing(chart)))


def texts(chart, kind="tick"):
    return [element.text for element in read(chart).iter("text") if kind in element.get("class").split()]


def test_it_has_a_title_and_a_description_by_which_it_is_named():
    root = read(a_chart([(1, 0.5), (2, 0.75)]))
    named = {element.get("id"): element.text for element in root if element.tag in ("title", "desc")}
    assert named == {"a-b-title": "Title", "a-b-desc": "up along along. run: 0.5 at 1 to 0.75 at 2."}
    assert root.get("role") == "img" and root.get("aria-labelledby").split() == list(named)


def test_accuracies_span_0_to_1_and_a_logarithmic_axis_spaces_doublings_equally():
    chart = a_chart([(16, 0.0), (32, 0.5), (64, 1.0)], scale="log2", ticks=(16, 32, 64))
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in read(chart).iter("circle")]
    assert circles[1][0] - circles[0][0] == pytest.approx(circles[2][0] - circles[1][0], abs=0.2)
    assert circles[0][1] > circles[1][1] > circles[2][1]
    assert texts(chart)[-3:] == ["64", "32", "16"] or set(texts(chart)) >= {"16", "32", "64", "0", "1"}


def test_thinking_off_stands_apart_from_the_line():
    chart = a_chart([(0, 0.2, 0.1, 0.3), (16, 0.5, 0.4, 0.6), (32, 0.6, 0.5, 0.7)], scale="log2", ticks=(0, 16, 32))
    assert "off" in texts(chart) and frame_of(chart).left == 8
    line = next(path for path in read(chart).iter("path") if path.get("stroke-width") == "2")
    assert line.get("d").count("L") == 1


def test_a_single_point_has_its_interval_as_a_whisker():
    root = read(a_chart([(5, 0.5, 0.25, 0.75)]))
    assert len(list(root.iter("circle"))) == 1
    assert any(path.get("d").count("V") == 1 for path in root.iter("path"))


def test_a_free_range_holds_intervals_and_levels():
    chart = a_chart([(1, 0.1, 0.0, 0.2), (2, 0.3, 0.2, 0.4)], unit_range=False, levels=(Level("top", 0.9, UNPRUNED),))
    frame = frame_of(chart)
    assert frame.bottom == 0 and frame.top > 0.9
    far = a_chart([(1, 5.0), (2, 5.1)], unit_range=False)
    assert 4.9 < frame_of(far).bottom < 5


def test_round_ticks():
    assert round_ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert round_ticks(3, 47, 5) == [10, 20, 30, 40] and round_ticks(4, 4, 5) == [4]


def test_labels_that_have_no_room_are_left_out_from_the_left():
    named = [(0.0, "512"), (10.0, "1,024"), (100.0, "2,048")]
    assert [name for _, name in fitting(named, 8)] == ["2,048", "1,024"]


def test_a_label_without_room_in_a_narrow_figure_alone_is_marked_so():
    ticks = tuple(512 * 2**power for power in range(11))
    chart = a_chart([(tick, 0.5) for tick in ticks], scale="log2", ticks=ticks)
    assert texts(chart, "spare") and "524,288" in texts(chart) and "524,288" not in texts(chart, "spare")


def test_names_of_others_are_text():
    evil = "</text><script>alert(1)</script>\u202e&\x1b"
    series = Series(evil, (Point(1, 0.5), Point(2, 0.5)), PRUNED)
    root = ET.fromstring(str(drawing(Chart("a", evil, evil, evil, (series,)))))
    assert not list(root.iter("script")) and "<script>" not in str(drawing(Chart("a", evil, evil, evil, (series,))))
    assert next(root.iter("title")).text == "</text><script>alert(1)</script>\\u202e&\\x1b"


def test_a_swatch_shows_dashes_and_mark():
    picture = str(swatch(Series("a", (Point(1, 1),), PRUNED, "dashed", mark="square")))
    assert 'stroke-dasharray="8 5"' in picture and "<rect" in picture and 'aria-hidden="true"' in picture


def test_tokens_spent_have_round_marks_and_their_zero():
    chart = a_chart([(0, 0.1), (410.0, 0.2), (26214.0, 0.9)], scale="log2", zero="0")
    assert [name for name in texts(chart) if name not in ("0.2", "0.4", "0.6", "0.8", "1")] == [
        *("0", "0", "512", "1,024", "2,048", "4,096", "8,192", "16,384"),
    ]
