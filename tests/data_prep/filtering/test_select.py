"""Selection by score: which places are kept is worked out by hand; what has no score is never passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_prep.filtering.select import chosen, select, trace_hash
from data_prep.ledger import Ledger
from data_prep.tokens.batches import TOO_LONG
from data_prep.trace import Trace
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.quality import SelectSection

SCORES = [0.5, 0.1, 0.9, 0.3, 0.7]  # in order: places 1 3 0 4 2


def section(**keys: Any) -> SelectSection:
    return SelectSection.model_validate({"scores": "s.jsonl", **keys})


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"keep": "bottom", "count": 2}, {1, 3}),
        ({"keep": "top", "count": 2}, {2, 4}),
        ({"keep": "middle", "count": 3}, {3, 0, 4}),
        ({"keep": "middle", "count": 2}, {3, 0}),
        ({"keep": "middle", "count": 1}, {0}),
        ({"keep": "middle", "share": 0.6}, {3, 0, 4}),
        ({"keep": "middle", "share": 1.0}, {0, 1, 2, 3, 4}),
        ({"keep": "bottom", "share": 0.01}, {1}),
        ({"keep": "band", "low": 0.3, "high": 0.7}, {0, 3, 4}),
        ({"keep": "band", "low": 0.91, "high": 2}, set()),
    ],
)
def test_the_places_that_are_kept(keys: dict[str, Any], kept: set[int]) -> None:
    assert chosen(SCORES, section(**keys)) == kept


def test_of_equal_scores_the_first_is_the_lower() -> None:
    assert chosen([1.0, 1.0, 1.0], section(keep="bottom", count=1)) == {0}
    assert chosen([1.0, 1.0, 1.0], section(keep="top", count=1)) == {2}


def test_more_than_there_are_cannot_be_kept() -> None:
    with pytest.raises(UserError, match="count=6: only 5 traces"):
        chosen(SCORES, section(keep="top", count=6))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"share": 0.5, "count": 1},
        {"share": 1.5},
        {"count": 0},
        {"keep": "band", "low": 1},
        {"count": 1, "low": 0},
        {"keep": "band", "low": 2, "high": 1},
        {"keep": "band", "low": 1, "high": 2, "count": 3},
    ],
)
def test_what_cannot_be_meant_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**keys)


def data(more: dict[str, Any] | None = None, **keys: Any) -> DataSection:
    """A recipe's data with such a selection, and `more` of its own keys."""
    return DataSection.model_validate(
        {
            "traces": {"source": "file", "path": "t.jsonl"},
            "max_length_tokens": 8,
            "select": {"scores": "s.jsonl", **keys},
            **(more or {}),
        }
    )


def traces() -> list[Trace]:
    return [Trace(f"t{i}", f"q{i}", "é\u2028", "a", "here", gold="1") for i in range(5)]


def score_file(path: Path, scores: list[float | None]) -> Path:
    rows = [
        {"trace": trace_hash(trace), "gap": score, "loss_pruned": 1.0}
        for trace, score in zip(traces(), scores, strict=False)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)), encoding="utf-8")
    return path


def test_the_kept_traces_come_unchanged_in_their_order_and_the_others_are_counted(tmp_path: Path) -> None:
    scores, ledger = score_file(tmp_path / "s.jsonl", [*SCORES]), Ledger()
    kept = list(select(traces(), data(scores=str(scores), count=3), ledger))
    assert kept == [traces()[i] for i in (0, 3, 4)]
    assert ledger.lost == {"not selected": 2}
    assert ledger.named["not selected"] == ["here t1: its gap is 0.1000", "here t2: its gap is 0.9000"]


def test_a_trace_too_long_for_a_score_is_lost_and_not_ranked(tmp_path: Path) -> None:
    scores, ledger = score_file(tmp_path / "s.jsonl", [0.5, None, 0.9, 0.3, 0.7]), Ledger()
    kept = list(select(traces(), data(scores=str(scores), keep="bottom", share=0.5), ledger))
    assert [trace.id for trace in kept] == ["t0", "t3"]
    assert ledger.lost == {"without a score": 1, "not selected": 2}
    assert ledger.named["without a score"] == ["here t1: too long"]


@pytest.mark.parametrize(
    ("lost", "allowed", "refused"),
    [
        ({}, {"overlong": "drop"}, {"overlong": "error"}),  # a file of an earlier version
        ({"lost": TOO_LONG}, {"overlong": "drop", "on_error": "stop"}, {"overlong": "error"}),
        ({"lost": "not spelled"}, {"overlong": "error", "on_error": "skip"}, {"on_error": "stop"}),
    ],
)
def test_a_loss_that_the_recipe_forbids_stops_at_its_trace(
    tmp_path: Path, lost: dict[str, str], allowed: dict[str, str], refused: dict[str, str]
) -> None:
    scores = score_file(tmp_path / "s.jsonl", [0.5, None, 0.9, 0.3, 0.7])
    rows = [json.loads(line) for line in scores.read_text(encoding="utf-8").splitlines()]
    scores.write_text("".join(json.dumps(row | lost) + "\n" for row in rows), encoding="utf-8")
    assert len(list(select(traces(), data(allowed, scores=str(scores), count=4), Ledger()))) == 4
    with pytest.raises(UserError, match=r"data\.\w+=(error|stop): trace here t1 has no score"):
        list(select(traces(), data(refused, scores=str(scores), count=4), Ledger()))


def test_a_trace_without_a_score_is_named(tmp_path: Path) -> None:
    scores = score_file(tmp_path / "s.jsonl", [0.5, 0.1])
    with pytest.raises(UserError, match="no score for trace here t2"):
        list(select(traces(), data(scores=str(scores), count=1), Ledger()))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"trace": "x"}', "a row of scores needs trace and gap"),
        ("oops", "a row of scores"),
        ('{"trace": "x", "gap": "high"}', "gap must be a number, got 'high'"),
        ('{"trace": "x", "gap": NaN}', "gap must be a number, got nan"),
    ],
)
def test_a_row_that_is_no_score_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "s.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"s.jsonl:1: {said}"):
        list(select(traces(), data(scores=str(tmp_path / "s.jsonl"), count=1), Ledger()))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError, match="data.select.scores: no file at nowhere.jsonl"):
        list(select(traces(), data(scores="nowhere.jsonl", count=1), Ledger()))
