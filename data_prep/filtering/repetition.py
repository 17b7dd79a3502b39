"""Does a text end in a loop? The definition of `eval.looping`, on words in place of token ids."""

from __future__ import annotations

import re

from data_prep.filtering.comparable import WORD

LONGEST_PERIOD = 64
SHORTEST_LOOP = 12
LONGEST_WORD = 200
USUAL_WORD = 16
"""characters per word; with it, the end of most texts that is examined has enough words"""
LONGEST_TABLE = 1000
"""so many words of rows or digits may repeat: a grid ends by itself, a loop of digits runs on to its token limit"""
ROW = re.compile(r"\|.*\|\s*|.*\S\t.*|\S+[,;|]\S+|.* & .*")
"""a line of a table: between bars, with tabs, cells separated by marks without blanks, LaTeX's &"""
ROWS = 3


def ends_in_loop(text: str, rounds: int) -> bool:
    """True if the last words repeat with a period of at most 64: `rounds` full rounds, at least 12 words.

    In tables, grids and numbers at least 1,000 words, since their rows may be equal and still come to an end.
    """
    words = last_words(text, max(rounds * LONGEST_PERIOD, SHORTEST_LOOP))
    for period in range(1, min(LONGEST_PERIOD, len(words) // rounds) + 1):
        if _repeats(words, period, max(rounds * period, SHORTEST_LOOP)):
            table = not has_letters(words[-period:]) or ends_in_table(text)
            if not table or _repeats(last_words(text, LONGEST_TABLE), period, LONGEST_TABLE):
                return True
    return False


def _repeats(words: list[str], period: int, span: int) -> bool:
    """Whether the last `span` words repeat with the period: they equal themselves shifted by it, one comparison."""
    return span <= len(words) and words[-span:-period] == words[len(words) - span + period :]


def has_letters(words: list[str]) -> bool:
    return any(map(str.isalpha, "".join(words)))


def ends_in_table(text: str) -> bool:
    """Whether the last three lines are rows: as `ROW` matches, or of equally many cells of one letter or none."""
    lines = [line.strip(" \r") for line in text[-ROWS * LONGEST_WORD :].split("\n") if line.strip()][-ROWS:]
    if len(lines) == ROWS and all(map(ROW.fullmatch, lines)):
        return True
    cells = [line.split() for line in lines]
    small = all(len(cell) == 1 or not has_letters([cell]) for row in cells for cell in row)
    return len(lines) == ROWS and small and len(cells[0]) > 1 and len({len(row) for row in cells}) == 1


def last_words(text: str, count: int) -> list[str]:
    """The last `count` words, split at white space; in one of over 200 characters each character counts as a word."""
    near = _counted(WORD.findall(text[-count * USUAL_WORD :])[1:])  # the first may be the end of a longer one
    words = near if len(near) >= count else _counted(WORD.findall(text[-count * LONGEST_WORD :]))
    return words[-count:]


def _counted(words: list[str]) -> list[str]:
    return [part for word in words for part in (word if len(word) > LONGEST_WORD else (word,))]
