"""What endpoints answer, each in its own way, comes to the same tokens; what is no completion comes to a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_prep.tokens.prompts import think_format
from eval.engines.completions import Call, Completion, Failure
from eval.engines.server_reply import ReplyReader
from recipes.data import FormatSection
from tests.data_prep.tokenizers import CLOSE, IM_END, IM_START, PAD, THINK, qwen_like
from tests.eval.scripted import make_protocol

TOKENIZER = qwen_like()
FORMAT = think_format(FormatSection(), TOKENIZER)
READER = ReplyReader(make_protocol([8], FORMAT, vocabulary_size=len(TOKENIZER)), TOKENIZER)
H, E = ord("h"), ord("e")
THINKING = Call((1,), 8, (((CLOSE,),), ((IM_END,),)), (), seed=0)
ANSWERING = Call((1,), 8, (((IM_END,),),), (THINK, CLOSE), seed=0)


def read(call: Call = THINKING, reader: ReplyReader = READER, **choice: Any) -> Completion | Failure:
    return reader.read(json.dumps({"choices": [{"index": 0, "logprobs": None, **choice}]}), call)


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "he</think>", "token_ids": [H, E, CLOSE], "finish_reason": "stop", "stop_reason": "</think>"},
        {"text": "he", "finish_reason": "stop", "stop_reason": "</think>"},
        {"text": "he</think>", "finish_reason": "stop", "matched_stop": "</think>"},
        {"text": "he", "finish_reason": "stop", "matched_stop": CLOSE},
        {"text": "he", "finish_reason": "stop"},
        {"text": "he</think>", "finish_reason": "stop_sequence"},
    ],
    ids=["vllm", "vllm without ids", "sglang", "sglang by id", "llama.cpp", "tgi"],
)
def test_a_thought_that_closed(choice: dict[str, Any]) -> None:
    assert read(**choice) == Completion((H, E, CLOSE))


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "he", "token_ids": [H, E, IM_END], "finish_reason": "stop", "stop_reason": None},
        {"text": "he", "finish_reason": "stop", "stop_reason": None},
        {"text": "he", "finish_reason": "stop", "stop_reason": "<|im_end|>"},
        {"text": "he", "finish_reason": "stop", "matched_stop": IM_END},
        {"text": "he", "finish_reason": "stop", "matched_stop": 4711},
        {"text": "he", "finish_reason": "eos_token"},
    ],
    ids=["vllm", "vllm without ids", "vllm by string", "sglang", "sglang, another eos", "tgi"],
)
def test_a_thought_that_ended_without_a_close(choice: dict[str, Any]) -> None:
    assert read(**choice) == Completion((H, E, IM_END))


@pytest.mark.parametrize("reason", ["stop", "eos_token", "stop_sequence"])
def test_an_answer_that_ended(reason: str) -> None:
    assert read(ANSWERING, text="he", finish_reason=reason) == Completion((H, E, IM_END))


def test_what_was_cut_for_its_length_gets_no_end() -> None:
    assert read(ANSWERING, text="he", finish_reason="length") == Completion((H, E))


@pytest.mark.parametrize("choice", [{"text": ""}, {"text": None}, {}, {"text": None, "token_ids": []}])
def test_an_answer_that_ended_at_once(choice: dict[str, Any]) -> None:
    assert read(ANSWERING, finish_reason="stop", **choice) == Completion((IM_END,))


def test_more_tokens_than_were_asked_for_are_cut() -> None:
    assert read(ANSWERING, text="h" * 20, finish_reason="length") == Completion((H,) * 8)


def test_a_close_of_several_tokens_is_put_back_whole() -> None:
    fmt = think_format(FormatSection(open="<|im_start|>think\n", close="<|im_start|>answer\n"), TOKENIZER)
    reader = ReplyReader(make_protocol([8], fmt, vocabulary_size=len(TOKENIZER)), TOKENIZER)
    call = Call((1,), 20, (fmt.close_mark, ((IM_END,),)), (), seed=0)
    whole = Completion((H, E, IM_START, *b"answer"))
    assert read(call, reader, text="he", finish_reason="stop", stop_reason="<|im_start|>answer") == whole
    assert read(call, reader, text="he<|im_start|>answer", finish_reason="stop") == whole


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (
            {"text": "h", "token_ids": [H, 263], "finish_reason": "length"},
            "the endpoint returned 263, which is not a token of the tokenizer (0 … 262)",
        ),
        (
            {"text": "h", "token_ids": [-1], "finish_reason": "length"},
            "the endpoint returned -1, which is not a token of the tokenizer (0 … 262)",
        ),
        (
            {"text": "h", "token_ids": ["h"], "finish_reason": "length"},
            "the endpoint returned 'h', which is not a token of the tokenizer (0 … 262)",
        ),
        ({"text": "h", "finish_reason": "abort"}, "the endpoint ended the call with finish_reason 'abort'"),
        ({"text": "h", "finish_reason": None}, "the endpoint ended the call with finish_reason None"),
        ({"text": "", "finish_reason": "length"}, "the endpoint gave no token"),
    ],
)
def test_what_cannot_be_trusted_is_a_failure(choice: dict[str, Any], reason: str) -> None:
    assert read(**choice) == Failure(reason)


def test_a_mark_in_an_answer_shows_an_endpoint_that_cannot_ban_it() -> None:
    result = read(ANSWERING, text="h<think>", finish_reason="length")
    assert isinstance(result, Failure) and "gave the token '<think>' in an answer, which logit_bias" in result.reason


@pytest.mark.parametrize(
    "reply",
    [
        "<html>",
        "[]",
        "null",
        '{"choices": []}',
        '{"choices": [{"text": "he"}]}',
        '{"choices": [{"text": 3, "finish_reason": "stop"}]}',
        '{"choices": [{"text": null, "finish_reason": "length"}]}',
    ],
)
def test_nonsense_is_no_completion(reply: str) -> None:
    assert READER.read(reply, THINKING) == Failure(f"the endpoint answered with no completion: {reply!r}")


def test_tokens_of_the_padding_are_read_as_they_are() -> None:
    assert read(ANSWERING, token_ids=[PAD, H], text="h", finish_reason="length") == Completion((PAD, H))
