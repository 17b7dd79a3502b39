"""Does a text end in a loop? The definition of `eval.looping`, on words in place of token ids."""

from __future__ import annotations

import re

LONGEST_PERIOD = 64
SHORTEST_LOOP = 12
LONGEST_WORD = 200
USUAL_WORD = 16
"""characters per word; with it, the end of most texts that is looked at holds enough words"""
# Scripts written without spaces: Thai to Khmer, kana, Han, Hangul. Each of their characters is a word.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def ends_in_loop(text: str, rounds: int) -> bool:
    """True where the last words repeat with a period of at most 64: `rounds` full rounds, 12 words at the least."""
    words = last_words(text, max(rounds * LONGEST_PERIOD, SHORTEST_LOOP))
    # A loop of period p means that the last words equal themselves shifted by p: one comparison of lists per period.
    for period in range(1, min(LONGEST_PERIOD, len(words) // rounds) + 1):
        span = max(rounds * period, SHORTEST_LOOP)
        if span <= len(words) and words[-span:-period] == words[len(words) - span + period :]:
            return True
    return False


def last_words(text: str, count: int) -> list[str]:
    """The last `count` words: what stands between white space; one of over 200 characters counts by its characters."""
    near = _counted(WORD.findall(text[-count * USUAL_WORD :])[1:])  # the first may be the end of a longer one
    words = near if len(near) >= count else _counted(WORD.findall(text[-count * LONGEST_WORD :]))
    return words[-count:]


def _counted(words: list[str]) -> list[str]:
    return [part for word in words for part in (word if len(word) > LONGEST_WORD else (word,))]
