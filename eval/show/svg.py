"""A chart as an inline SVG drawing: no script, no font, no external image.

Colours are variables of the page, so the drawing follows light and dark mode. The page's style enlarges letters in
narrow figures, and the margins leave room for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from eval.show.chart import Chart, Level, Point, Series, Tone, described, number
from recipes.terminal import plain

WIDTH, HEIGHT = 640.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 74.0, 42.0, 44.0, 64.0
LETTER, NARROW_LETTER = 7.6, 12.0
"""the width of a letter, in units of the drawing, in a wide figure and in a narrow one (page.css)"""
DASHES = {"solid": None, "dashed": "8 5", "dotted": "2 5"}
MOST_MARKS = 40  # points of a line; longer lines are drawn without marks


@dataclass(frozen=True)
class Frame:
    """Maps values to units of the drawing. `apart`: the position of 0 on a logarithmic axis, half the smallest."""

    logarithmic: bool
    left: float
    right: float
    bottom: float
    top: float
    apart: float

    def x(self, value: float) -> float:
        start, end, at = (self._scaled(each) for each in (self.left, self.right, value))
        return LEFT + (at - start) / ((end - start) or 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        inside = min(max(value, self.bottom), self.top)
        return HEIGHT - BOTTOM - (inside - self.bottom) / ((self.top - self.bottom) or 1.0) * (HEIGHT - TOP - BOTTOM)

    def _scaled(self, value: float) -> float:
        return math.log2(value or self.apart) if self.logarithmic else value


def drawing(chart: Chart) -> Markup:
    """The SVG element of `chart`, with a title and a description for readers who cannot see it."""
    frame = frame_of(chart)
    parts = [
        tag("title", safe(chart.title), id=f"{chart.name}-title"),
        tag("desc", safe(described(chart)), id=f"{chart.name}-desc"),
        *_up_axis(frame, chart),
        *_along_axis(frame, chart),
        *(_level(frame, level) for level in chart.levels),
        *(part for series in chart.series for part in _band(frame, series)),
        *(part for series in chart.series for part in _line(frame, series)),
    ]
    labelled = f"{chart.name}-title {chart.name}-desc"
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", role="img", aria_labelledby=labelled)


def swatch(item: Series | Level) -> Markup:
    """The sample of a line in a legend."""
    mark = _mark(item, 16.0, 7.0) if isinstance(item, Series) else Markup("")
    line = tag("path", d="M1 7H31", stroke_dasharray=DASHES[item.line], stroke_width="2.4", fill="none")
    inside = tag("g", line, mark, class_="tone", style=_tones(item.tone))
    return tag("svg", inside, viewBox="0 0 32 14", class_="swatch", aria_hidden="true")


def frame_of(chart: Chart) -> Frame:
    """The ranges that a chart spans: all points, ends of intervals and levels; accuracies always from 0 to 1."""
    points = [point for series in chart.series for point in series.points]
    along = [point.x for point in points]
    logarithmic = chart.scale == "log2" and any(x > 0 for x in along)
    above = [x for x in along if x > 0] if logarithmic else along
    apart = min(above) / 2 if logarithmic else 0.0
    left, right = (apart if logarithmic and 0 in along else min(above)), max(above)
    if left == right:
        left, right = (left / 2, right * 2) if logarithmic else (left - 1, right + 1)
    if chart.unit_range:
        return Frame(logarithmic, left, right, 0.0, 1.0, apart)
    values = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    values += [level.y for level in chart.levels]
    room = 0.06 * (max(values) - min(values)) or abs(values[0]) * 0.1 or 1.0
    bottom = 0.0 if 0 <= min(values) <= 0.6 * max(values) else min(values) - room
    return Frame(logarithmic, left, right, bottom, max(values) + room, apart)


def round_ticks(first: float, last: float, about: int) -> list[float]:
    """About `about` round numbers between two values, a step of 1, 2 or 5 times a power of ten apart."""
    if last <= first:
        return [first]
    rough = (last - first) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.999)
    return [
        round(index * step, 12) for index in range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)
    ]


def tag(name: str, *content: Markup, **attributes: str | None) -> Markup:
    """An element; values of attributes are escaped, `stroke_width` is written as `stroke-width`, None is left out."""
    written = "".join(
        f' {key if key == "viewBox" else key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{''.join(content)}</{name}>")


def safe(text: str) -> Markup:
    """Foreign text: escaped, with control characters written out."""
    return escape(plain(text))


def _text(words: str, x: float, y: float, anchor: str, kind: str) -> Markup:
    return tag("text", safe(words), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)


def _up_axis(frame: Frame, chart: Chart) -> Iterator[Markup]:
    for tick in round_ticks(frame.bottom, frame.top, 5):
        y = frame.y(tick)
        yield tag("path", d=f"M{LEFT:.1f} {y:.1f}H{WIDTH - RIGHT:.1f}", class_="grid")
        yield _text(_short(tick), LEFT - 9, y + 5, "end", "tick")
    yield _text(chart.up, 4, 21, "start", "axis")


def _short(value: float) -> str:
    """A tick label of the vertical axis, in at most six characters even for large numbers."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:.10g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}".replace("e-0", "e-")


def _along_axis(frame: Frame, chart: Chart) -> Iterator[Markup]:
    floor = HEIGHT - BOTTOM
    yield tag("path", d=f"M{LEFT:.1f} {floor:.1f}H{WIDTH - RIGHT:.1f}", class_="floor")
    ticks = [*chart.ticks] or _ticks(frame, any(point.x == 0 for series in chart.series for point in series.points))
    named = [(frame.x(tick), number(tick) if tick or not frame.logarithmic else chart.zero) for tick in ticks]
    broad, narrow = fitting(named, LETTER), fitting(named, NARROW_LETTER)
    for x, name in named:
        yield tag("path", d=f"M{x:.1f} {floor:.1f}v6", class_="floor")
        if (x, name) in broad:
            yield _text(name, x, floor + 24, "middle", "tick" if (x, name) in narrow else "tick spare")
    yield _text(chart.along, WIDTH - RIGHT, HEIGHT - 9, "end", "axis")


def _ticks(frame: Frame, from_zero: bool) -> list[float]:
    """Whole training steps; on a logarithmic axis powers of two above the smallest value, and 0 separately."""
    if not frame.logarithmic:
        return [tick for tick in round_ticks(frame.left, frame.right, 6) if tick == int(tick) or frame.right < 6]
    first, last = math.ceil(math.log2(2 * frame.apart)), math.floor(math.log2(frame.right))
    powers = [2.0**power for power in range(first, last + 1, 1 + max(0, last - first) // 8)]
    halves = [1.5 * power for power in (2.0 ** (first - 1), *powers) if 2 * frame.apart <= 1.5 * power <= frame.right]
    return [*([0.0] if from_zero else []), *(sorted([*powers, *halves]) if len(powers) < 4 else powers)]


def fitting(named: Sequence[tuple[float, str]], letter: float) -> list[tuple[float, str]]:
    """The labels (middle, text) that fit next to each other, chosen from the right: the largest always stays."""
    kept: list[tuple[float, str]] = []
    free = math.inf
    for x, name in sorted(named, reverse=True):
        half = letter * len(name) / 2
        if x + half + letter <= free:
            kept.append((x, name))
            free = x - half
    return kept


def _level(frame: Frame, level: Level) -> Markup:
    path = tag(
        "path",
        d=f"M{LEFT:.1f} {frame.y(level.y):.1f}H{WIDTH - RIGHT:.1f}",
        stroke_dasharray=DASHES[level.line],
        stroke_width="1.6",
        fill="none",
    )
    return tag("g", path, class_="tone", style=_tones(level.tone))


def _joined(frame: Frame, series: Series) -> list[Point]:
    """The points joined by the line: on a logarithmic axis, those at 0 are separate."""
    return [point for point in series.points if point.x > 0 or not frame.logarithmic]


def _band(frame: Frame, series: Series) -> Iterator[Markup]:
    points = [point for point in _joined(frame, series) if point.low is not None and point.high is not None]
    if series.band and len(points) > 1:
        upper = [f"{frame.x(point.x):.1f} {frame.y(point.high or 0.0):.1f}" for point in points]
        lower = [f"{frame.x(point.x):.1f} {frame.y(point.low or 0.0):.1f}" for point in reversed(points)]
        yield tag("path", d=f"M{'L'.join([*upper, *lower])}Z", class_="tone band", style=_tones(series.tone))


def _line(frame: Frame, series: Series) -> Iterator[Markup]:
    joined = _joined(frame, series)
    parts = []
    if len(joined) > 1:
        along = "L".join(f"{frame.x(point.x):.1f} {frame.y(point.y):.1f}" for point in joined)
        dashes, width = DASHES[series.line], f"{series.width:g}"
        parts.append(tag("path", d=f"M{along}", stroke_dasharray=dashes, stroke_width=width, fill="none"))
    alone = [point for point in series.points if frame.logarithmic and point.x == 0]
    alone += joined if len(joined) == 1 else []
    parts += [whisker for point in alone if series.band for whisker in _whisker(frame, point)]
    marked = series.points if series.mark != "none" and len(series.points) <= MOST_MARKS else alone
    for point in marked:
        words = f"{series.label}: {number(point.y)} at {number(point.x)}"
        words += "" if point.low is None or point.high is None else f" [{number(point.low)}, {number(point.high)}]"
        place = tag("title", safe(words)), _mark(series, frame.x(point.x), frame.y(point.y))
        parts.append(tag("g", *place))
    yield tag("g", *parts, class_="tone", style=_tones(series.tone))


def _whisker(frame: Frame, point: Point) -> Iterator[Markup]:
    if point.low is not None and point.high is not None:
        d = f"M{frame.x(point.x):.1f} {frame.y(point.low):.1f}V{frame.y(point.high):.1f}"
        yield tag("path", d=d, stroke_width="1.6", fill="none")


def _mark(series: Series, x: float, y: float) -> Markup:
    size = 2.4 + 0.7 * series.width
    if series.mark == "square":
        side = f"{2 * size:.1f}"
        return tag("rect", x=f"{x - size:.1f}", y=f"{y - size:.1f}", width=side, height=side, class_="mark")
    if series.mark == "triangle":
        d = f"M{x:.1f} {y - 1.25 * size:.1f}l{1.2 * size:.1f} {2.2 * size:.1f}h{-2.4 * size:.1f}Z"
        return tag("path", d=d, class_="mark")
    if series.mark == "circle":
        return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{size:.1f}", class_="mark")
    return Markup("")


def _tones(tone: Tone) -> str:
    return f"--l:{tone.light};--d:{tone.dark}"
