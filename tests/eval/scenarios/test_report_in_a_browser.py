"""The report and the comparison in a headless Chromium: quiet, sealed off, legible, and usable by keyboard.

Skipped where there is no Chromium (tests/eval/chromium.py says how to name one). One browser serves all tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from eval.numbers.summary import newest
from eval.show.comparison import comparison_page
from eval.show.report import report_page
from tests.eval.chromium import Tab, a_tab, program
from tests.eval.show.made_rows import made_rows, made_thought, write_thoughts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="no Chromium: name one in CHAINMEND_CHROMIUM or put it into PATH"),
]
HOSTILE = (
    "</div></script><script>window.hacked = 1</script><img src=x onerror='hacked=1'><svg onload=hacked=1>"
    "<a href='javascript:hacked=1'>&lt;script&gt;&#x3c;script> \" ' ` ${hacked=1} \u202eltr\u2066 ]]> <!-- "
    "<style>*{display:none}</style><iframe src='https://example.org/'></iframe><base href='https://example.org/'>"
)
THINKING, CUT = f"whatever {HOSTILE}", len("what")  # a budget truncates it within its first word
CONTRAST = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *:not(script, style, title, desc, option)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [light, dark] = [luminance(ink), luminance(behind(element))].sort((a, b) => b - a);
    seen += 1;
    if ((light + 0.05) / (dark + 0.05) < 4.5) poor.push(`${element.tagName} ${element.className}: ${style.color}`);
  }
  return { seen, poor };
})()
"""
HANDLERS = """
[...document.querySelectorAll("*")].flatMap((element) => [...element.attributes])
  .filter((each) => each.name.startsWith("on") || each.value.startsWith("javascript:")).length
"""
IDS = "[...document.querySelectorAll('[id]')].map((element) => element.id)"
SMALL = """
[...document.querySelectorAll("figure svg text")].filter((text) => text.checkVisibility())
  .map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a).filter((size) => size < 10)
"""
CLIPPED = """
[...document.querySelectorAll("figure .drawing svg text")].filter((text) => text.checkVisibility()).filter((text) => {
  const [a, b] = [text, text.ownerSVGElement].map((element) => element.getBoundingClientRect());
  return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
}).map((text) => text.textContent)
"""
OVERLAPPING = """
[...document.querySelectorAll("figure .drawing svg")].flatMap((svg) => {
  const boxes = [...svg.querySelectorAll("text")].filter((text) => text.checkVisibility())
    .map((text) => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], place) => boxes.slice(place + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
    .map(([other]) => `${one} / ${other}`));
})
"""


@dataclass(frozen=True)
class Run:
    name: str
    rows: list[dict[str, Any]]
    suite: str = "chain"
    logged: tuple[dict[str, Any], ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, Any]:
        return newest(self.rows, "run", self.suite)[1] or {}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    budgets = (512, 1024, 2048, 4096, 8192, 16384, 32768)
    rows = made_rows(HOSTILE) + made_rows(run_steps=(5, 10), budgets=budgets)
    for row in rows:
        if row.get("verdict_line"):
            row["verdict_line"] = HOSTILE
    metrics = [{"step": step, "loss": 2.0 / step, "learning_rate": 1e-4, "tokens_per_second": 9e4} for step in (1, 5)]
    for name, lines in (("sweeps", rows), ("metrics", metrics)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "run.json").write_text(json.dumps({"id": HOSTILE, HOSTILE: {"a": HOSTILE}}))
    (folder / "recipe.yaml").write_text(f"# {HOSTILE}\nsweep:\n  suites: [{{name: chain}}]\n")
    for model, step, grades in (("unpruned", 0, ("11", "11")), ("pruned", 0, ("00", "01")), ("run", 10, ("01", "00"))):
        thoughts = [made_thought(f"p{n} {HOSTILE}", grade, THINKING) for n, grade in enumerate(grades)]
        for thought in thoughts:
            for answer, place in zip(thought["answers"], (CUT, len(THINKING)), strict=True):
                answer["thinking_characters"] = place
        write_thoughts(folder, model, step, thoughts)
    page = folder / "page.html"
    state = ["Killed at step 10 of 12", f"To resume: python launch/train.py run.dir={HOSTILE}"]
    page.write_text(report_page(folder, state), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("compared") / "page.html"
    runs = [
        Run(
            f"{HOSTILE} {number}",
            made_rows(run_steps=(5, 5 + number)),
            logged=tuple({"step": step, "loss": number / step, "tokens": 400} for step in range(1, 60, number)),
            record={"loss": {"name": HOSTILE, "number": number}},
        )
        for number in range(1, 4)
    ]
    page.write_text(comparison_page(runs, (), [HOSTILE]), encoding="utf-8")
    return page


@pytest.fixture(params=["report", "comparison"])
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_it_says_nothing_to_the_console_and_asks_no_network(tab: Tab, page: Path) -> None:
    tab.open(page)
    assert (tab.complaints, tab.requests) == ([], [page.as_uri()])


def test_a_hostile_text_runs_nothing_and_makes_no_element(tab: Tab, page: Path) -> None:
    tab.open(page)
    assert tab.ask("typeof window.hacked") == "undefined"
    assert tab.ask("document.querySelectorAll('img, iframe, base, script:not(body > script), main style').length") == 0
    assert tab.ask("document.querySelectorAll('script').length") == 1
    assert tab.ask(HANDLERS) == 0
    assert tab.ask("document.body.innerText.includes('<script>window.hacked = 1</script>')")
    assert not tab.ask("/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.documentElement.outerHTML)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_aa(tab: Tab, page: Path, scheme: str) -> None:
    tab.open(page, 1200, scheme)
    tab.ask("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for width in (1200, 800, 400):
        tab.look(width, scheme)
        found = tab.ask(CONTRAST)
        assert found["seen"] > 100 and found["poor"] == []


@pytest.mark.parametrize("width", [400, 800, 1200])
def test_figures_can_be_read_at_every_width(tab: Tab, page: Path, width: int) -> None:
    tab.open(page, width)
    assert tab.ask("document.querySelectorAll('figure .drawing svg').length") > 4
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert (tab.ask(SMALL), tab.ask(CLIPPED), tab.ask(OVERLAPPING)) == ([], [], [])


def test_figures_have_a_name_a_description_and_a_table_of_their_data(tab: Tab, page: Path) -> None:
    tab.open(page)
    found = tab.ask(
        "[...document.querySelectorAll('figure')].map((figure) => { const svg = figure.querySelector('.drawing svg');"
        "return svg.getAttribute('aria-labelledby').split(' ').every((id) => document.getElementById(id).textContent)"
        "&& figure.querySelectorAll('details table tbody tr').length > 0; })"
    )
    assert len(found) > 4 and all(found)
    ids = tab.ask(IDS)
    assert len(set(ids)) == len(ids)


def test_tables_are_sorted_by_number_and_say_so(tab: Tab, report: Path) -> None:
    tab.open(report)
    tab.ask("window.table = document.querySelector('#accuracy-by-thinking-budget table')")
    heads = "[...table.tHead.rows[0].cells].map((cell) => cell.getAttribute('aria-sort'))"
    column = "[...table.tBodies[0].rows].map((row) => row.cells[0].textContent)"
    assert tab.ask(column)[:2] == ["512", "1,024"]
    tab.ask("table.tHead.querySelectorAll('button')[1].click()")
    assert tab.ask(heads) == [None, "ascending", None, None] and tab.ask(column)[0] == "512"
    tab.ask("table.tHead.querySelectorAll('button')[1].click()")
    assert tab.ask(heads) == [None, "descending", None, None] and tab.ask(column)[:2] == ["32,768", "16,384"]
    assert tab.ask("table.tFoot.rows[0].cells[0].textContent") == "gain per doubling"


def test_what_is_not_measured_comes_last_in_both_directions(tab: Tab, report: Path) -> None:
    tab.open(report)
    tab.ask("window.table = document.querySelector('[aria-label=\"Sweeps by step\"] table')")
    column = "[...table.tBodies[0].rows].map((row) => row.cells[6].textContent)"
    button = "table.tHead.querySelectorAll('button')[6].click()"
    for _ in range(2):
        tab.ask(button)
        assert tab.ask(column) == ["PARTIAL", "PARTIAL", "-", "-"]


def test_by_keyboard_the_content_comes_first_and_a_head_sorts(tab: Tab, report: Path) -> None:
    tab.open(report)
    tab.press("Tab")
    assert tab.ask("document.activeElement.className") == "skip"
    tab.press("Enter")
    assert tab.ask("document.activeElement.id") == "content"
    tab.ask("document.querySelector('#accuracy-by-thinking-budget thead button').focus()")
    tab.press("Enter")
    assert tab.ask("document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"


def test_only_regions_that_scroll_are_stops_of_the_keyboard(tab: Tab, report: Path) -> None:
    stops = (
        "[...document.querySelectorAll('main .scroll')].filter((e) => e.checkVisibility() && e.tabIndex === 0).length"
    )
    after_layout = f"new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(() => d({stops}))))"
    tab.open(report, 1200)
    wide = tab.ask(after_layout)
    tab.look(400, "light")
    narrow = tab.ask(after_layout)
    assert wide < narrow


def test_thoughts_are_filtered_by_words_and_by_changed_grade_at_a_budget(tab: Tab, report: Path) -> None:
    tab.open(report)
    shown = (
        "[...document.querySelectorAll('details.problem')].filter((e) => !e.hidden).map((e) => e.innerText.slice(0, 2))"
    )
    choose = (
        "(() => { const part = (name) => document.querySelector(`.filters [name=${name}]`);"
        "part('problem').value = %s; part('change').value = %s; part('budget').value = %s;"
        "part('problem').dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    found = {}
    for wanted in (("", "", "1"), ("P1", "", "1"), ("", "pruned0 run1", "1"), ("", "pruned0 run1", "0"),
                   ("", "pruned1 run0", "1"), ("", "unpruned1 pruned0", "0"), ("", "same", "1")):  # fmt: skip
        tab.ask(choose % tuple(map(json.dumps, wanted)))
        found[wanted] = tab.ask(shown)
    assert list(found.values()) == [["p0", "p1"], ["p1"], ["p0"], [], ["p1"], ["p0", "p1"], []]
    assert tab.ask("document.querySelector('.filters [role=status]').textContent") == "0 of 2 problems"


def test_thoughts_stand_side_by_side_when_expanded(tab: Tab, report: Path) -> None:
    tab.open(report, 1200)
    tab.ask("document.querySelector('.filters [name=open]').click()")
    places = "[...document.querySelectorAll('details.problem .side')].slice(0, 3).map((e) => e.getBoundingClientRect())"
    tops, lefts = (tab.ask(f"{places}.map((box) => Math.round(box.{side}))") for side in ("top", "left"))
    assert len(set(tops)) == 1 and len(set(lefts)) == 3
    tab.look(400, "light")
    assert len(set(tab.ask(f"{places}.map((box) => Math.round(box.left))"))) == 1


def test_a_thought_is_marked_where_a_budget_truncates_it(tab: Tab, report: Path) -> None:
    """Of the answers at 8 and 16 tokens only the first truncates the thought, which terminated after 16."""
    tab.open(report, 400)
    tab.ask("window.thought = document.querySelector('.thinking'); thought.closest('details').open = true")
    assert tab.ask("[...thought.querySelectorAll('.cut')].map((cut) => cut.checkVisibility())") == [True]
    before, mark, after = tab.ask("[...thought.childNodes].map((node) => node.textContent)")
    written = THINKING.replace("\u202e", "\\u202e").replace("\u2066", "\\u2066")
    assert (before, before + after) == ("what", written)
    assert mark == " (here a budget of 8 tokens truncates the thought) cut at 8"
    assert tab.ask("thought.querySelector('[aria-hidden=true]').textContent") == "cut at 8"
    assert tab.ask("document.documentElement.scrollWidth") <= 400


def test_words_that_a_mark_divides_are_found(tab: Tab, report: Path) -> None:
    tab.open(report)
    shown = (
        "(() => { const field = document.querySelector('.filters [name=problem]'); field.value = %s;"
        "field.dispatchEvent(new Event('input', { bubbles: true }));"
        "return document.querySelector('.filters [role=status]').textContent; })()"
    )
    assert tab.ask(shown % json.dumps("whatever")) == "2 of 2 problems"
    assert tab.ask(shown % json.dumps("cut at 8")) == "0 of 2 problems"


def test_a_run_that_has_not_finished_says_so_before_anything_else(tab: Tab, report: Path) -> None:
    tab.open(report)
    first = "document.querySelector('main').firstElementChild"
    assert tab.ask(f"{first}.querySelector('.word').textContent") == "Killed at step 10 of 12"
    assert tab.ask(f"{first}.getBoundingClientRect().top") < 300
    assert "window.hacked = 1" in tab.ask(f"{first}.innerText")


def test_runs_are_compared_by_their_losses(tab: Tab, comparison: Path) -> None:
    tab.open(comparison)
    titles = "[...document.querySelectorAll('#training-loss figcaption')].map((each) => each.textContent)"
    assert tab.ask(titles) == ["Training loss by step", "Training loss by tokens"]
    assert tab.ask("document.querySelectorAll('#training-loss figure:first-of-type .legend li').length") == 3
