"""The preview: what is labelled stands apart, in colours or marks, and a terminal is not steered."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from data_prep.commands.preview import COLOURS, MARKS, Look, lines_of, look_of, printable, show
from data_prep.nano_world import nano_traces
from data_prep.tokens.batches import BatchWork
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Labeller
from data_prep.trace import Trace
from recipes.data import FormatSection
from recipes.errors import UserError
from recipes.loader import load_recipe
from tests.data_prep.tokenizers import qwen_like

QWEN = qwen_like()
PROMPT = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n"
COMPLETION = "é\n</think>\n\n4<|im_end|>"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(look: Look, max_length_tokens: int = 99) -> str:
    work = BatchWork(Labeller(QWEN, think_format(FormatSection(), QWEN)), max_length_tokens, "drop")
    return "\n".join(lines_of(Trace("t", "2+2?", "é", "4", "f"), work, look))


def test_marks_stand_around_what_is_labelled() -> None:
    assert shown(Look(1, MARKS, False)) == f"\n--- t: 32 tokens, 7 of them labelled\n{PROMPT}⟦{COMPLETION}⟧"


def test_colours_differ_and_hold_the_whole_text() -> None:
    text = shown(Look(1, COLOURS, False)).split("labelled\n")[1]
    (first, prompt), (second, completion) = re.findall(r"(\x1b\[[\d;]+m)(.*?)\x1b\[0m", text, re.DOTALL)
    assert (prompt, completion, first == second) == (PROMPT, COMPLETION, False)


def test_ids_follow_their_tokens() -> None:
    assert shown(Look(1, MARKS, True)).endswith(
        "⟦\\xc3⟧‹195›⟦\\xa9⟧‹169›⟦\n⟧‹10›⟦</think>⟧‹262›⟦\n\n⟧‹256›⟦4⟧‹52›⟦<|im_end|>⟧‹260›"
    )


def test_a_trace_that_will_not_be_there_is_named_with_the_reason() -> None:
    assert shown(Look(1, MARKS, False), max_length_tokens=31) == "\n--- f t: lost, too long: 32 tokens"


def test_rows_are_those_that_a_run_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the sweep asks is not shown: a run would not train it."""
    asked, *others = nano_traces({"chain": 1.0}, 3, 1)
    (tmp_path / "s.jsonl").write_text(json.dumps({"problem": asked.question, "answer": "1"}) + "\n")
    keys = [
        "data.traces={source: nano, size: 3, shares: {chain: 1.0}}",
        "data.decontaminate.coverage=1",
        f"sweep.suites=[{{source: jsonl, name: s, path: {tmp_path / 's.jsonl'}}}]",
    ]
    show(load_recipe(["recipe=lora_recovery.yaml", "sweep.confirm=null", *keys]).recipe, Look(9, MARKS, False))
    headings = [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("---")]
    assert headings == [f"--- {trace.id}" for trace in others]


@pytest.mark.parametrize(
    ("stream", "variable", "colour", "paint"),
    [
        (Terminal(), "", "auto", COLOURS),
        (io.StringIO(), "", "auto", MARKS),
        (Terminal(), "1", "auto", MARKS),
        (io.StringIO(), "1", "always", COLOURS),
        (Terminal(), "", "never", MARKS),
    ],
    ids=["terminal", "pipe", "NO_COLOR", "always", "never"],
)
def test_colours_only_where_they_are_seen_or_asked_for(  # type: ignore[no-untyped-def]
    stream, variable: str, colour: str, paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", variable)
    assert look_of({"colour": colour}, stream).paint == paint


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"n": "0"}, "n=0: must be"),
        ({"n": "x"}, "n=x: must be"),
        ({"ids": "yes"}, "ids=yes: must be true or false"),
        ({"colour": "red"}, "colour=red: must be auto, always or never"),
    ],
)
def test_a_wrong_look_is_named(own: dict[str, str], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        look_of(own)


def test_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\nd\u202e") == "a\\x1b[2Jb\tc\nd\\u202e"
