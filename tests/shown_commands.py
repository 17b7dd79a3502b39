"""The commands that README.md, launch/README.md, CONTRIBUTING.md and docs/*.md show, and their marks.

A command is an indented line, a line after `$ ` in a fenced block, or a whole command between backticks in a sentence.
tests/train/scenarios/test_shown_commands.py runs those without a mark. A mark stands at the end of a comment, or in
brackets after backticks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.paths import ROOT

MARKS = {
    "needs GPUs": "GPUs, or more of them than one",
    "needs the Hub": "a model or data set of the Hugging Face Hub",
    "needs a W&B server": "an account, or a server of one's own",
    "needs several machines": "machines that reach each other, or Slurm",
    "takes long": "minutes to hours on CPUs",
    "not run here": "another program, or a package that the tests do not install",
}
"""why no test runs a command; CONTRIBUTING.md explains them to readers"""

PAGES = [
    ROOT / "README.md",
    ROOT / "launch" / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
OURS = r"make|python|deepspeed|chainmend"
OTHERS = r"[A-Z_]+=\S+ \w+|cp|export|sbatch|srun|bash|git|pip|python3|\S+/python|lm_eval|vllm|hf|ollama|llama-\S+|wandb"
COMMAND = re.compile(rf"(?:{OURS}|{OTHERS}|torchrun|accelerate|docker|uv|conda) \S")
WHOLE = re.compile(r"^make \S|[=>']|--help|\b[A-Z]{2,}\b|\bruns/|\.yaml|\btests\.\w")
"""what a whole command has in a sentence, where `python -m eval` or `python -m data_prep check` only names one"""
LOOKS_LIKE_A_MARK = re.compile(r"(?:^|\()((?:needs|takes|not run)\b[^()]*)\)?$")
MARK_AFTER = re.compile(r" \(((?:needs|takes|not run)\b[^()]*)\)")


@dataclass(frozen=True)
class Shown:
    """A command of a page. `text` has neither its comment nor line breaks; `mark` is "" where it has none."""

    page: Path
    line: int
    text: str
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


def shown_in(text: str, page: Path) -> list[Shown]:
    """The commands of a page's text, in their order."""
    lines, places, sentences = text.splitlines(), _places(text), [""]
    found: list[Shown] = []
    for number, (line, place) in enumerate(zip(lines, places, strict=True), 1):
        if place == "block" and not (number > 1 and places[number - 2] == "block" and lines[number - 2].endswith("\\")):
            found += _of_block(lines, number, page)
        sentences.append("" if place else line)
    found += _of_sentences("\n".join(sentences[1:]), page)
    return sorted(found, key=lambda shown: shown.line)


def all_shown() -> list[Shown]:
    """The commands of all pages."""
    return [shown for page in PAGES for shown in shown_in(page.read_text(), page)]


def settings_shown() -> list[list[str]]:
    """Lines of blocks that are keys of a recipe with values, `a.b=c d=e` or YAML, as `key=value` arguments."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for line, place in zip(text.splitlines(), _places(text), strict=True):
            setting = line.strip().partition(" # ")[0].strip()
            yaml = re.fullmatch(r"([a-z_.]+): (.+)", setting)
            keys = [f"{yaml[1]}={yaml[2]}"] if yaml else setting.split()
            if place == "block" and all(re.match(r"[a-z_]+[a-z_.]*=", key) for key in keys):
                found.append(keys)
    return found


def python_blocks() -> list[str]:
    """The code of the fenced Python blocks of all pages."""
    return [code for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]


def _places(text: str) -> list[str]:
    """Where each line is: "" in a sentence, "block" where commands are, "fence" in a fenced block."""
    places, fenced = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            places.append("fence")
        elif fenced:
            places.append("block" if line.startswith("$ ") else "fence")
        else:
            places.append("block" if line.startswith("    ") else "")
    return places


def _of_block(lines: list[str], number: int, page: Path) -> Iterator[Shown]:
    whole, last = lines[number - 1].strip().removeprefix("$ "), number
    while whole.endswith("\\"):
        whole = f"{whole[:-1].rstrip()} {lines[last].strip()}"
        last += 1
    text, _, comment = whole.partition(" # ")
    if COMMAND.match(text):
        mark = LOOKS_LIKE_A_MARK.search(comment.strip())
        yield Shown(page, number, text.strip(), mark[1] if mark else "")


def _of_sentences(text: str, page: Path) -> Iterator[Shown]:
    """Whole commands between backticks, which may stand on two lines; those with `…` are examples of a form."""
    for found in re.finditer(r"`([^`]+)`", text):
        command = " ".join(found[1].split())
        if COMMAND.match(command) and WHOLE.search(command) and "…" not in command:
            mark = MARK_AFTER.match(" ".join(text[found.end() : found.end() + 60].split("\n")))
            yield Shown(page, text[: found.start()].count("\n") + 1, command, mark[1] if mark else "")
