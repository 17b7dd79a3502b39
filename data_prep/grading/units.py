r"""Units by rule: `5 \text{ cm}` is the value `5` and the unit cm, `\$18` is 18 dollars, `12^{\text{th}}` is 12.

A unit counts only where the gold answer and the given one both have one: then they must be the same. Nothing is
converted, and powers of a unit (cm, cm²) are not told apart.
"""

from __future__ import annotations

import re

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
    "s": "sec second",
    "min": "minute",
    "h": "hr hour",
    "d": "day",
    "wk": "week",
    "yr": "year",
    "mph": "",
    "kph": "",
    "l": "liter litre",
    "ml": "milliliter millilitre",
    "degree": "deg",
    "dollar": "",
    "cent": "",
    "euro": "",
    "unit": "",
    "percent": "%",
}
BARE = {  # a letter or two after a number may be a variable, so short names count only inside \text{…}
    "mm",
    "cm",
    "km",
    "ft",
    "yd",
    "kg",
    "lb",
    "lbs",
    "oz",
    "mph",
    "kph",
    "deg",
    "sec",
}
CANON = {
    word + plural: unit
    for unit, more in SPELLINGS.items()
    for word in [unit, *more.split()]
    for plural in ("", "s")
    if plural == "" or len(word) > 2
}
POWER = r"(?:\^\{?[0-9]\}?|[²³])?"
FACE = r"\\(?:text|textrm|textbf|mathrm|mbox|rm)"
AFTER_VALUE = r"(?<=[0-9})])(?:\\[,;: !]|~|\s)*"
NAME = rf"(?:(?:square|cubic) )?([A-Za-z]+)\.?{POWER}"
IN_TEXT = re.compile(rf"{AFTER_VALUE}{FACE}\s?\{{\s*{NAME}\s*\}}{POWER}$")
PLAIN = re.compile(rf"{AFTER_VALUE}{NAME}$")
DOLLARS = re.compile(r"^(-?)\s*\\?\$\s*(?=[-0-9.\\(])")
DEGREES = re.compile(r"(?:\^\{?\s?\\(?:circ|degree)\s?\}?|°|\\degree)$")
PERCENT = re.compile(r"(?:\\?%|(?:\\[,;: ]|\s)*\\text\{\s*percent\s*\}|\s*percent)$")
ORDINAL = re.compile(
    rf"(?<=[0-9])\s?(?:\^\s?\{{?\s?)?(?:{FACE}\s?\{{\s*(?:st|nd|rd|th)\s*\}}|\{{(?:st|nd|rd|th)\}}|(?:st|nd|rd|th)\b)"
    rf"\s?\}}?(?:\s*{FACE}\s?\{{[A-Za-z ]*\}})?$"
)


def split_unit(answer: str) -> tuple[str, str]:
    """(value, unit): the unit in its one spelling, "" where there is none that is known.

    A percent sign stays with the value, since it changes it.
    """
    answer = answer.strip().rstrip(".").rstrip()
    if len(answer) > 2 and answer[0] == answer[-1] == "$":
        answer = answer[1:-1].strip()
    if PERCENT.search(answer[-40:]):
        return PERCENT.sub("", answer) + r"\%", "percent"
    if (dollars := DOLLARS.match(answer)) is not None:
        return dollars.group(1) + answer[dollars.end() :].rstrip("$").rstrip("\\"), "dollar"
    tail = answer[-80:]
    head = answer[: len(answer) - len(tail)]
    if (degrees := DEGREES.search(tail)) is not None:
        return head + tail[: degrees.start()], "degree"
    if (ordinal := ORDINAL.search(tail)) is not None:
        return head + tail[: ordinal.start()], ""
    for pattern in (IN_TEXT, PLAIN):
        match = pattern.search(tail)
        unit = CANON.get(match.group(1).lower()) if match else None
        if match and unit and (pattern is IN_TEXT or match.group(1) in BARE or len(match.group(1)) > 3):
            return head + tail[: match.start()], unit
    return answer, ""
