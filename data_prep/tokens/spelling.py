"""Proves that token ids spell a text, byte for byte; cheap enough to run on every trace.

A byte-level tokenizer decodes by joining the bytes of its tokens. If the decoder does exactly that, the bytes of each
token are looked up in a table and joined, at a quarter of the cost of decoding; otherwise the tokenizer decodes.
"""

from __future__ import annotations

import json

from transformers import PreTrainedTokenizerBase


class Speller:
    """Checks whether ids spell a text under one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.table = token_bytes(tokenizer)

    def spells(self, ids: list[int], text: str) -> bool:
        """Whether `ids`, decoded without skipping or clean-up, are `text`."""
        if self.table and b"".join(map(self.table.__getitem__, ids)) == text.encode():
            return True
        return self.read(ids) == text

    def read(self, ids: list[int]) -> str:
        """The text that the tokenizer itself decodes."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def token_bytes(tokenizer: PreTrainedTokenizerBase) -> list[bytes]:
    """The bytes of every token, by id; [] if the tokenizer's decoder is not purely byte-level.

    A token whose letters do not all stand for bytes (an added token with a space) is written unchanged, as the decoder
    of `tokenizers` does.
    """
    if not _decodes_bytes(tokenizer):
        return []
    byte_of = {letter: byte for byte, letter in byte_letters().items()}
    vocabulary = tokenizer.get_vocab()
    table = [b""] * (max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        is_bytes = all(letter in byte_of for letter in token)
        table[number] = bytes(byte_of[letter] for letter in token) if is_bytes else token.encode()
    return table


def _decodes_bytes(tokenizer: PreTrainedTokenizerBase) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.decoder is None:
        return False
    decoder = json.loads(backend.decoder.__getstate__())
    parts = decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]
    return [part["type"] for part in parts] == ["ByteLevel"]


def byte_letters() -> dict[int, str]:
    """The letter by which a byte-level vocabulary writes each byte: printable Latin-1 as itself, others from U+0100."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in plain)
    return {byte: chr(byte) for byte in plain} | {byte: chr(0x100 + i) for i, byte in enumerate(others)}


def first_difference(text: str, spelled: str) -> str:
    """Where two texts differ first, in words."""
    at = next((i for i, (a, b) in enumerate(zip(text, spelled, strict=False)) if a != b), min(len(text), len(spelled)))
    return f"wrote {text[at : at + 20]!r}, reads back {spelled[at : at + 20]!r} (character {at})"
