"""Ids that spell a text: the joined bytes of tokens against what the tokenizer itself decodes."""

from __future__ import annotations

import random

import pytest
from tokenizers import decoders

from data_prep.nano_world import build_tokenizer
from data_prep.tokens.spelling import Speller, byte_letters, token_bytes
from tests.data_prep.tokenizers import CLOSE, TWO_LINES, qwen_like, spelled_bytes

QWEN, NANO = qwen_like(), build_tokenizer()


def test_bytes_of_tokens() -> None:
    table = token_bytes(QWEN)
    assert (table[10], table[195], table[TWO_LINES], table[CLOSE]) == (b"\n", b"\xc3", b"\n\n", b"</think>")


def test_letters_of_bytes_are_those_of_the_vocabulary() -> None:
    assert byte_letters() == spelled_bytes()


def test_an_added_token_of_other_letters_is_written_as_it_is() -> None:
    tokenizer = qwen_like()
    tokenizer.add_tokens(["a b é"])
    assert token_bytes(tokenizer)[-1] == "a b é".encode() == tokenizer.decode([len(tokenizer) - 1]).encode()


def test_there_is_no_table_where_the_decoder_does_more_than_join_bytes() -> None:
    stripping = qwen_like()
    stripping.backend_tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    assert (token_bytes(NANO), token_bytes(stripping)) == ([], [])


@pytest.mark.parametrize("tokenizer", [QWEN, NANO], ids=["bytes", "words"])
def test_one_changed_token_is_seen(tokenizer) -> None:  # type: ignore[no-untyped-def]
    text = "#1 +3 7 10 #2 *4 10 7"
    ids = tokenizer.encode(text, add_special_tokens=False)
    speller = Speller(tokenizer)
    assert speller.spells(ids, text)
    assert [speller.spells([*ids[:i], ids[i] + 1, *ids[i + 1 :]], text) for i in range(len(ids))] == [False] * len(ids)


def test_the_table_says_what_the_tokenizer_says() -> None:
    rng = random.Random(0)
    table = token_bytes(QWEN)
    for _ in range(200):
        ids = [rng.randrange(len(QWEN)) for _ in range(rng.randrange(12))]
        assert b"".join(table[i] for i in ids).decode(errors="replace") == Speller(QWEN).read(ids)
