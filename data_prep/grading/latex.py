r"""One spelling for LaTeX: `tidy` removes pure typesetting and expands shorthands.

\sqrt17, \frac12, \dfrac\pi2       as intended: \sqrt{17}, \frac{1}{2}, \frac{\pi}{2}
\varnothing, \{\}                  \emptyset
\langle 1,2\rangle, \lvert x\rvert (1,2), |x|
"""

from __future__ import annotations

import re

from data_prep.grading.numerals import TEX_GROUPS
from data_prep.grading.signs import as_latex, plain

WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|texttt|mathrm|mathbf|mathsf|mathit|operatorname|boldsymbol|bm|mbox|hbox|bf|rm)\*?"
    r"\s*\{([^{}]*)\}"
)
SIZES = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits)(?![A-Za-z])\.?(?=[^A-Za-z]|$)|\\!"
    r"|\\(?:text)?color\s?\{[A-Za-z]+\}|\\(?:begin|end)\s?\{(?:aligned|align\*?|gathered|split)\}"
)
SPACES = re.compile(r"(\\\\)|\\(?:quad|qquad|enspace|thinspace)(?![A-Za-z])|\\[,;: ]|~")
OUTER = re.compile(r"\s*(?:\$\$?|\\[(\[])(.*?)(?:\$\$?|\\[)\]])\s*", re.DOTALL)
SAME = {
    "dfrac": "frac",
    "tfrac": "frac",
    "cfrac": "frac",
    "leq": "le",
    "leqslant": "le",
    "geq": "ge",
    "geqslant": "ge",
    "lt": "<",
    "gt": ">",
    "neq": "ne",
    "varnothing": "emptyset",
    "dots": "ldots",
    "cdots": "ldots",
    "dotsc": "ldots",
    "dotsb": "ldots",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "lVert": r"\|",
    "rVert": r"\|",
    "Vert": r"\|",
    "lbrace": r"\{",
    "rbrace": r"\}",
    "lbrack": "[",
    "rbrack": "]",
    "langle": "(",
    "rangle": ")",
    "lparen": "(",
    "rparen": ")",
    "vee": "lor",
    "wedge": "land",
    "backslash": "setminus",
    "degree": r"^\circ",
    "textdegree": r"^\circ",
    "euro": "€",
    "pounds": "£",
    "imath": "i",
    "colon": ":",
    "mathbin": "",
    "ast": r"\cdot",
}
COMMAND = re.compile(r"\\([A-Za-z]+)")
DOTS = re.compile(r"(?<![.0-9])\.\.\.+|(?<=[0-9])\.\.\.+")
STARS = re.compile(r"(?<=[0-9A-Za-z)}])\*\*(?=[-0-9A-Za-z({])")
BRACED = re.compile(r"([_^])\{(\\[A-Za-z]+|[0-9A-Za-z])\}")
NO_ELEMENTS = re.compile(r"\\\{\s*\\\}")
ARGUMENT = r"(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\\[A-Za-z]+(?:\{[^{}]*\})?|[0-9A-Za-z])"
FRAC = re.compile(rf"\\(frac|binom)(?![A-Za-z])\s*(?:{ARGUMENT}\s*{ARGUMENT})")
BRACED_FIRST = re.compile(r"(\\frac\s*\{[^{}]*\})\s*([0-9]{2,})")
SQRT = re.compile(r"(\\sqrt(?![A-Za-z])\s*(?:\[[^\[\]]*\])?)\s*([0-9]+(?:\.[0-9]+)?|[A-Za-z]|\\[a-z]+|\([^()]*\))")
BETWEEN = re.compile(r"(?<![0-9A-Za-z])\s+|\s+(?![0-9A-Za-z])")
COMMAND_BEFORE = re.compile(r"(\\[A-Za-z]+) (?![A-Za-z])")
WORDS = re.compile(r"[A-Za-z]{2,}(?:[ '-][A-Za-z]+)*")


def tidy(answer: str) -> str:
    """The answer in one spelling of LaTeX, with its meaning and every word in it unchanged."""
    text = as_latex(plain(answer)).strip()
    while (outer := OUTER.fullmatch(text)) is not None and "$" not in outer.group(1):
        text = outer.group(1).strip()
    if "\\" in text:
        text = TEX_GROUPS.sub("", text)  # before the blanks between groups are removed
        text = SPACES.sub(lambda blank: blank.group(1) or " ", SIZES.sub("", text))
        text = COMMAND.sub(_command, text)
        text = NO_ELEMENTS.sub(r"\\emptyset", text)
        text = SQRT.sub(_root, text)
        text = BRACED_FIRST.sub(r"\1{\2}", text)
        for _ in range(3):  # fractions may be nested
            text = FRAC.sub(lambda frac: f"\\{frac[1]}{_braced(frac[2])}{_braced(frac[3])}", text)
    text = STARS.sub("^", DOTS.sub(r"\\ldots ", text))
    return " ".join(text.split()).rstrip(". ") if text.strip(". ") else ""


def _command(command: re.Match[str]) -> str:
    name = SAME.get(command.group(1))
    if name is None:
        return command.group()
    return f"\\{name}" if name.isalpha() and name != "i" else name


def _root(root: re.Match[str]) -> str:
    radicand = root.group(2)
    return f"{root.group(1).strip()}{{{radicand[1:-1] if radicand.startswith('(') else radicand}}}"


def _braced(argument: str) -> str:
    return argument if argument.startswith("{") else f"{{{argument}}}"


def unwrap(text: str) -> str:
    r"""`\text{B}` as `B`, likewise for the other commands that only set a typeface; two levels deep."""
    return WRAPPER.sub(r" \1 ", WRAPPER.sub(r" \1 ", text)) if "\\" in text else text


def spelling(tidied: str) -> str:
    """A key that is equal for two tidied answers that differ only in typefaces and blanks."""
    text = BETWEEN.sub("", " ".join(unwrap(tidied).split()))
    text = BRACED.sub(r"\1\2", text)
    return COMMAND_BEFORE.sub(r"\1", text).strip().strip("$").rstrip(".")


def are_words(tidied: str) -> bool:
    r"""Whether an answer is words, which only equal words match: `\text{east}`, `Evelyn`; not the product `abc`."""
    text = unwrap(tidied).strip()
    if not text.isascii():
        return text.isalpha()
    if not WORDS.fullmatch(text):
        return False
    return "\\text" in tidied or " " in text or (len(text) > 2 and list(text) != sorted(text))


def same_words(answer: str, gold: str) -> bool:
    """Whether the gold answer consists of words, and these are the same apart from case (`East`, `east`)."""
    return bool(gold) and (WORDS.fullmatch(gold) is not None or gold.isalpha()) and answer.casefold() == gold.casefold()
