r"""Units by rule: `5 \text{ cm}` is the value `5` and the unit cm, `€18` is 18 euros, `36元` 36 yuan, `12th` 12.

A unit counts only if both the gold answer and the given one have one: then one must contain the words of the other
("apples", "green apples"), and known units must be the same, also in their power where both have one (cm² is not cm³;
cm alone may stand for cm²). Nothing is converted. A word that multiplies the number ("5 million") is applied; words
that may change it in other ways ("5 squared", "5 more than x", "5 or 6") are not a unit, and the answer is left
unchanged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from fractions import Fraction

from data_prep.grading.latex import unwrap
from data_prep.grading.numerals import read_number

SPELLINGS = {
    "mm": "millimeter millimetre",
    "cm": "centimeter centimetre",
    "m": "meter metre",
    "km": "kilometer kilometre",
    "in": "inch inches",
    "ft": "foot feet",
    "yd": "yard",
    "mi": "mile",
    "mg": "milligram",
    "g": "gram",
    "kg": "kilogram",
    "lb": "lbs pound",
    "oz": "ounce",
    "s": "sec second 秒",
    "min": "minute 分钟",
    "h": "hr hour hrs 小时 時間",
    "d": "day 天",
    "wk": "week",
    "yr": "year",
    "l": "liter litre",
    "ml": "milliliter millilitre",
    "degree": "deg",
    "dollar": "usd $ us$",
    "cent": "¢",
    "euro": "eur €",
    "gbp": "£",
    "yuan": "cny rmb 元 ¥",
    "yen": "jpy 円",
    "rupee": "inr rs ₹",
    "ruble": "rub ₽ рублей рубля рубль руб",
    "won": "krw ₩ 원",
    "chf": "",
    "krone": "kr sek nok dkk",
    "złoty": "zł pln",
    "₿": "",
    "₫": "đ",
    "฿": "บาท",
    "₺": "",
    "₪": "",
    "₦": "",
    "₴": "",
    "₱": "",
    "₸": "",
    "₡": "",
    "unit": "",
    "am": "a.m. a.m",
    "pm": "p.m. p.m",
    "j": "joule",
    "n": "newton",
    "w": "watt",
    "v": "volt",
    "k": "kelvin",
    "mol": "mole",
    "c": "celsius",
    "f": "fahrenheit",
}
COMPOUND = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h"}
BARE_WORDS = (
    "mm cm km ft yd kg lb lbs oz mph kph kmh deg sec min hr ml mg am pm usd eur gbp cny inr chf jpy krw kr hrs kwh"
)
BARE = frozenset(BARE_WORDS.split())
"""a letter or two after a number may be variables; these count as units outside \\text{…} as well"""
CANON = {
    word + plural: unit
    for unit, more in SPELLINGS.items()
    for word in [unit, *more.split()]
    for plural in ("", "s")
    if plural == "" or (len(word) > 2 and word.isascii())
}
FILLER_WORDS = "square cubic sq cu per a an the of us each"
FILLERS = frozenset(FILLER_WORDS.split())
NO_UNIT_WORDS = """
and or mod modulo base than if for when where with to by plus minus over squared cubed factorial half halves third
thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths hundredth hundredths
thousandth thousandths pi sqrt sin cos tan log ln exp choose is are not infinity i e x y z und oder et ou o
но и или 和 或 dozen score root power equals
"""
NO_UNIT = frozenset(NO_UNIT_WORDS.split())
THOUSANDS = ("thousand", "千", "тысяч", "тысячи", "тыс", "mil", "mille", "tausend")
MILLIONS = ("million", "millions", "млн", "миллионов", "миллиона", "millones", "millionen")
MULTIPLIERS = {
    **dict.fromkeys(("hundred", "百"), 10**2),
    **dict.fromkeys(THOUSANDS, 10**3),
    **dict.fromkeys(("万", "萬", "만"), 10**4),
    **dict.fromkeys(("lakh", "लाख"), 10**5),
    **dict.fromkeys(MILLIONS, 10**6),
    **dict.fromkeys(("crore", "करोड़"), 10**7),
    **dict.fromkeys(("億", "亿", "억"), 10**8),
    **dict.fromkeys(("billion", "billions"), 10**9),
    **dict.fromkeys(("trillion", "trillions"), 10**12),
}
MARKS = "\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff"  # the signs of scripts that write vowels above and below
POWER_WORDS = {"square": "^2", "sq": "^2", "cubic": "^3", "cu": "^3"}
EXPONENT = re.compile(r"\^\s?\{?([23])\}?")
POWER = r"(?:\s?\^\s?\{?-?[0-9]\}?)"
WORD = rf"(?:[^\W\d_]|[{MARKS}]|\.(?=[^\W\d_]))+[.']?{POWER}?"
JOIN = r"\s*(?:/|-|\\cdot\s)?\s*"
AFTER_VALUE = r"(?<=[0-9})])\s*"
UNIT = re.compile(rf"{AFTER_VALUE}({WORD}(?:{JOIN}{WORD}){{0,5}})$")
PER_CENT = re.compile(r"(?:\\?%|\s*\\text\s?\{\s*(?:percent|per cent)\s*\}|\s*(?:percent|per cent|pct))$")
DEGREES = re.compile(r"(?:\^\{?\s?\\circ\s?\}?|°)\s*([CF]?)$")
ORDINAL = re.compile(r"(?<=[0-9])\s?(?:\^\s?\{?\s?)?\{?(?:st|nd|rd|th)\b\s?\}?\}?(?:\s*[A-Za-z ]*)?$")
RATE = re.compile(r"(?:m|mi|km|ft|g|kg|l)/(?:s|h|min|l|ml)")
MONEY = "$€£¥₹₽₩₿₫฿₺₪₦₴₱₸₡"
PREFIX = re.compile(
    rf"(-?)\s*(?:[A-Z]{{0,3}}\s?\\?([{MONEY}])|(Rs|USD|EUR|GBP|RMB|CNY|INR|CHF|JPY|KRW)\b\.?)\s*(?=[-+]?[0-9.(]|\\frac)"
)


def split_unit(answer: str) -> tuple[str, str]:
    """(value, unit) of a tidied answer: the words of the unit in one spelling, "" if there is none.

    A percent sign stays with the value, since it changes it.
    """
    answer = answer.strip().rstrip(".").rstrip()
    if PER_CENT.search(answer[-40:]):
        return PER_CENT.sub("", answer).rstrip() + r"\%", "percent"
    value, currency = _currency(answer)
    tail = value[-120:]
    head = value[: len(value) - len(tail)]
    faces, tail = "\\" in tail and unwrap(tail) != tail, unwrap(tail).rstrip()
    tail = re.sub(r"\s+", " ", tail)
    if (degrees := DEGREES.search(tail)) is not None:
        return (head + tail[: degrees.start()]).rstrip(), f"degree {degrees.group(1).lower()}".strip()
    if (ordinal := ORDINAL.search(tail)) is not None:
        return head + tail[: ordinal.start()], ""
    for sign in MONEY:
        if tail.endswith(sign):
            return (head + tail.rstrip(sign + "\\")).strip(), CANON[sign]
    match = UNIT.search(tail)
    words = _words(match.group(1), faces) if match else None
    if match is None or words is None:
        return (value, currency) if currency else (answer, "")
    number = (head + tail[: match.start()]).strip()
    if words and words[0] in MULTIPLIERS:
        multiplied = _multiplied(number, MULTIPLIERS[words[0]])
        if multiplied is None:
            return answer, ""
        number, words = multiplied, words[1:]
    return number, " ".join(dict.fromkeys(filter(None, [currency, *_canonical(words), _power(match.group(1))])))


def _power(unit: str) -> str:
    """`^2` of `cm^2`, `sq ft` and `square meters`; "" if a unit has no power, or several parts have one."""
    words = unit.lower().split()
    powers = [f"^{digit}" for digit in EXPONENT.findall(unit)] + [
        POWER_WORDS[word] for word in words if word in POWER_WORDS
    ]
    return powers[0] if len(powers) == 1 else ""


def _currency(answer: str) -> tuple[str, str]:
    prefix = PREFIX.match(answer)
    if prefix is None:
        return answer, ""
    sign, name = prefix.group(2), (prefix.group(3) or "").lower()
    return prefix.group(1) + answer[prefix.end() :].rstrip("$").rstrip("\\"), CANON[sign or name]


def _words(unit: str, faces: bool) -> list[str] | None:
    """The words after a number, or None if they may be something other than a unit."""
    words = re.findall(rf"(?:[^\W\d_]|[{MARKS}]|\.(?=[^\W\d_]))+|/", re.sub(POWER, "", unit))
    if not words:
        return None
    lowered = [word.lower() for word in words]
    if NO_UNIT & {*lowered}:
        return None
    if not faces and all(word.isascii() for word in words) and not _clearly_words(lowered):
        return None
    return _multiplier_first(lowered)


def _clearly_words(words: list[str]) -> bool:
    """Whether letters without `\\text{…}` are a unit and not a product of variables."""
    if any(len(word) == 1 and word not in FILLERS and word != "/" for word in words):
        return bool(RATE.fullmatch("".join(words)))
    return any(word.replace(".", "") in BARE or (len(word) > 3 and bool(re.search("[aeiouy]", word))) for word in words)


def _multiplier_first(words: list[str]) -> list[str]:
    """`万元` as `万` and `元`: scripts without blanks write them as one."""
    first = words[0]
    if first[0] in MULTIPLIERS and len(first) > 1:
        return [first[0], first[1:], *words[1:]]
    return words


def _multiplied(number: str, factor: int) -> str | None:
    numeral = read_number(number)
    if numeral is None:
        return None
    value: Fraction = numeral.value * factor
    return str(value) if value.denominator == 1 else f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


def _canonical(words: Iterable[str]) -> list[str]:
    spelled: list[str] = []
    for word in words:
        if word in FILLERS:
            spelled += ["/"] if word == "per" else []
            continue
        word = COMPOUND.get(word, CANON.get(word, word))
        plural = word[:-1] if word.isascii() and len(word) > 3 and word.endswith("s") else word
        spelled += re.findall(r"[^/]+|/", CANON.get(plural, plural))
    return [unicodedata.normalize("NFC", word) for word in spelled]


def units_differ(one: str, other: str) -> bool:
    """Whether two units differ: known ones must be equal; of others, the words of one must be among the other's."""
    first, second = set(one.split()), set(other.split())
    powers = [{word for word in words if word.startswith("^")} for words in (first, second)]
    if all(powers) and powers[0] != powers[1]:
        return True
    first, second = first - powers[0], second - powers[1]
    if not first or not second or first == second:
        return False
    known = {*SPELLINGS, "/", "percent"}
    if first <= known and second <= known:
        return first != second
    return not (first <= second or second <= first)
