"""Where a budget truncates the text of a thought: the character in its text that follows a number of its tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from transformers import PreTrainedTokenizerBase

REPLACEMENT = "\ufffd"
"""what a decoder writes for bytes that are no whole character"""


def characters_after(
    counts: Collection[int], thinking_ids: Sequence[int], text: str, tokenizer: PreTrainedTokenizerBase
) -> dict[int, int | None]:
    """For each of `counts` tokens, the number of characters of `text` (all of `thinking_ids`, decoded) that they spell.

    A character whose bytes are divided between two tokens belongs to the second. None if the first tokens alone are
    decoded to something that the whole text does not begin with (a decoder that removes blanks across tokens).
    """
    whole = len(thinking_ids)
    return {
        count: len(text) if count >= whole else _characters(thinking_ids[:count], text, tokenizer) for count in counts
    }


def _characters(first_ids: Sequence[int], text: str, tokenizer: PreTrainedTokenizerBase) -> int | None:
    begun = str(tokenizer.decode(list(first_ids)))
    # one by one: the text may contain such signs itself, and those are kept
    while not text.startswith(begun) and begun.endswith(REPLACEMENT):
        begun = begun[:-1]
    return len(begun) if text.startswith(begun) else None
