"""The page of planted results."""

from __future__ import annotations

from dataclasses import replace

from eval.show.sections import Table
from tests.train.study.made_results import BUDGETS, PROBLEMS, RESULTS, STUDY, answers, arm
from train.study.blocks import Missing, blocks, different_cuts
from train.study.findings import findings
from train.study.grid import Arm
from train.study.page import Block
from train.study.price import Price
from train.study.results import ArmResult, Results

RECORD = {"expected": {"sha256": "abc123", "written": "2026-01-01"}}
PRICES = {"back": Price("back", 3, tokens=1000.0, flops=5e9)}
FOUND = findings(STUDY, RESULTS)
MISSING = Missing((Arm("wrong", "wrong answers", (), (1,), ("pool",)),), (("not, seed 2", "failed: no memory"),))
PAGE = {block.heading: block for block in blocks(STUDY, FOUND, RECORD, MISSING, PRICES)}


def table(block: Block) -> Table:
    assert block.table is not None
    return block.table


def test_every_claim_stands_first_and_beside_its_expectation() -> None:
    assert next(iter(PAGE)) == "Answers" and len(PAGE["Answers"].items) == len(STUDY.claims)
    lines = table(PAGE["Expectations and findings"]).lines
    assert lines[0][0] == "The arm that is back recovers more than 0.80 of the level that pruning removed."
    assert [line[-1] for line in lines][:3] == ["as expected", "the opposite of what was expected", "undecided"]
    assert lines[-1][1:] == ["-", "not run"]


def test_the_page_repeats_when_and_with_which_hash_it_was_expected() -> None:
    assert (
        "2026-01-01, before the first run started, with the SHA-256 abc123" in PAGE["Expectations and findings"].text[0]
    )


def test_what_is_missing_is_said() -> None:
    assert PAGE["What is missing"].items == (
        "wrong (wrong answers): left out; not available here: pool",
        "not, seed 2: failed: no memory",
    )
    assert "What is missing" not in [block.heading for block in blocks(STUDY, FOUND, RECORD, Missing(), {})]


def test_a_line_for_each_arm_and_for_the_models_before_training() -> None:
    lines = table(PAGE["Arms"]).lines
    assert [line[0] for line in lines][-2:] == ["unpruned, before training (back)", "pruned, before training (back)"]
    assert all(len(line) == len(table(PAGE["Arms"]).head) for line in lines)
    assert lines[0][1] == "3" and lines[0][2].startswith("1.00 [") and lines[-1][4] == "0.20"


def test_pairs_that_were_not_at_equal_tokens_are_marked() -> None:
    arms = (arm("back", labelled_tokens=1200), arm("not"), arm("unsure", labelled_tokens=1190))
    found = findings(STUDY, Results("chain", BUDGETS, PROBLEMS, arms))
    page = {block.heading: block for block in blocks(STUDY, found, RECORD, Missing(), {})}
    cells = {line[0]: line[-1] for line in table(page["Paired differences"]).lines}
    assert list(cells.values()) == ["1.20 (NOT EQUAL)", "1.01"]


def test_flops_are_those_of_the_plan_for_the_tokens_trained_on() -> None:
    """5e9 for 1,000 tokens: 1e10 for 2,000."""
    lines = table(PAGE["Cost"]).lines
    assert lines[0] == ["the arm that is back", "1,000", "2,000", "1e+10", "12", "3"] and lines[1][3] == "-"


def test_other_cuts_have_a_line_of_their_own() -> None:
    cut = arm("unsure")
    deeper = tuple(replace(each, answers={**each.answers, "pruned": answers((0, 0, 0, 0.1))}) for each in cut.trainings)
    arms = (arm("back"), arm("not"), ArmResult("cut", "a deeper cut", deeper))
    found = findings(STUDY.model_copy(update={"claims": {}, "pairs": []}), Results("chain", BUDGETS, PROBLEMS, arms))
    assert [each.name for each in different_cuts(found)] == ["back", "cut"]


def test_an_arm_that_was_trained_once_is_named() -> None:
    results = Results("chain", BUDGETS, PROBLEMS, (arm("back", (1,)), arm("not"), arm("unsure")))
    page = {block.heading: block for block in blocks(STUDY, findings(STUDY, results), RECORD, Missing(), {})}
    assert page["How it was computed"].text[-1].endswith("do not cover other trainings: the arm that is back.")


def test_what_an_arm_is_can_be_read() -> None:
    study = STUDY.changed(shared=["seed=1"], arms={"back": {"title": "t", "keys": ["a=1", "b=2"]}}, claims={}, pairs=[])
    page = {block.heading: block for block in blocks(study, FOUND, RECORD, Missing(), {})}
    assert page["Arms in detail"].text == ("Every arm is full_recovery.yaml with seed=1, and in addition:",)
    assert table(page["Arms in detail"]).lines == [["back", "t", "a=1; b=2"]]
