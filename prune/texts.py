"""Plain text to measure on: a file of texts, read and tokenised without a thinking format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.tokenize import Row
from prune.calibration import Sequences
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.prune import TextCalibration

SUFFIXES = (".jsonl", ".txt")


def read_texts(section: TextCalibration, count: int) -> list[str]:
    """The first `count` texts of the file. Raises UserError, with the line, for anything else, or if there is none."""
    path = Path(find_path(section.path))
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"prune.calibration.path={section.path}: must end in .jsonl (rows with `text`) or .txt (paragraphs "
            "separated by an empty line)"
        )
    read = _json_lines if path.suffix == ".jsonl" else _paragraphs
    try:
        with path.open(encoding="utf-8") as lines:
            texts = list(islice(read(lines, section.path), count))
    except (OSError, UnicodeDecodeError) as fault:
        reason = "no such file" if isinstance(fault, FileNotFoundError) else f"cannot be read as UTF-8 text ({fault})"
        raise UserError(f"prune.calibration.path={section.path}: {reason}") from None
    if not texts:
        raise UserError(f"prune.calibration.path={section.path}: it holds no text; name a file with at least one")
    return texts


def text_sequences(section: TextCalibration, count: int, tokenizer: PreTrainedTokenizerBase) -> Sequences:
    """The first texts as the tokenizer encodes any text (with its first token, if it adds one), every token labelled.

    Texts of one token have nothing to predict and are left out; `facts` count these and the shortened ones.
    """
    encoded = [list(tokenizer(text)["input_ids"]) for text in read_texts(section, count)]
    ids = [each[: section.max_tokens] for each in encoded if len(each) > 1]
    if not ids:
        raise UserError(
            f"prune.calibration.path={section.path}: each of its {len(encoded)} texts has one token; give longer ones"
        )
    shortened = sum(len(each) > section.max_tokens for each in encoded)
    facts = {"texts_shortened": shortened, "texts_too_short": len(encoded) - len(ids)}
    return Sequences([Row(str(place), each, each) for place, each in enumerate(ids)], facts)


def _json_lines(lines: Iterator[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as fault:
            raise UserError(f"prune.calibration.path={path}, line {number}: not JSON ({fault})") from None
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str) or not text.strip():
            found = f"the keys {', '.join(row) or 'none'}" if isinstance(row, dict) else type(row).__name__
            raise UserError(
                f"prune.calibration.path={path}, line {number}: needs a `text` that is not empty, found {found}"
            )
        yield text


def _paragraphs(lines: Iterator[str], _path: Path) -> Iterator[str]:
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "".join(paragraph).strip()
            paragraph = []
    if paragraph:
        yield "".join(paragraph).strip()
