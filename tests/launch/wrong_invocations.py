"""Wrong invocations of every command: generated from the schema of recipes, and written by hand."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, get_origin

import annotated_types

from recipes.loader import load_recipe
from recipes.section import Section

RECIPE = "recipe=lora_recovery.yaml"
TAKE_RECIPES: dict[str, list[str]] = {
    "launch": [],
    "prune": ["output=OUT"],
    "data_prep prepare": [],
    "data_prep preview": [],
    "data_prep score": ["out=OUT", "pruned=OUT"],
    "data_prep check": [],
    "eval": ["model=MODEL"],
    "eval.generate": ["out=OUT"],
    "train.plan": [],
}
"""the commands that take a recipe, with what else each needs"""


@dataclass(frozen=True)
class Wrong:
    """A command with wrong arguments; OUT, MODEL, FILE and FOLDER stand for paths of the test. `names`: a text that the
    message holds."""

    command: str
    arguments: tuple[str, ...]
    names: str

    def __str__(self) -> str:
        return " ".join([self.command, *self.arguments])


@dataclass(frozen=True)
class Leaf:
    """A key of the recipe with its dotted name, its type and what bounds its value."""

    key: str
    kind: Any
    bounds: tuple[Any, ...]
    value: Any


def leaves(section: Section, above: str = "") -> Iterator[Leaf]:
    """The keys of a section and of those inside it, as this recipe fills them."""
    for name, field in type(section).model_fields.items():
        key, value = f"{above}{name}", getattr(section, name)
        if isinstance(value, Section):
            yield from leaves(value, f"{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], Section):
            for number, inside in enumerate(value):
                yield from leaves(inside, f"{key}.{number}.")
        elif name not in ("trainer", "source", "method"):
            yield Leaf(key, field.annotation, tuple(field.metadata), value)


def faults_of(leaf: Leaf) -> Iterator[tuple[str, list[str]]]:
    """(kind of mistake, arguments) for what can be wrong with a key."""
    yield "type", [f"{leaf.key}={{wrong: [1]}}"]
    head, _, name = leaf.key.rpartition(".")
    if len(name) > 4:
        yield "unknown", [f"{head}{'.' if head else ''}{name[:2]}{name[3:]}=1"]
    yield "twice", [f"{leaf.key}=1", f"{leaf.key}=1"]
    if get_origin(leaf.kind) is Literal:
        yield "choice", [f"{leaf.key}=nonesuch"]
    if leaf.kind in (int, float, bool):
        yield "empty", [f"{leaf.key}="]
        yield "word", [f"{leaf.key}=many"]
    for bound in leaf.bounds:
        match bound:
            case annotated_types.Ge(ge=limit):
                yield "range", [f"{leaf.key}={limit - 1}"]
            case annotated_types.Gt(gt=limit) | annotated_types.Lt(lt=limit):
                yield "range", [f"{leaf.key}={limit}"]
            case annotated_types.Le(le=limit):
                yield "range", [f"{leaf.key}={limit + 1}"]


def generated(count: int) -> list[Wrong]:
    """`count` mistakes with keys of the recipe, of every kind alike, spread over the commands that take one."""
    rng = random.Random("wrong invocations")
    by_kind: dict[str, list[tuple[str, list[str]]]] = {}
    for leaf in leaves(load_recipe([RECIPE]).recipe):
        for kind, arguments in faults_of(leaf):
            by_kind.setdefault(kind, []).append((leaf.key, arguments))
    chosen: list[Wrong] = []
    commands = cycle(TAKE_RECIPES)
    for kind in cycle(sorted(by_kind)):
        if len(chosen) == count or not any(by_kind.values()):
            return chosen
        if by_kind[kind]:
            _, arguments = by_kind[kind].pop(rng.randrange(len(by_kind[kind])))
            command = next(commands)
            key = arguments[0].partition("=")[0]
            chosen.append(Wrong(command, (*TAKE_RECIPES[command], RECIPE, *arguments), key))
    return chosen


def _by_hand() -> Iterator[tuple[str, str, str]]:
    """(command, arguments, what the message names)."""
    for command, needs in TAKE_RECIPES.items():
        more = " ".join(needs)
        yield command, f"{more} recipe=none.yaml", "none.yaml"
        yield command, f"{more} {RECIPE} seed", "seed: must be key=value" if command != "eval" else "seed"
        yield command, f"{more} {RECIPE} --epochs=3", "--epochs=3"
        yield command, f"{more} {RECIPE} {RECIPE}", "recipe"
    yield "launch", "", "give one recipe="
    yield "launch", f"{RECIPE} data.traces={{source: jsonl, path: FOLDER/none.jsonl}}", "none.jsonl"
    yield "launch", f"{RECIPE} data.traces={{source: file, path: FOLDER/none}}", "FOLDER/none"
    yield "launch", f"{RECIPE} model.unpruned=FOLDER/none", "FOLDER/none"
    yield "launch", f"{RECIPE} run.resume=FOLDER/none", "run.resume"
    yield "launch", f"{RECIPE} trainer.learning_rat=1", "trainer.learning_rate"
    yield "launch", f"{RECIPE} trainer.learning_rate=fast", "trainer.learning_rate"
    yield "launch", f"{RECIPE} trainer.max_steps=1.5", "trainer.max_steps"
    yield "launch", f"{RECIPE} trainer.output_dir=x", "run.dir"
    yield "launch", f"{RECIPE} sweep.budgets=[32, 16]", "sweep.budgets"
    yield "launch", f"{RECIPE} sweep.suites.9.size=3", "sweep.suites.9"
    yield "launch", f"{RECIPE} seed=[1", "seed"
    yield "prune", RECIPE, "output=DIR"
    yield "prune", f"{RECIPE} output=", "output"
    yield "prune", f"{RECIPE} output=a output=b", "given twice"
    yield "prune", f"{RECIPE} outptu=a", "output"
    yield "prune", f"{RECIPE} output=OUT prune.layers=99", "prune"
    yield "prune", f"{RECIPE} output=FILE", "FILE"
    yield "launch", f"{RECIPE} run.dir=FILE", "FILE"
    yield "launch", f"{RECIPE} run.dir=OUT data.cache_dir=FILE", "FILE"
    yield "data_prep prepare", f"{RECIPE} data.cache_dir=FILE/x", "FILE/x"
    yield "prune.inspect", "MODEL fix=FILE", "FILE"
    yield "prune.inspect", "", "usage"
    yield "prune.inspect", "FOLDER FOLDER", "usage"
    yield "prune.inspect", "FOLDER/none", "FOLDER/none"
    yield "prune.inspect", "FOLDER", "FOLDER"
    yield "prune.inspect", "FILE", "FILE"
    yield "prune.inspect", "--fast", "usage"
    yield "prune.inspect", "MODEL fix=", "fix"
    yield "data_prep", "", "first word"
    yield "data_prep", "chek traces=FILE", "chek"
    yield "data_prep check", "", "recipe"
    yield "data_prep check", "traces=", "traces="
    yield "data_prep check", "traces=FOLDER/none.jsonl", "none.jsonl"
    yield "data_prep check", "traces=FILE format=none", "format"
    yield "data_prep check", "traces=FILE unpack_limit=0", "unpack_limit"
    yield "data_prep check", "traces=FILE unpack_limit=", "unpack_limit"
    yield "data_prep check", "traces=FILE seed=1", "seed=1"
    yield "data_prep check", "traces=FILE traces=FILE", "given twice"
    yield "data_prep check", "traces=FOLDER", "FOLDER"
    yield "data_prep check", "FILE", "FILE"
    yield "data_prep decontaminate", "", "traces"
    yield "data_prep decontaminate", "traces=FILE suite=none out=OUT", "none"
    yield "data_prep decontaminate", "traces=FOLDER/none suite=SUITE out=OUT", "FOLDER/none"
    yield "data_prep decontaminate", "traces=FILE suite=SUITE out=FILE", "exists already"
    yield "data_prep decontaminate", "traces=FILE suite=SUITE out=FOLDER/none/x", "FOLDER/none"
    yield "data_prep decontaminate", "traces=FILE suite=SUITE out=OUT n=0", "n=0"
    yield "data_prep decontaminate", "traces=FILE suite=SUITE out=OUT unit=letters", "unit"
    yield "data_prep decontaminate", "traces=FILE suite=SUITE out=OUT shraed=1", "shared"
    yield "data_prep decontaminate", "traces=FILE suite=FILE out=OUT", "FILE:1"
    yield "data_prep decontaminate", "traces= suite=SUITE out=OUT", "traces"
    yield "data_prep preview", f"{RECIPE} n=0", "n=0"
    yield "data_prep preview", f"{RECIPE} n=x", "n=x"
    yield "data_prep preview", f"{RECIPE} ids=maybe", "ids"
    yield "data_prep preview", f"{RECIPE} colour=red", "colour"
    yield "data_prep score", RECIPE, "is missing"
    yield "data_prep score", f"{RECIPE} out=FILE", "exists already"
    yield "data_prep score", f"{RECIPE} out=OUT pruned=FOLDER/none", "FOLDER/none"
    yield "data_prep score", f"{RECIPE} out=OUT pruned=MODEL batch_tokens=0", "batch_tokens"
    yield "data_prep score", f"{RECIPE} out=OUT", "pruned=DIR"
    yield "data_prep nano", "recipe=nano_world.yaml", "out=DIR"
    yield "data_prep nano", "recipe=nano_world.yaml out=", "out"
    yield "data_prep nano", "recipe=none.yaml out=OUT", "none.yaml"
    yield "data_prep nano", "recipe=nano_world.yaml out=FILE", "FILE"
    yield "eval", RECIPE, "model=DIR"
    yield "eval", f"{RECIPE} model=", "model"
    yield "eval", f"{RECIPE} model=FOLDER/none", "FOLDER/none"
    yield "eval", f"{RECIPE} model=MODEL step=x", "step=x"
    yield "eval", f"{RECIPE} model=MODEL step=", "step"
    yield "eval", f"{RECIPE} model=MODEL,MODEL out=OUT", "not distinct"
    yield "eval", f"{RECIPE} model=FOLDER", "FOLDER"
    yield "eval", f"{RECIPE} model=FILE", "FILE"
    yield "eval", f"{RECIPE} model=MODEL out=FILE", "FILE"
    yield "eval", f"{RECIPE} model=MODEL base=MODEL", "base"
    yield "eval", f"{RECIPE} model=MODEL sweep.budgets=[9000]", "sweep.budgets"
    yield "eval", f"{RECIPE} model=MODEL sweep.suites=[{{source: jsonl, name: a/b, path: SUITE}}]", "name"
    yield "eval", f"{RECIPE} model=MODEL sweep.suites=[{{source: jsonl, name: a, path: FOLDER/none}}]", "FOLDER/none"
    yield "eval.grade", "", "jsonl"
    yield "eval.grade", "FILE", "and out="
    yield "eval.grade", "FILE out=FILE", "exists already"
    yield "eval.grade", "FILE out=FOLDER/none/x", "FOLDER/none"
    yield "eval.grade", "FILE out=OUT grader=guess", "grader=guess"
    yield "eval.grade", "FILE out=OUT", "FILE:1"
    yield "eval.grade", "FOLDER/none out=OUT", "FOLDER/none"
    yield "eval.grade", "FOLDER out=OUT", "FOLDER"
    yield "eval.grade", "FILE out=OUT open=", "open="
    yield "eval.grade", "FILE out=OUT opened=no", "opened"
    yield "eval.grade", "FILE FILE out=OUT", "one F"
    yield "eval.verdict", "", "one JSON Lines file"
    yield "eval.verdict", "FOLDER/none", "FOLDER/none"
    yield "eval.verdict", "FOLDER", "FOLDER"
    yield "eval.verdict", "FILE", "FILE:1"
    yield "eval.verdict", "FILE delta=2", "delta"
    yield "eval.verdict", "FILE delta=x", "delta"
    yield "eval.verdict", "FILE dleta=0.1", "dleta"
    yield "eval.verdict", "FILE margin=0.1", "margin"
    yield "eval.verdict", "FILE metric=acc", "one JSON Lines file"
    yield "eval.verdict", "run@8=FILE", "not a supported log"
    yield "eval.compare", "", "run folder"
    yield "eval.compare", "FOLDER/none", "FOLDER/none"
    yield "eval.compare", "FOLDER", "FOLDER"
    yield "eval.compare", "FILE", "FILE"
    yield "eval.compare", "FOLDER axis=time", "axis=time"
    yield "eval.compare", "FOLDER --json", "--json"
    yield "eval.compare", "FOLDER format=xml", "format=xml"
    yield "eval.compare", "FOLDER figures=few", "figures=few"
    yield "eval.compare", "FOLDER FOLDER", "given twice"
    yield "eval.compare", "a@8=FILE", "not a supported log"
    yield "eval.compare", "a@8=FOLDER/none", "FOLDER/none"
    yield "eval.compare", "FOLDER otu=x", "otu=x"
    yield "eval.generate", RECIPE, "is missing"
    yield "eval.generate", f"{RECIPE} out=FILE problems=SUITE", "exists already"
    yield "eval.generate", f"{RECIPE} out=OUT", "data.traces.problems"
    yield "eval.generate", f"{RECIPE} out=FOLDER/none/x problems=SUITE", "FOLDER/none"
    yield "eval.generate", f"{RECIPE} out=OUT problems=none", "problems=none"
    yield "eval.generate", f"{RECIPE} out=OUT problems=SUITE samples=0", "samples"
    yield "eval.generate", f"{RECIPE} out=OUT problems=SUITE keep=worst", "keep"
    yield "eval.generate", f"{RECIPE} out=OUT problems=SUITE samples=2 samples=2", "given twice"
    yield "eval.generate", f"{RECIPE} out=OUT problems=SUITE thinking_tokens=100000", "thinking_tokens"
    yield "train.plan", f"{RECIPE} gpus=0", "gpus=0"
    yield "train.plan", f"{RECIPE} gpus=two", "gpus=two"
    yield "train.plan", f"{RECIPE} gpus=1.5", "gpus=1.5"
    yield "train.plan", f"{RECIPE} measure=maybe", "measure"
    yield "train.plan", f"{RECIPE} tokens=10", "traces"
    yield "train.plan", f"{RECIPE} gpus=", "gpus"
    yield "train.plan", f"{RECIPE} gpsu=1", "gpsu=1"
    yield "train.plan", f"{RECIPE} card=", "card"
    yield "train.plan", f"{RECIPE} json=FILE/x", "FILE/x"
    yield "train.plan", f"{RECIPE} json=FOLDER", "FOLDER"
    yield "train.export", "", "out=DIR"
    yield "train.export", "run=FOLDER", "out=DIR"
    yield "train.export", "run=FOLDER/none out=OUT", "FOLDER/none"
    yield "train.export", "run=FOLDER out=OUT", "FOLDER"
    yield "train.export", "run=FOLDER out=FOLDER", "not empty"
    yield "train.export", "run=FOLDER out=OUT dtype=int8", "dtype"
    yield "train.export", "run=FOLDER out=OUT checkpoint=newest", "checkpoint"
    yield "train.export", "run=FOLDER out=OUT form=gguf", "form"
    yield "train.export", "run=FOLDER out=OUT dry_run=yes", "dry_run"
    yield "train.export", "run=FOLDER out=OUT dry_run=true", "push"
    yield "train.export", "out=OUT push=name dry_run=true", "push"
    yield "train.export", "verify FOLDER/none", "FOLDER/none"
    yield "train.export", "verify FOLDER", "FOLDER"
    yield "train.export", "verify", "verify DIR"
    yield "train.export", "run= out=OUT", "run"
    yield "train.export", "run=FOLDER out=", "out"


def by_hand(places: dict[str, Path]) -> list[Wrong]:
    """The mistakes written by hand, with real paths."""
    found = []
    for command, text, names in _by_hand():
        words = tuple(placed(word, places) for word in split_words(text))
        found.append(Wrong(command, words, placed(names, places)))
    return found


def split_words(text: str) -> list[str]:
    """The words of a command line; blanks inside brackets do not part."""
    words, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == " " and depth <= 0:
            words.append("")
        else:
            words[-1] += letter
    return [word for word in words if word]


def placed(text: str, places: dict[str, Path]) -> str:
    """The text with paths in place of their names, where these are whole words."""
    for name, path in places.items():
        text = re.sub(rf"(?<![A-Z]){name}(?![A-Z.])", str(path), text)
    return text
