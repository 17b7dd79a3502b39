r"""Grading of mathematics: the box, or the answer stated in the text (`extraction`), against the gold answer.

Rules settle simple cases at once (`settle`): equal spelling, words, numbers, numerals with a base, residues, patterns
with an ellipsis, units. Everything else goes to math-verify (`verify_math`), which runs in a worker process that can be
killed (`pool`). Both begin by reading the answer in the same way (`read_answer`). docs/grading.md has every rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from data_prep.grading import algebra
from data_prep.grading.extraction import LONGEST_EXTRACTED, boxed, stated_formula, stated_number
from data_prep.grading.latex import WRAPPER, are_words, same_words, spelling, tidy, unwrap
from data_prep.grading.numerals import Numeral, join_groups, read_number, same_number, spell_powers, split_base
from data_prep.grading.relations import as_set
from data_prep.grading.rules import Grade
from data_prep.grading.signs import plain
from data_prep.grading.units import split_unit, units_differ

LONGEST_BOX = 2000  # characters; a longer answer is right only if the gold answer is long too
NOT_READ = "the gold answer cannot be read"
ANSWER_NOT_READ = "the answer cannot be read"
EMPTY = {r"\emptyset", "emptyset", "theemptyset", "nosolution", "nosolutions", "therearenosolutions"}
OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
NAMED = re.compile(
    r"([A-Za-z](?:_\{?[A-Za-z0-9]\}?)?|\\?\|[^=|]{1,20}\||[A-Za-z]\([^=()]{1,20}\)|[A-Z]{2,3})\s*=\s*([^=]+)"
)
LABEL = re.compile(r"(?:\\text\s?\{)?\s*(?:the )?(?:final |correct )?answer(?: is)?\s?:?\s*\}?\s*", re.IGNORECASE)
FUNCTION = r"\\(?:sin|cos|tan|cot|sec|csc)(?:\s?\^\s?\{?[0-9]\}?)?"
FUNCTION_NAME = re.compile(FUNCTION)
IN_FUNCTION = re.compile(rf"({FUNCTION}\s?[({{]?\s?)(-?[0-9.]+)\s?(?:\^\s?\{{\s?\\circ\s?\}}|\^\s?\\circ|°)")
MODULUS = re.compile(
    r"(?:[a-zA-Z]\s*(?:\\equiv|=)\s*)?(.+?)\s*\(?\s*\\?[pb]?mod(?:ulo)?(?![a-z])\s*\{?\s*([0-9]+)\s*\}?\s*\)?"
)
DECIMAL_COMMA = re.compile(r"-?(?:[0-9]+,[0-9]{1,2}|0,[0-9]+)")
ARITHMETIC = re.compile(r"(?:[-+*/^(){}0-9., ]|\\(?:frac|cdot|times|sqrt|pi|div)(?![a-z])){1,200}")
E_NUMBER = re.compile(r"-?[0-9]+[eE]-[0-9]")


@dataclass(frozen=True)
class Answer:
    """An answer prepared for comparison: tidied, its spelling, and the value in LaTeX without the unit."""

    tidied: str
    spelling: str
    value: str
    unit: str
    unknown: str  # of an inequality whose set is in `value`
    name: str  # `x` of `x = 5`
    number: Numeral | None

    @property
    def percent(self) -> bool:
        return self.unit == "percent"


@lru_cache(maxsize=1024)
def read_answer(answer: str) -> Answer:
    """The parts of an answer that are compared. Rules alone, so any text is read at once."""
    tidied = tidy(answer)
    body = _not_approximated(_bare(tidied))
    body = IN_FUNCTION.sub(lambda part: f"{part.group(1)}\\frac{{{part.group(2)}\\pi}}{{180}}", body)
    values, unknown = as_set(join_groups(body))
    in_function = r"\circ" in values and FUNCTION_NAME.search(values) is not None
    value, unit = (values, "") if in_function else split_unit(values)
    value = spell_powers(join_groups(value))
    named = NAMED.fullmatch(value)
    number = read_number((named.group(2) if named else value).removesuffix(r"\%"))
    return Answer(tidied, spelling(tidied), value, unit, unknown, named.group(1) if named else "", number)


def _bare(tidied: str) -> str:
    r"""`5 cm` of `\text{Answer: 5 cm}`: without a typeface around all of it, and without the word answer."""
    face = WRAPPER.fullmatch(tidied)
    text = face.group(1) if face and any(sign.isdigit() for sign in tidied) else tidied
    label = LABEL.match(text)
    return text[label.end() :] if label and label.end() < len(text) else text


def _not_approximated(tidied: str) -> str:
    r"""`\sqrt{2}` of `\sqrt{2} \approx 1.41`, and `1.41` of `x \approx 1.41`."""
    exact, _, rounded = tidied.partition(r"\approx")
    return rounded.strip() if re.fullmatch(r"\\?[A-Za-z]+\s*", exact) and rounded else exact.strip()


def settle(text: str, gold: str) -> Grade | None:
    """The grade if rules decide; None if it takes algebra."""
    if not gold.strip():
        return Grade(False, "", NOT_READ)
    answer = stated(text, gold)
    if answer is None or not answer.strip():
        return Grade(False, "", "no answer")
    shown = answer.strip()[:LONGEST_EXTRACTED]
    if len(answer) > max(LONGEST_BOX, 10 * len(gold)):
        return Grade(False, shown, "answer too long")
    if len(answer) > LONGEST_EXTRACTED or len(gold) > LONGEST_EXTRACTED:
        same = " ".join(answer.split()) == " ".join(gold.split())
        return Grade(True, shown, "equal") if same else None
    wanted, given = read_answer(gold), read_answer(answer)
    if units_differ(wanted.unit, given.unit):
        return Grade(False, shown, f"unit differs ({given.unit} for {wanted.unit})")
    equal = by_rule(wanted, given)
    return None if equal is None else Grade(equal, shown, "equal" if equal else "differs")


def stated(text: str, gold: str) -> str | None:
    """The answer that a text gives: in a box, else in its words; a number if the gold answer is one."""
    box = boxed(text)
    if box is not None:
        return box
    text = plain(text)
    if (unfinished := OPEN_BOX.search(text)) is not None:
        text = text[: unfinished.start()]
    wanted = read_answer(gold) if len(gold) <= LONGEST_EXTRACTED else None
    if wanted is not None and wanted.number is not None and not wanted.unknown:
        return stated_number(text, _is_number)
    return stated_formula(text)


def _is_number(formula: str) -> bool:
    answer = read_answer(formula)
    return answer.number is not None or ARITHMETIC.fullmatch(answer.value) is not None


def by_rule(wanted: Answer, given: Answer) -> bool | None:
    """Whether the answers are equal, if rules can tell; else None."""
    if wanted.spelling == given.spelling or same_words(given.spelling, wanted.spelling):
        return True
    empty = [_is_empty(answer) for answer in (wanted, given)]
    if any(empty):
        return all(empty)
    if are_words(wanted.tidied):
        return False
    if r"\ldots" in wanted.tidied or r"\ldots" in given.tidied:
        return False  # a pattern equals only itself
    for rule in (_bases, _residues, _numbers):
        equal = rule(wanted, given)
        if equal is not None:
            return equal
    return None


def _is_empty(answer: Answer) -> bool:
    return answer.spelling.replace(" ", "").lower() in EMPTY


def _bases(wanted: Answer, given: Answer) -> bool | None:
    r"""Numerals with a base: the digits are the same, and so are the bases if both are named."""
    (digits, base), (given_digits, given_base) = _with_base(wanted), _with_base(given)
    if not base and not given_base:
        return None
    return digits == given_digits and (base == given_base or 0 in (base, given_base))


def _with_base(answer: Answer) -> tuple[str, int]:
    return split_base(" ".join(unwrap(answer.tidied).split())) or (answer.spelling.lower(), 0)


def _residues(wanted: Answer, given: Answer) -> bool | None:
    r"""`3 \pmod 7`: the same modulus and the same class; if one side names no modulus, the same number."""
    read = [MODULUS.fullmatch(" ".join(unwrap(answer.tidied).split())) for answer in (wanted, given)]
    if not any(read):
        return None
    numbers = [
        read_number(match.group(1)) if match else answer.number
        for match, answer in zip(read, (wanted, given), strict=True)
    ]
    if numbers[0] is None or numbers[1] is None:
        return False
    moduli = {int(match.group(2)) for match in read if match}
    if len(moduli) > 1 or 0 in moduli:
        return False
    difference = numbers[0].value - numbers[1].value
    return difference % moduli.pop() == 0 if all(read) else difference == 0


def _numbers(wanted: Answer, given: Answer) -> bool | None:
    if wanted.number is None or given.number is None:
        return _decimal_comma(wanted, given)
    if wanted.name and given.name and wanted.name.lower() != given.name.lower():
        return False
    if same_number(wanted.number, given.number):
        return True
    if wanted.percent != given.percent:  # a missing sign is settled above; otherwise 0.35 is 35 %
        share, plain_value = (wanted, given) if wanted.percent else (given, wanted)
        assert share.number is not None and plain_value.number is not None
        return same_number(Numeral(share.number.value / 100), plain_value.number)
    if E_NUMBER.search(wanted.spelling) or E_NUMBER.search(given.spelling):
        return None
    return False


def _decimal_comma(wanted: Answer, given: Answer) -> bool | None:
    """`3,5` is the list of 3 and 5; but if the gold answer is a decimal, which no list equals, it is 3.5."""
    if wanted.number is None or not wanted.number.digits or not DECIMAL_COMMA.fullmatch(given.spelling):
        return None
    number = read_number(given.spelling.replace(",", "."))
    return True if number is not None and same_number(wanted.number, number) else None


def verify_math(text: str, gold: str) -> tuple[bool, str, str]:
    """(correct, extracted, reason), by math-verify if rules do not decide. May be slow, or never end."""
    grade = settle(text, gold)
    if grade is not None:
        return grade.correct, grade.extracted, grade.reason
    answer = stated(text, gold) or ""
    equal, reason = by_algebra(read_answer(gold), read_answer(answer))
    return equal, answer.strip()[:LONGEST_EXTRACTED], reason


def by_algebra(wanted: Answer, given: Answer) -> tuple[bool, str]:
    """(whether the answers are equal, the reason); both must be parsed as a whole."""
    as_relations = wanted.unknown and given.unknown and wanted.unknown != given.unknown
    gold, answer = (algebra.read(answer.tidied if as_relations else answer.value) for answer in (wanted, given))
    if gold is None:
        return False, NOT_READ
    if answer is None:
        return False, ANSWER_NOT_READ
    equal = algebra.equal(gold, answer)
    return equal, "equal" if equal else "differs"
