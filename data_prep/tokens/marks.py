"""The marks of a thought as token sequences, whether a mark is one added token or plain text of several tokens.

A mark of plain text may be merged with adjacent text: a tokenizer may write `</think>` before an empty line as `</`,
`think`, `>\\n\\n`. So the first and the last position of a mark each hold all tokens that may occur there. If the
middle of a mark is split into other tokens than the tokenizer itself gives, it is text, not a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.spelling import token_bytes

Mark = tuple[tuple[int, ...], ...]
"""by position: the tokens that may occur there, the tokenizer's own one first"""


def exactly(ids: Iterable[int]) -> Mark:
    """The mark that only these tokens write."""
    return tuple((token,) for token in ids)


def own_ids(mark: Mark) -> tuple[int, ...]:
    """The tokens with which the tokenizer itself writes the mark."""
    return tuple(place[0] for place in mark)


def ends_with(ids: Sequence[int], mark: Mark) -> bool:
    """Whether `ids` end with the mark."""
    if len(ids) < len(mark):
        return False
    return all(token in place for token, place in zip(ids[len(ids) - len(mark) :], mark, strict=True))


def begun(ids: Sequence[int], mark: Mark) -> int:
    """How many tokens at the end of `ids` begin the mark; the whole mark does not count."""
    return next((size for size in range(len(mark) - 1, 0, -1) if ends_with(ids, mark[:size])), 0)


def completing(ids: Sequence[int], marks: Iterable[Mark]) -> tuple[int, ...]:
    """The tokens that would complete one of `marks` after `ids`."""
    return tuple(token for mark in marks if ends_with(ids, mark[:-1]) for token in mark[-1])


def holds(ids: Sequence[int], mark: Mark) -> bool:
    """Whether the mark is anywhere in `ids`."""
    ends = (place for place, token in enumerate(ids, start=1) if token in mark[-1])
    return any(ends_with(ids[max(0, place - len(mark)) : place], mark) for place in ends)


def is_plain(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a mark begins like ordinary text; if not, its first token is an added one, which is never merged."""
    return ids[0] not in tokenizer.added_tokens_decoder


def mark_of(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> Mark:
    """The mark that `ids` write, with all tokens that may begin and end it if it is plain text."""
    if not is_plain(ids, tokenizer):
        return exactly(ids)
    texts = _token_texts(tokenizer)
    first, last = texts[ids[0]].lstrip(), texts[ids[-1]].rstrip()
    if len(ids) == 1:
        return (_places(ids[0], (token for token, text in texts.items() if text.strip() == first.rstrip())),)
    begins = (token for token, text in texts.items() if text.endswith(first) and _parts(text[: -len(first)], first))
    ends = (token for token, text in texts.items() if text.startswith(last) and _parts(last, text[len(last) :]))
    return _places(ids[0], begins), *exactly(ids[1:-1]), _places(ids[-1], ends)


def _places(own: int, others: Iterable[int]) -> tuple[int, ...]:
    return (own, *sorted({*others} - {own}))


def _parts(before: str, after: str) -> bool:
    """Whether the border between two texts is not inside a word: `answers` does not end with the mark `answer`."""
    return not (before[-1:].isalnum() and after[:1].isalnum())


def _token_texts(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The text of every ordinary token; half a character becomes a replacement character, which is in no mark."""
    table = token_bytes(tokenizer)
    if table:
        texts = {token: table[token].decode(errors="replace") for token in tokenizer.get_vocab().values()}
    else:
        texts = {token: letters.replace("▁", " ") for letters, token in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    return {token: text for token, text in texts.items() if text and token not in added}
