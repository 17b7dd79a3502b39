"""`python -m data_prep check`: the table of what is in a trace set."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.__main__ import main
from recipes.errors import UserError
from tests.data_prep.trace_files import write_rows

GOOD = {"question": "q", "thinking": "t", "answer": "a"}


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """First column to the rest of the line."""
    main(["check", *arguments])
    return {line[:22].strip(): " ".join(line[22:].split()) for line in capsys.readouterr().out.splitlines()}


def test_each_filter_is_counted_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rows(
        tmp_path / "a.jsonl",
        [GOOD, {**GOOD, "id": "e", "thinking": ""}, {**GOOD, "answer": 1}, {"prompt": "q", "completion": "<think>"}],
    )
    seen = table(capsys, f"traces={path}")
    assert seen["4 rows read"] == ""
    assert seen["broken row"].startswith(f"1 25.00% {path}:3: 'answer' must be text")
    assert seen["unclosed thinking"].startswith(f"unclosed_thinking=drop 1 25.00% {path}:4: ")
    assert seen["empty thinking"].startswith(f"off, would drop at min_thinking_characters=1 2 50.00% {path} e: a th")
    assert seen["missing final answer"].startswith("min_answer_characters=1 1 25.00%")
    assert seen["loop"] == "loop_rounds=3 0 0.00%"
    assert seen["kept"] == "by all that are on 2 50.00%"


def test_a_recipe_is_checked_with_its_filters(capsys: pytest.CaptureFixture[str]) -> None:
    seen = table(
        capsys,
        "recipe=lora_recovery.yaml",
        "data.traces.size=100",
        "data.filters.answer_contains=answer",
        "data.filters.loop_rounds=null",
    )
    assert seen["unmarked final answer"] == "answer_contains=answer 0 0.00%"
    assert seen["loop"] == "off, would drop at loop_rounds=3 0 0.00%"
    assert seen["kept"] == "by all that are on 100 100.00%"


def test_what_was_done_to_rows_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", f"traces={write_rows(tmp_path / 'a.jsonl', [{**GOOD, 'system': 's'}])}"])
    assert capsys.readouterr().out.splitlines()[-1] == "system message joined to the question: 1 rows"


def test_a_long_example_says_how_much_of_it_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{**GOOD, "id": "e" * 300, "answer": ""}])
    whole = f"{path} {'e' * 300}: an answer of 0 characters"
    assert table(capsys, f"traces={path}")["missing final answer"].endswith(
        f"{whole[:200]} … (and {len(whole) - 200} characters more)"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "traces=none.jsonl"], "traces=none.jsonl: there is no such file or folder"),
        (["check", "traces=a.jsonl", "seed=1"], "seed=1 does not go with traces="),
        (["check", "traces="], "traces= is empty"),
        (["check", "traces=a.jsonl", "format=xml"], "format=xml: allowed: auto, openr1_math"),
        (["check"], "give one recipe=FILE"),
        (["chekc"], "the first word must be check, "),
        ([], "got nothing"),
        (["nano", "recipe=nano_world.yaml"], "out=DIR is missing"),
    ],
)
def test_mistakes(arguments: list[str], says: str) -> None:
    with pytest.raises(UserError) as caught:
        main(arguments)
    assert says in str(caught.value)
