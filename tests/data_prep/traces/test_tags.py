"""Thoughts in tags: the four cases, the orders that are refused, tags inside code, white space."""

from __future__ import annotations

import pytest

from data_prep.traces.tags import PAIRS, Thought, join_thought, split_thought, unwrap


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.open)
def test_the_four_cases(pair: object) -> None:
    open, close = pair.open + "\n", "\n" + pair.close + "\n"  # type: ignore[attr-defined]
    assert split_thought(f"{open}t{close}a") == Thought("t", "a", "whole")
    assert split_thought(f"t{close}a") == Thought("t", "a", "whole")
    assert split_thought(f"{open}t") == Thought("t", "", "unclosed")
    assert split_thought("a") == Thought("", "a", "absent")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<think>a</think>b<think>c</think>d", "<think> </think> <think> </think>"),
        ("<think>a<think>b</think>c</think>d", "<think> <think> </think> </think>"),
        ("a</think>b</think>c", "</think> </think>"),
        ("</think>a<think>", "</think> <think>"),
        ("<think>a<think>b", "<think> <think>"),
        ("<think>" * 9, "<think> <think> <think> <think> <think> <think> …"),
        ("x <think>a</think>b", "there is text before '<think>': 'x'"),
        ("x <think>a", "there is text before '<think>': 'x'"),
    ],
)
def test_any_other_order_is_refused_and_told(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        split_thought(text)
    assert str(caught.value).endswith(says)


def test_an_empty_thought_in_tags_is_whole() -> None:
    assert split_thought("<think>\n\n</think>\n\na") == Thought("", "a", "whole")


def test_tags_of_another_pair_are_text() -> None:
    text = "<think>t <thinking> u</think>a</thinking>"
    assert split_thought(text) == Thought("t <thinking> u", "a</thinking>", "whole")


def test_words_that_begin_like_a_tag_are_none() -> None:
    assert split_thought("<|im_start|>thinker <thinks>").state == "absent"


@pytest.mark.parametrize(
    "code", ["`</think>`", "``a ` </think>``", "\n```html\n<think>x</think>\n```\n", "\n~~~\n<think>\n</think>\n~~~\n"]
)
def test_tags_inside_code_are_text(code: str) -> None:
    assert split_thought(f"<think>t {code} u</think>a {code}") == Thought(f"t {code} u", f"a {code}", "whole")
    assert split_thought(f"<think>t {code} u").state == "unclosed"
    assert split_thought(f"t {code} u").state == "absent"


def test_a_backtick_alone_opens_no_code() -> None:
    assert split_thought("<think>a ` b\n</think>c ` d") == Thought("a ` b", "c ` d", "whole")


def test_a_fence_that_is_never_closed_is_no_code() -> None:
    assert split_thought("<think>```\nt</think>a") == Thought("```\nt", "a", "whole")


def test_three_backticks_round_code_on_one_line_open_no_fence() -> None:
    assert split_thought("<think>\n```x``` is it\n</think>\na\n```\ny\n```\n") == Thought(
        "```x``` is it", "a\n```\ny\n```\n", "whole"
    )
    assert split_thought("<think>\n```x``` is `<think>`\n</think>\na\n```\ny\n```\n").state == "whole"


def test_a_fence_left_open_in_the_thought_does_not_swallow_the_border() -> None:
    text = "<think>\n```py\nx = 1\n</think>\n\nSo:\n```\nx = 1\n```\n"
    assert split_thought(text) == Thought("```py\nx = 1", "So:\n```\nx = 1\n```\n", "whole")


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\n  t \n\n</think>\n\n a ", "  t \n", "a "),
        ("\n\n<think>\r\nt\r\n</think>\r\na", "t", "a"),
        (
            "<|begin_of_thought|>\n\nt\n\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n a\n\n<|end_of_solution|>",
            "t\n",
            "a",
        ),
    ],
)
def test_the_white_space_of_the_tags_goes_and_no_other(text: str, thinking: str, answer: str) -> None:
    assert split_thought(text) == Thought(thinking, answer, "whole")


@pytest.mark.parametrize("thinking", ["t", "<think>\nt\n</think>", "<think>t", "t</think>", "\n<think>\nt\n</think>\n"])
def test_a_thought_with_its_own_place_loses_tags_round_it(thinking: str) -> None:
    assert unwrap(thinking) == "t"


@pytest.mark.parametrize(
    ("thinking", "text", "expected"),
    [
        ("t", " a ", Thought("t", " a ", "whole")),
        (None, "a", Thought("", "a", "absent")),
        ("", "a", Thought("", "a", "whole")),
        ("", "<think>t</think>a", Thought("t", "a", "whole")),
        (None, "<think>t", Thought("t", "", "unclosed")),
        ("t", "<think>t</think>a", Thought("t", "a", "whole")),
    ],
)
def test_a_place_for_the_thought_beside_the_text(thinking: str | None, text: str, expected: Thought) -> None:
    assert join_thought(thinking, text) == expected


def test_two_different_thoughts_are_refused() -> None:
    with pytest.raises(ValueError, match="two thoughts"):
        join_thought("t", "<think>u</think>a")


@pytest.mark.parametrize(
    "text",
    [
        "`" * 300_000,
        "```\n" * 100_001,
        "` " * 100_000,
        "x" * 300_000,
        "~~~\n" * 50_001 + "```\n" * 50_001,
        "```\n" + "<think></think>" * 50_000 + "\n```\n",
    ],
    ids=["backticks", "fences", "spans", "letters", "fences-mixed", "tags-in-code"],
)
def test_long_hostile_texts_are_taken_apart(text: str) -> None:
    assert split_thought(f"<think>\n{text}\n</think>\n\na") == Thought(text, "a", "whole")


def test_ever_so_many_tags_are_refused() -> None:
    with pytest.raises(ValueError, match="do not mark one thought"):
        split_thought("<think></think>" * 100_000)
