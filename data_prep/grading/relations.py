r"""Inequalities in one unknown as sets: `a \le x < b` is `[a,b)`, `x<-1 \text{ or } x>4` is a union.

Everything is text: the unknown must be alone on its side, and its bounds must contain neither a relation nor the
unknown.
"""

from __future__ import annotations

import re

from data_prep.grading.latex import unwrap

VARIABLE = r"([A-Za-z]|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega|epsilon))"
REL = r"(<=|>=|<|>|\\le(?![a-z])|\\ge(?![a-z])|\\ne(?![a-z]))"
BOUND = r"([^<>=,;]{1,80}?)"
ONE = re.compile(rf"{VARIABLE}\s*{REL}\s*{BOUND}")
REVERSED = re.compile(rf"{BOUND}\s*{REL}\s*{VARIABLE}")
CHAIN = re.compile(rf"{BOUND}\s*{REL}\s*{VARIABLE}\s*{REL}\s*{BOUND}")
SPLIT_OR = re.compile(r"\s*(?:,?\s*\bor\b|\\lor(?![a-z])|\\cup(?![a-z]))\s*")
SPLIT_AND = re.compile(r"\s*(?:,?\s*\band\b|\\land(?![a-z]))\s*")
BUILDER = re.compile(r"\\\{\s*[A-Za-z](?:\s*\\in\s*\\mathbb\s*\{?R\}?)?\s*(?:\\mid|\\vert|\||:)\s*(.*?)\\\}")
IN = re.compile(rf"{VARIABLE}\s*\\in(?![a-z])\s*(.+)")
FLIPPED = {"<": ">", ">": "<", "le": "ge", "ge": "le", "ne": "ne"}
SETS = re.compile(r"\\in(?![a-z])|[<>]|\\(?:le|ge|ne|mid|lor|land)(?![a-z])")


def as_set(tidied: str) -> tuple[str, str]:
    """(set, unknown): an inequality or a membership as a set in LaTeX; the answer itself and "" if it is neither."""
    if len(tidied) > 400 or not SETS.search(tidied):
        return tidied, ""
    text = " ".join(unwrap(tidied).split())
    builder = BUILDER.fullmatch(text)
    text = builder.group(1).strip() if builder else text
    member = IN.fullmatch(text)
    if member is not None and not SETS.search(member.group(2)):
        return member.group(2), member.group(1)
    parts = [_part(part) for part in SPLIT_OR.split(text)]
    unknowns = {unknown.lower() for _, unknown in parts}
    if any(not interval for interval, _ in parts) or len(unknowns) != 1 or "" in unknowns:
        return tidied, ""
    return r" \cup ".join(interval for interval, _ in parts), unknowns.pop()


def _part(text: str) -> tuple[str, str]:
    """An interval and its unknown; "" if it is not an interval."""
    both = [_bounds(piece) for piece in SPLIT_AND.split(text)]
    if len(both) == 1:
        return _interval(*both[0][:2]), both[0][2]
    if len(both) != 2 or both[0][2] != both[1][2] or not both[0][2]:
        return "", ""
    low = next((bounds[0] for bounds in both if bounds[0]), None)
    high = next((bounds[1] for bounds in both if bounds[1]), None)
    one_each = sum(bounds[0] is not None for bounds in both) == 1 == sum(bounds[1] is not None for bounds in both)
    return (_interval(low, high) if one_each else "", both[0][2])


Bound = tuple[str, bool] | None


def _bounds(text: str) -> tuple[Bound, Bound, str]:
    """(lower, upper, unknown), each bound with whether it belongs to the set; `\\ne` has both bounds at one point."""
    if (chain := CHAIN.fullmatch(text)) is not None:
        low, left, unknown, right, high = chain.groups()
        if _sign(left)[0] != _sign(right)[0] or _sign(left) == ("ne", False):
            return None, None, ""
        low, left, high, right = (low, left, high, right) if _sign(left)[0] == "<" else (high, right, low, left)
        return (low, _sign(left)[1]), (high, _sign(right)[1]), _free(unknown, low, high)
    if (one := ONE.fullmatch(text)) is not None:
        unknown, sign, bound = one.groups()
        direction, closed = _sign(sign)
    elif (one := REVERSED.fullmatch(text)) is not None:
        bound, sign, unknown = one.groups()
        direction, closed = _sign(sign)
        direction = FLIPPED[direction]
    else:
        return None, None, ""
    if direction == "ne":
        return (bound, False), (bound, False), _free(unknown, bound)
    return (
        (None, (bound, closed), _free(unknown, bound))
        if direction == "<"
        else ((bound, closed), None, _free(unknown, bound))
    )


def _sign(sign: str) -> tuple[str, bool]:
    """(direction, whether the bound belongs to the set)."""
    if "ne" in sign:
        return "ne", False
    return ("<" if "<" in sign or "le" in sign else ">"), sign not in ("<", ">")


def _free(unknown: str, *bounds: str) -> str:
    """The unknown, or "" if a bound contains it."""
    bare = [re.sub(r"\\[A-Za-z]+", " ", bound) for bound in bounds]
    return "" if any(unknown in bound for bound in bare) else unknown


def _interval(low: Bound, high: Bound) -> str:
    if low is None and high is None:
        return ""
    if low == high and low is not None and not low[1]:
        return rf"(-\infty,{low[0]}) \cup ({low[0]},\infty)"
    left = "(-\\infty" if low is None else f"{'[' if low[1] else '('}{low[0].strip()}"
    right = "\\infty)" if high is None else f"{high[0].strip()}{']' if high[1] else ')'}"
    return f"{left},{right}"
