r"""Finding the answer in a text: boxes, what follows a cue such as "the answer is", the last number.

Everything here is one pass over the text, so that no text can make it slow. A value that the text denies is not an
answer (`without_denials`), and boxes joined by "and" or a comma are one answer in parts (`boxed`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_EXTRACTED = 400
MOST_PARTS = 16
MOST_CUES = 16
LONGEST_SENTENCE = 600
NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
AFTER_CUE = re.compile(r"answer(?:\s*(?:is\b|:|=))*\s*(.*)", re.IGNORECASE | re.DOTALL)
BRACES = re.compile(r"\\\\|\\(?:boxed|fbox|framebox)\s{0,9}\{|\\[{}]|[{}]")
BARE_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s{0,9}(?![\s{])((?:[^\s${}]|\{[^{}]{0,60}\}){1,60})")
LABEL = r"(?:\\?\(?[A-Za-z0-9]{1,2}\)|[A-Za-z](?:_\{?\w\}?)?\s?(?:=|:))"
JOINT = re.compile(
    rf"[\s$]*\n[\s$]*\([b-z2-9]\)[\s$]*|"
    rf"[\s$]*(?:,|;|&|\\quad|\\qquad|\\text\{{)?\s*(?:,|;|&|\band\b|\bor\b|\\quad|\\qquad)[\s$}}]*(?:{LABEL}[\s$]*)?"
)

VALUE = (
    r"(?:(?:option|choice) )?(?:\$[^$\n]{1,60}\$|\\\([^\n]{1,60}?\\\)|-?\\[dt]?frac\{[^{}]{1,20}\}\{[^{}]{1,20}\}"
    r"|[-+]?[0-9]+(?:[.,/][0-9]+)*%?|\(?[A-J]\)?(?![A-Za-z0-9']))"
)
NOT = (
    r"(?:\bnot|n't|\bcannot|\bnever|\bneither|\bnor|\bno longer|\bunlikely to)(?: possibly)?(?: (?:be|equal(?: to)?))?"
    r"|不是|并非|不等于|n'est pas|\bnicht|\bno es|\bnão é|\bне\b"
)
INSTEAD = (
    r"(?:\s*[,;.]?\s*(?:\bbut\b|\brather\b|\binstead\b|而是|\bsondern\b|\bmais\b|\bsino\b|\bа\b)?[ ,]*"
    r"(?:\b(?:it|that|this)(?:'s\b| (?:is|must be|has to be|should be)\b))?(?: (?:rather|instead))?"
    r"(?=\s*(?:[-+$\\(0-9]|[A-J]\b)))?"
)
OPINION = r"\b(?:thought|believed|assumed|supposed|guessed|expected|claimed|said) (?:to be|(?:that )?it (?:was|is))"
DENIED = re.compile(
    rf"(?:{NOT})\s*{VALUE}{INSTEAD}|(?:\brather than|\binstead of) {VALUE}"
    rf"|{OPINION} {VALUE}(?=\s*[,;]?\s*but\b){INSTEAD}",
    re.IGNORECASE,
)
REFUTED = re.compile(
    rf"{VALUE}\s?(?:では|じゃ)な(?:い|く)[、,て]*"
    rf"|{VALUE} (?:is|was)(?: not| never|n't) (?:(?:the|a|my) )?(?:(?:final|correct|right) )?"
    r"(?:answer|correct|right|choice)"
    rf"|{VALUE} (?:is|was) (?:wrong|incorrect|false)\b",
    re.IGNORECASE,
)
EMPHASIS = re.compile(
    r"\*{1,3}([A-Za-z]{1,20})\*{1,3}|(?<!\w)_{1,3}([A-Za-z]{1,20})_{1,3}(?!\w)"
    r"|\$?\\(?:text|textbf|textit|emph|mathbf)\{(not|never)\}\$?|\$(not|never)\$",
    re.IGNORECASE,
)
DENIED_CUE = re.compile(
    r"(?:not|never|cannot|can't|neither|no longer|unlikely)\b[^,;]*(?:[,;]\s*)?"
    r"(?:but\s+)?(?:(?:it|that) (?:is|must be) )?"
)
REFUTATION = re.compile(r"(?:is|was)(?: (?:not|never|wrong|incorrect|false)|n't)|(?:では|じゃ)な")
DENIALS = (
    "not",
    "n't",
    "nor ",
    "no longer",
    "unlikely",
    "ever ",
    "either ",
    "rather",
    "instead",
    "wrong",
    "incorrect",
    "false",
    "nicht",
    "no es",
    ", but",
    "; but",
)
CUE_WORDS = (
    r"\banswer\b|答案|答え|答案|答\s?[:是]|정답|답은|답:|\bответ\w*|\bantwort\b|\bréponse\b|\brespuesta\b|\brisposta\b|\bresposta\b"
    r"|\bjawaban\b|\bjibu\b|\bcevap\b|الجواب|الإجابة|उत्तर|উত্তর|คำตอบ|\bđáp án\b|సమాధానం"
)
SAYS = r"(?:\bis\b|\bare\b|\bbe\b|\bequals?\b|是|为|為|は|\best\b|\bist\b|\bes\b|\bè\b|\bé\b)"
CUE = re.compile(
    rf"(?:####|(?:{CUE_WORDS})(?:[^\n.:=$0-9]{{0,80}}?({SAYS}))?)(?P<sign>[\s*_]*[:=])?[\s*_:=]*({SAYS}[\s*_]*)?",
    re.IGNORECASE,
)
ASCII_CUES = ("answer", "####", "antwort", "respuesta", "risposta", "resposta", "jawaban", "jibu", "cevap")
VALUE_AHEAD = re.compile(r"[-+$€£¥(\\0-9]")
RETRACTED = re.compile(r"\b(?:wait|actually|no,|sorry|correction|mistake|hmm)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?:(?<![A-Z])(?<!\bRs)(?<!\bapprox)[.!?](?=\s|$|[*\"')])|\n)")

DIGIT = re.compile("[0-9]")
FORMULA = (
    r"\$\$[^$]{1,600}\$\$|(?<!\\)\$(?![\s$])[^$\n]{0,300}[^\s$\\]\$(?![0-9])|\\\([^\n]{1,300}?\\\)|\\\[.{1,600}?\\\]"
)
NUMERAL = (
    r"(?:\\[dt]?frac\s?\{[0-9.,]{1,20}\}\s?\{[0-9.,]{1,20}\}"
    r"|(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"
    r"|[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])|(?<!\()[0-9]+,[0-9]{1,2}(?![0-9,)])|[0-9]+)"
    r"(?:\.[0-9]+)?(?:e[-+]?[0-9]{1,3}\b)?)"
)
SIGNED = rf"(?:(?<![\w)\]}}^])-|(?<![\w)\]}}^])\+)?(?:\\?[$€£¥₹₽]\s?)?{NUMERAL}"
BEFORE = r"(?<![A-Za-z_^0-9.])(?<![_^]\{)(?<![_^]\{-)(?<![_^]-)"
RUN = rf"{BEFORE}{SIGNED}(?:\s?(?:[-+*/^=]|\\times|\\cdot|×)\s?(?:\\?\$)?-?{NUMERAL})*\s?\\?%?"
TOKEN = re.compile(rf"({FORMULA})|({RUN})", re.DOTALL)


@dataclass(frozen=True)
class Box:
    """The contents of a box, and its position with the command and braces."""

    start: int
    end: int
    content: str


def boxes(text: str) -> list[Box]:
    r"""Every complete `\boxed{…}` or `\fbox{…}`, braces balanced, in the order in which they begin; `\boxed 9` too."""
    opened: list[re.Match[str]] = []
    complete = []
    if "box" not in text:
        return []
    first = min((at for command in ("\\boxed", "\\fbox", "\\framebox") if (at := text.find(command)) >= 0), default=-1)
    if first < 0:
        return []
    for brace in BRACES.finditer(text, first):
        sign = brace.group()
        if sign == "{" or len(sign) > 2:
            opened.append(brace)
        elif sign == "}" and opened:
            partner = opened.pop()
            if len(partner.group()) > 1:
                complete.append(Box(partner.start(), brace.end(), text[partner.end() : brace.start()]))
    for bare in BARE_BOX.finditer(text, first):
        complete.append(Box(bare.start(), bare.end(), bare.group(1).rstrip(".,;")))
    return sorted(complete, key=lambda box: box.start)


def last_box(text: str) -> str | None:
    """The contents of the complete box that begins last; None if there is none."""
    every = boxes(text)
    return every[-1].content if every else None


def boxed(text: str) -> str | None:
    """The answer in boxes: the last one, with those before it that are joined to it as its parts."""
    every = boxes(text)
    return joined(text, every) if every else None


def joined(text: str, every: list[Box]) -> str:
    """The contents of the last box of a text, and of those before it that are joined to it."""
    parts = [every[-1]]
    for box in reversed(every[:-1]):
        between = text[box.end : parts[0].start]
        if box.end > parts[0].start or len(between) > 40 or not JOINT.fullmatch(between) or len(parts) == MOST_PARTS:
            break
        parts.insert(0, box)
    contents = list(dict.fromkeys(" ".join(part.content.split()) for part in parts))
    return parts[-1].content if len(contents) == 1 else ", ".join(contents)


def tagged(text: str) -> str | None:
    """The contents of the last `<answer>…</answer>`."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    return text[start + len("<answer>") : end].strip() if start >= 0 else None


def without_denials(text: str) -> str:
    """The text without the values that it denies: `not 8, it is 13` leaves `13`."""
    if not _has_any(text, DENIALS):
        return text
    text = EMPHASIS.sub(lambda word: next(filter(None, word.groups())), text)
    if REFUTATION.search(text):
        text = REFUTED.sub(" ", text)
    return DENIED.sub(" ", text)


def _has_any(text: str, words: tuple[str, ...]) -> bool:
    """Whether a text may contain one of the words, or others that are not ASCII; faster than searching for them."""
    if not text.isascii():
        return True
    lowered = text.lower()
    return any(map(lowered.__contains__, words))


def short_answer(text: str) -> str:
    """The box, else the text after the word answer, else all; on one line and without a final full stop."""
    answer = boxed(text)
    if answer is None:
        text = without_denials(text)
        match = AFTER_CUE.search(text)
        answer = match.group(1) if match else text
    return " ".join(answer.split()).rstrip(".")


def cued(text: str) -> list[str]:
    """The text after each cue, up to the end of its sentence, the last first; none if the last was retracted.

    The word answer alone, without "is" or a colon, is a cue only if a value follows immediately.
    """
    if not _has_any(text, ASCII_CUES):
        return []
    cues = [
        cue
        for cue in CUE.finditer(text)
        if any(cue.groups()) or "#" in cue.group() or VALUE_AHEAD.match(text, cue.end())
    ]
    if not cues or RETRACTED.search(text, cues[-1].end()):
        return []
    return [_sentence(text, cue.end()) for cue in cues[: -MOST_CUES - 1 : -1]]


def _sentence(text: str, start: int) -> str:
    limit = min(len(text), start + LONGEST_SENTENCE)
    end = SENTENCE_END.search(text, start, limit)
    sentence = text[start : end.start() if end else limit].strip()
    denied = DENIED_CUE.match(sentence)
    return sentence[denied.end() :] if denied else sentence


def stated_number(text: str, is_number: Callable[[str], bool]) -> str | None:
    """The number that a text without a box gives: the first after the last cue that has one, else the last of all.

    `is_number` tells whether a formula is a number. A letter that stands for an unknown is not.
    """
    text = without_denials(tagged(text) or text)
    for sentence in cued(text):
        for token in TOKEN.finditer(sentence):
            if (number := _number(token, is_number)) is not None:
                return number
    for part in [text] if "$$" in text or "\\[" in text else reversed(text.split("\n")):
        numbers = [_number(token, is_number) for token in TOKEN.finditer(part)] if DIGIT.search(part) else []
        if any(numbers):
            return [number for number in numbers if number][-1]
    return None


def _number(token: re.Match[str], is_number: Callable[[str], bool]) -> str | None:
    formula = re.sub(r"^(?:\$\$?|\\[(\[])|(?:\$\$?|\\[)\]])$", "", token.group()) if token.group(1) else token.group()
    value = formula.rpartition("=")[2].strip().rstrip(".,; ")
    if token.group(2):
        return value or None
    return value if is_number(value) else None


def stated_formula(text: str) -> str | None:
    """The answer of a text without a box if the gold answer is not a number: formulas after the last cue, else words.

    Without a cue it is the last formula, else the text itself if it is short enough to be an answer.
    """
    text = without_denials(text)
    if (inside := tagged(text)) is not None:
        return inside
    sentences = [sentence for sentence in cued(text) if sentence]
    if sentences:
        formulas = _formulas(sentences[0])
        return formulas[0] if formulas else sentences[0]
    formulas = _formulas(text)
    if formulas:
        return formulas[-1]
    return text.strip() if len(text.strip()) <= LONGEST_EXTRACTED else None


def _formulas(text: str) -> list[str]:
    """Each formula without its dollar signs; those joined by "and" or a comma are one."""
    matches = [token for token in TOKEN.finditer(text) if token.group(1)]
    joined: list[str] = []
    for i, token in enumerate(matches):
        formula = re.sub(r"^(?:\$\$?|\\[(\[])|(?:\$\$?|\\[)\]])$", "", token.group()).strip()
        between = text[matches[i - 1].end() : token.start()] if i else ""
        if i and len(between) <= 40 and JOINT.fullmatch(between):
            joined[-1] += f", {formula}"
        else:
            joined.append(formula)
    return joined
