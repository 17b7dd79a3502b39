r"""One spelling for signs: Unicode variants become ASCII (`plain`), then LaTeX (`as_latex`).

`plain` runs before every grader and replaces characters one by one: digits of any script, full-width and other
compatibility forms, dashes, blanks; it removes invisible characters (zero-width blanks, byte order marks). `as_latex`
is for mathematics alone: `½` is `\frac{1}{2}`, `x²` is `x^{2}`, `√7` is `\sqrt{7}`, `≤` is `\le`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

NOT_ASCII = re.compile(r"[^\x00-\x7f]")
DASHES = frozenset("‐‑‒–—―−﹘﹣－⁻")  # the last is a superscript, and then part of a power
CLOSED_UP = re.compile("(?<=\\d)[\u00a0\u2007\u2008\u2009\u200a\u202f](?=\\d{3}(?!\\d))")
SAME_WIDTH = {"、": ",", "，": ",", "。": ". ", "．": ".", "｡": ". ", "٫": ".", "٬": ",", "′": "'", "’": "'", "‘": "'"}
SAME_WIDTH |= {"“": '"', "”": '"', "【": "[", "】": "]", "〔": "(", "〕": ")", "⁄": "/", "∕": "/", "∶": ":", "।": ". "}
SAME_WIDTH |= {"「": '"', "」": '"', "『": '"', "』": '"', "º": "°", "˚": "°"}
SAME_WIDTH |= {"℃": "°C", "℉": "°F", "㎡": "m^{2}", "㎥": "m^{3}"}
SAME_WIDTH |= {"…": r"\ldots ", "⋯": r"\ldots "}

RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+-()", strict=True))
RAISED_RUN = re.compile(f"[{''.join(RAISED)}]+")
LOWERED_RUN = re.compile(f"[{''.join(LOWERED)}]+")
VULGAR = re.compile("[¼½¾⅐-⅞↉]")
ROOT = re.compile(r"([√∛∜])\s*(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]|\\[a-z]+)|(?=\{))")
ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}
NAMES = {
    "×": "times",
    "⋅": "cdot",
    "·": "cdot",
    "∙": "cdot",
    "÷": "div",
    "±": "pm",
    "∓": "mp",
    "≤": "le",
    "⩽": "le",
    "≦": "le",
    "≥": "ge",
    "⩾": "ge",
    "≧": "ge",
    "≠": "ne",
    "≈": "approx",
    "≡": "equiv",
    "∞": "infty",
    "∅": "emptyset",
    "⌀": "emptyset",
    "∪": "cup",
    "∩": "cap",
    "∈": "in",
    "∉": "notin",
    "⊂": "subset",
    "∖": "setminus",
    "∨": "lor",
    "∧": "land",
    "⟨": "langle",
    "⟩": "rangle",
    "〈": "langle",
    "〉": "rangle",
    "⌊": "lfloor",
    "⌋": "rfloor",
    "⌈": "lceil",
    "⌉": "rceil",
    "∠": "angle",
    "→": "to",
    "ℝ": "mathbb{R}",
    "ℤ": "mathbb{Z}",
    "ℕ": "mathbb{N}",
    "ℚ": "mathbb{Q}",
    "ℂ": "mathbb{C}",
}
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho _ sigma tau upsilon phi"
)
NAMES |= {chr(0x3B1 + i): name for i, name in enumerate([*GREEK.split(), "chi", "psi", "omega"]) if name != "_"}
NAMES |= {"µ": "mu", "Δ": "Delta", "Γ": "Gamma", "Θ": "Theta", "Λ": "Lambda", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi"}
NAMES |= {"Ψ": "Psi", "Ω": "Omega", "ϕ": "phi", "ϵ": "epsilon"}
KEPT = frozenset({*RAISED, *LOWERED, *NAMES, *ROOTS, "°", "￠"}) | {chr(code) for code in (*range(0xBC, 0xBF), 0x2189)}


def plain(text: str) -> str:
    """The text with one spelling for each digit, letter form, dash and blank; the signs of mathematics stay."""
    if text.isascii():
        return text
    return NOT_ASCII.sub(lambda character: _plain(character.group()), CLOSED_UP.sub("", text))


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if character in SAME_WIDTH:
        return SAME_WIDTH[character]
    if character in DASHES and character not in RAISED:
        return "-"
    if character in KEPT or VULGAR.match(character):
        return character
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category in ("Cf", "Cs") or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category in ("Zs", "Zl", "Zp"):
        return " " if category == "Zs" else "\n"
    folded = unicodedata.normalize("NFKC", character)
    return folded if folded.isascii() or "\uff00" <= character <= "\uffef" else character


def as_latex(text: str) -> str:
    """The mathematical signs that `plain` leaves, as LaTeX commands."""
    if text.isascii():
        return text
    text = VULGAR.sub(_fraction, text)
    text = RAISED_RUN.sub(lambda run: "^{" + "".join(RAISED[sign] for sign in run.group()) + "}", text)
    text = LOWERED_RUN.sub(lambda run: "_{" + "".join(LOWERED[sign] for sign in run.group()) + "}", text)
    for _ in range(3):  # roots may be nested
        text = ROOT.sub(_root, text)
    return NOT_ASCII.sub(lambda sign: f"\\{NAMES[sign.group()]} " if sign.group() in NAMES else sign.group(), text)


def _fraction(sign: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", sign.group()).partition("\u2044")
    return f"\\frac{{{above}}}{{{below}}}"


def _root(sign: re.Match[str]) -> str:
    radicand = sign.group(2) or sign.group(3)
    return ROOTS[sign.group(1)] + (f"{{{radicand}}}" if radicand else "")
