"""The sections of a report: what is in them, and which are left out."""

from eval.numbers.summary import steps
from eval.show.contents import MOST_SWEEPS, Section, Source, contents, thinned
from eval.show.sections import Table
from tests.eval.show.made_rows import made_rows


def a_source(**more):
    return Source(**({"rows": made_rows(), "metrics": [], "record": {}, "recipe": "", "suite": "chain"} | more))


def titles(source):
    return [section.title for section in contents(source) if not section.empty]


def test_a_section_without_lines_charts_and_text_is_empty():
    assert Section("a", ("words",), (), {"b": Table(["head"], [])}).empty
    assert not Section("a", text="b").empty and not Section("a", tables={"b": Table([], [["c"]])}).empty


def test_what_was_not_measured_has_no_section():
    assert titles(a_source(rows=[], suite="")) == []
    assert titles(a_source(rows=[], recipe="seed: 1")) == ["Recipe"]
    assert "Parallel scaling" in titles(a_source()) and "Training" not in titles(a_source())


def test_the_recipe_is_there_once():
    source = a_source(record={"id": "1", "recipe": {"seed": 1}, "versions": {"torch": "9"}}, recipe="seed: 1")
    sections = {section.title: section for section in contents(source)}
    assert sections["Run"].tables["Run"].lines == [["id", "1"]] and sections["Recipe"].text == "seed: 1"


def test_a_damaged_file_of_thoughts_is_said():
    found = [section for section in contents(a_source(fault="x is damaged")) if section.title.startswith("Thoughts")]
    assert [section.text for section in found] == ["x is damaged"]


def test_of_very_many_sweeps_evenly_many_are_shown_and_all_counted():
    rows = made_rows(run_steps=range(1, 251), budgets=(8,))
    kept = steps(thinned(rows, "chain"), "run", "chain")
    assert len(kept) == MOST_SWEEPS and (kept[0], kept[-1]) == (1, 250)
    (section,) = (each for each in contents(a_source(rows=rows)) if each.title == "Recovery by step")
    assert "100 of 250 sweeps are shown" in " ".join(section.says)
    assert len(section.tables["Sweeps by step"].lines) == MOST_SWEEPS + 2


def test_anchors_are_words():
    assert Section("Accuracy by thinking budget").anchor == "accuracy-by-thinking-budget"
