r"""Equality by math-verify, for a worker process: answers are parsed as a whole and compared exactly.

math-verify parses a part of an answer if it cannot parse all of it (`1101_2` as 1101, `2 3` as 5), and rounds to six
decimals (so that 6.63e-34 equals 1.6e-19). So LaTeX is given to its parser directly, without the search for a part that
can be parsed; text that the parser would drop is refused first; and its comparison of numbers is replaced by one that
is exact, or relative if a decimal stands for a value that no decimal can represent (`numerals.same_number`).
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from data_prep.grading.numerals import Numeral, same_number

DROPPED = re.compile(  # by the parser, or by its preprocessing
    r"\\ [0-9]|['\"]|_\s*$|(?<![_0-9])[0-9]+\s+[0-9]|\\pmod|\\bmod|\\mod(?![a-z])|\\ldots|\\approx|\\sim(?![a-z])"
    r"|[0-9)]_|\\circ|[0-9]\s*\\\\\s*[0-9]+\s*$|\^\s?\{?\s?(?:T|\\top|\\intercal|\\prime)\s?\}?|\\equiv"
)
MATRIX = re.compile(r"\\begin\s*\{")
PROSE = re.compile(r"\\(?:text|mbox|textbf|textit|mathrm|mathbf)\s*\{\s*(?!and\b|or\b)[A-Za-z]{2,}[^{}]*\}")
IMAGINARY = re.compile(r"(?<=[0-9])(?<![0-9]\.)i(?![A-Za-z])")
DIGITS = 200


@cache
def _library() -> tuple[Any, Any]:
    """(the class of the parser, the module that compares), with the comparison of numbers replaced once."""
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
    from math_verify import grader

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns at every call that its own time limit is off
    grader.sympy_numeric_eq = numbers_equal
    return _Latex2Sympy, grader


@lru_cache(maxsize=64)
def read(tidied: str) -> Any | None:
    """The sympy object of a whole tidied answer; None if it cannot be parsed as a whole."""
    from latex2sympy2_extended.latex2sympy2 import normalize_latex
    from math_verify.parser import LatexExtractionConfig

    parser, grader = _library()
    if not tidied or (DROPPED.search(tidied) and not MATRIX.search(tidied)) or _in_prose(tidied):
        return None
    config = replace(LatexExtractionConfig().normalization_config, units=False, boxed="none")
    latex = normalize_latex(IMAGINARY.sub(" i", tidied), config)
    try:
        value = parser(is_real=not grader.should_treat_as_complex(latex)).parse(latex)
    except Exception:  # the grammar raises bare exceptions, sympy many others: the answer cannot be parsed
        return None
    return _with_imaginary(value)


def _with_imaginary(value: Any) -> Any:
    """The value with the imaginary unit for the letter i if the parser took numbers to be complex."""
    from sympy import I, Symbol

    try:
        return value.xreplace({Symbol("i", real=False): I})
    except (ValueError, TypeError):  # here i is the index of a sum
        return value


def _in_prose(tidied: str) -> bool:
    """Whether words are mixed with mathematics: the parser would take them for factors."""
    words = PROSE.search(tidied)
    return (
        words is not None
        and words.group().strip() != tidied.strip()
        and not tidied[words.end() :].lstrip().startswith("=")
    )


def equal(gold: Any, given: Any) -> bool:
    """Whether two parsed objects are equal. May be slow, or never end."""
    _, grader = _library()
    vectors = _entries(gold), _entries(given)
    if all(entries is not None for entries in vectors) and len({type(gold), type(given)}) > 1:
        first, second = vectors
        return len(first) == len(second) and all(equal(a, b) for a, b in zip(first, second, strict=True))  # type: ignore[arg-type]
    return bool(grader.verify(gold, given, timeout_seconds=None, allow_set_relation_comp=True))


def _entries(value: Any) -> list[Any] | None:
    """The entries of a vector: a matrix of one row or column, or a tuple, which is an open interval if it has two."""
    from sympy import Interval, MatrixBase, Tuple

    if isinstance(value, MatrixBase) and 1 in value.shape:
        return list(value.flat())
    if isinstance(value, Tuple):
        return list(value.args)
    return [value.start, value.end] if isinstance(value, Interval) and value.is_open else None


def numbers_equal(one: Any, other: Any, *_: int) -> bool:
    """Whether two numbers are equal, in place of math-verify's own comparison; if not, its algebra decides."""
    from sympy import MatrixBase
    from sympy.matrices.expressions.matexpr import MatrixExpr

    _, grader = _library()
    if isinstance(one, MatrixBase | MatrixExpr) or isinstance(other, MatrixBase | MatrixExpr):
        one, other = grader.safe_sympy_doit(one), grader.safe_sympy_doit(other)
        if not isinstance(one, MatrixBase) or not isinstance(other, MatrixBase) or one.shape != other.shape:
            return False
        return all(numbers_equal(a, b) for a, b in zip(one.flat(), other.flat(), strict=True))
    one_share, other_share = grader.get_pct_val(one), grader.get_pct_val(other)
    if one_share is not None and other_share is not None:
        return _same(one_share, other_share)
    if one_share is not None or other_share is not None:  # 35 % equals 0.35, and also 35, with the sign left off
        share, plain = (one_share, other) if one_share is not None else (other_share, one)
        return _same(share, plain) or _same(share / 100, plain)
    return _same(one, other)


def _same(one: Any, other: Any) -> bool:
    if getattr(one, "free_symbols", True) or getattr(other, "free_symbols", True):
        return False
    first, second = _exact(one), _exact(other)
    if first.is_Rational and second.is_Rational:
        return same_number(_numeral(one, first), _numeral(other, second))
    if first == second:
        return True
    if not (first.is_number and second.is_number) or not (first.is_finite and second.is_finite):
        return False
    if _zero(first - second):
        return True
    for decimal, literal, exact in ((one, first, second), (other, second, first)):
        if literal.is_Rational and exact.is_real and _numeral(decimal, literal).approximates:
            half = Fraction(10) ** -_numeral(decimal, literal).places / 2
            return bool(abs(literal - exact) <= half)
    return False


def _exact(expression: Any) -> Any:
    """The value with each decimal replaced by its exact fraction, evaluated."""
    from sympy import Float, Rational

    decimals = {decimal: Rational(str(decimal)) for decimal in expression.atoms(Float)}
    return (expression.xreplace(decimals) if decimals else expression).doit()


def _numeral(written: Any, exact: Any) -> Numeral:
    """The number with the digits of its decimal; with no decimal, or several, it is exact."""
    from sympy import Float

    value = Fraction(int(exact.p), int(exact.q))
    decimals = written.atoms(Float)
    if len(decimals) != 1 or not value:
        return Numeral(value)
    digits = Decimal(str(next(iter(decimals)))).normalize().as_tuple().digits
    size = Decimal(int(exact.p)) / Decimal(int(exact.q))
    return Numeral(value, len(digits), len(digits) - 1 - size.adjusted())


def _zero(difference: Any) -> bool:
    """Whether a number is zero to `DIGITS` digits; sympy raises its precision until it can tell."""
    for part in difference.as_real_imag():
        value = part.evalf(15, maxn=DIGITS * 4)
        if value != 0 and getattr(value, "_prec", 0) != 1:
            return False
    return True
