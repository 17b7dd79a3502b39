r"""Written numbers: digit groups, decimals, powers of ten, fractions; each read as an exact value.

    4 250 000 · 4'250'000 · 4.250.000 · 4\,250\,000 · 42,50,000   groups, if unambiguous
    1.234,56 · 3{,}5                                              a decimal comma, if unambiguous
    6.63e-34 · 6.63 \times 10^{-34}                               powers of ten

A number counts as read only if it is the whole text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

ENOUGH_DIGITS = 6  # with fewer, significant and after the point, a decimal is not an approximation
FLOAT_DIGITS = 15  # a decimal with this many digits may be a binary float printed in full
LARGEST_POWER = 400
LONGEST_NUMBER = 4000

TEX_GROUP = r"(?:\\[,!;: ]|\{,\}|,\\!|\{,\\!\}|~|'|\\_) ?"
TEX_GROUPS = re.compile(rf"(?<=[0-9]){TEX_GROUP}(?=[0-9]{{3}}(?![0-9]))")
BLANK_GROUPS = re.compile(r"(?<![0-9A-Za-z.,_^])(?<![0-9][ ,;])[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])(?! ?[0-9,;])")
POINT_GROUPS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}(?![0-9.])")
POINTS_AND_COMMA = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]{1,2}(?![0-9.,])")
COMMA_GROUPS = r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}"
TEX_COMMA = re.compile(r"(?<=[0-9])\{,\}(?=[0-9])")
E_NOTATION = re.compile(r"(?<![0-9A-Za-z.])(-?[0-9]+(?:\.[0-9]+)?)[eE]\{?([+-]?[0-9]{1,6})\}?(?![0-9A-Za-z.])")
PLAIN = re.compile(rf"([-+]?) ?((?:{COMMA_GROUPS}|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)")
TEN = re.compile(r"(?:\\times|\\cdot|\*|x)? ?10 ?(?:\^|\*\*) ?\{?\(?([-+]?[0-9]{1,3})\)?\}?")
FRACTION = re.compile(
    r"([-+]?) ?\\frac ?\{ ?([-+]?[0-9.,]+) ?\} ?\{ ?([-+]?[0-9.,]+) ?\}|([-+]?[0-9.,]+) ?/ ?([0-9.,]+)"
)
MIXED = re.compile(r"([-+]?) ?([0-9]+) ?\\frac ?\{([0-9]+)\} ?\{([0-9]+)\}")
BASED = re.compile(
    r"\(?([0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)\)?_ ?\{? ?\(?(?:\\text ?\{ ?)?(?:base ?)?([0-9]{1,2}|[a-z]+)\}?\)? ?\}?"
    r"|([0-9A-Fa-f]+) ?(?:,? ?\(?(?:in )?base[- ]?([0-9]{1,2}|[a-z]+)\)?)"
)
COUNTED = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
BASES = {name: i for i, name in enumerate(COUNTED, 2)}
BASES |= {"sixteen": 16, "hex": 16, "bin": 2, "oct": 8, "dec": 10}


@dataclass(frozen=True)
class Numeral:
    """An exact value; `digits`: the significant digits of a decimal, 0 for other numbers."""

    value: Fraction
    digits: int = 0
    places: int = 0  # the last digit stands for 10 ** -places

    @property
    def approximates(self) -> bool:
        """Whether it is precise enough to stand for a value that no decimal can represent."""
        return self.digits >= ENOUGH_DIGITS and (self.places >= ENOUGH_DIGITS or self.places < 0)


def as_text(number: float | Decimal) -> str:
    """A number from a file as written by hand: without an exponent, and a whole number without a decimal part."""
    if isinstance(number, Decimal):  # a Parquet column stores all with the same number of places: 7.50, 12.00
        text = f"{number:f}"
        return text.rstrip("0").removesuffix(".") if "." in text else text
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"{number!r} is not a finite number")
    return f"{Decimal(repr(number)):f}".removesuffix(".0") if isinstance(number, float) else str(number)


def join_groups(text: str) -> str:
    r"""`11,\!111`, `1{,}234`, `4 250 000`, `4.250.000` and `1.234,56` with plain digits and a decimal point."""
    text = TEX_COMMA.sub(".", TEX_GROUPS.sub("", text))
    text = POINTS_AND_COMMA.sub(lambda number: number.group().replace(".", "").replace(",", "."), text)
    text = POINT_GROUPS.sub(lambda number: number.group().replace(".", ""), text)
    return BLANK_GROUPS.sub(lambda number: number.group().replace(" ", ""), text)


def spell_powers(text: str) -> str:
    r"""`6.63e-34` as `6.63 \cdot 10^{-34}`; `2e-3`, which may be twice Euler's number minus three, stays."""

    def spelled(number: re.Match[str]) -> str:
        mantissa, power = number.groups()
        plain = "." in mantissa or not power.startswith("-") or len(power) > 2
        return f"{mantissa} \\cdot 10^{{{int(power)}}}" if plain else number.group()

    return E_NOTATION.sub(spelled, text)


def read_number(text: str) -> Numeral | None:
    """The value of a text that is one number and nothing else."""
    text = text.strip()
    if not text or len(text) > LONGEST_NUMBER or not any(character.isdigit() for character in text):
        return None
    number = PLAIN.match(text)
    if number is not None:
        rest = text[number.end() :].strip()
        power = _power(rest)
        if power is not None:
            return _decimal(number.group(1), number.group(2), power)
    if (bare := TEN.fullmatch(text)) is not None and text.startswith("10"):
        return Numeral(Fraction(10) ** int(bare.group(1))) if abs(int(bare.group(1))) <= LARGEST_POWER else None
    return _fraction(text)


def _power(rest: str) -> int | None:
    """The power of ten that follows a number: 0 for none, None if it is not a power of ten or too large."""
    if not rest:
        return 0
    match = re.fullmatch(r"[eE]\{?([+-]?[0-9]{1,3})\}?", rest)
    if match is None and not rest.startswith("10"):
        match = TEN.fullmatch(rest)
    return int(match.group(1)) if match and abs(int(match.group(1))) <= LARGEST_POWER else None


def _decimal(sign: str, digits: str, power: int) -> Numeral:
    digits = digits.replace(",", "")
    value = Fraction(Decimal(digits or "0")) * Fraction(10) ** power
    value = -value if sign == "-" else value
    if "." not in digits and not power:
        return Numeral(value)
    whole, _, part = digits.partition(".")
    significant = len((whole + part).lstrip("0"))
    return Numeral(value, significant if part.strip("0") or power else 0, len(part) - power)


def _fraction(text: str) -> Numeral | None:
    if (mixed := MIXED.fullmatch(text)) is not None:
        sign, whole, above, below = mixed.groups()
        if not int(below):
            return None
        value = int(whole) + Fraction(int(above), int(below))
        return Numeral(-value if sign == "-" else value)
    fraction = FRACTION.fullmatch(text)
    if fraction is None:
        return None
    sign, *parts = fraction.groups()
    above, below = (PLAIN.fullmatch(part) for part in parts if part is not None)
    if above is None or below is None:
        return None
    top, bottom = (_decimal(part.group(1), part.group(2), 0).value for part in (above, below))
    return Numeral((-top if sign == "-" else top) / bottom) if bottom else None


def same_number(one: Numeral, other: Numeral) -> bool:
    """Exactly equal; or one is a sufficiently precise decimal and equals the other rounded to its digits.

    An integer is never an approximation, nor approximated: 12345678 is not 12345678.4, nor 1.23457e7.
    """
    if one.value == other.value:
        return True
    for decimal, exact in ((one, other), (other, one)):
        whole = exact.value.denominator == 1 and not exact.digits
        if decimal.approximates and not whole and (exact.digits == 0 or exact.digits > decimal.digits):
            return abs(decimal.value - exact.value) * 2 <= Fraction(10) ** -decimal.places
    if max(one.digits, other.digits) >= FLOAT_DIGITS and one.digits and other.digits:
        return abs(one.value - other.value) <= max(abs(one.value), abs(other.value)) / 10 ** (FLOAT_DIGITS - 1)
    return False


def split_base(text: str) -> tuple[str, int] | None:
    r"""(digits, base) of `1101_2`, `(1101)_{two}` or `1101 base 2`; None if it is not a numeral with a base."""
    match = BASED.fullmatch(text.strip())
    if match is None:
        return None
    digits, name = match.group(1) or match.group(3), match.group(2) or match.group(4)
    base = int(name) if name.isdigit() else BASES.get(name, 0)
    if (
        not 2 <= base <= 36
        or not any(character.isdecimal() for character in digits)
        or not all(character == "." or int(character, 36) < base for character in digits)
    ):
        return None
    return digits.lower().lstrip("0") or "0", base


def plain_number(number: str) -> str:
    """One spelling for each number; numbers are compared as text, so they may have any length."""
    integer, _, fraction = number.replace(",", "").partition(".")
    digits = integer.lstrip("-").lstrip("0") or "0"
    sign = "-" if integer.startswith("-") and digits != "0" else ""
    fraction = fraction.rstrip("0")
    return f"{sign}{digits}.{fraction}" if fraction else f"{sign}{digits}"
