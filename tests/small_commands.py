"""How the commands of the documentation are run in small: what stands for their placeholders, and recipes with small
numbers.

A command is run as it is written, but for the changes in REPLACED, in a folder that has small recipes of the shipped
names. The order of the pages is that in which they need each other's results.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from recipes.paths import ROOT
from tests.shown_commands import PAGES, Shown, all_shown, python_blocks

FIRST = ("your_model.md", "pruning.md")
"""pages whose runs the others compare, export and report"""

REPLACED = (
    # options: with their first choice, without those that only have a form
    (r" \[(RUN …|key=value …)\]| …(?=\])", r""),
    (r"\[(\S+?)\|[^\]]*\]", r"\1"),
    (r"\[([^\]]*?=[^\]]*)\]", r"\1"),
    # files and folders: what the command makes gets a new name (NEW), what it reads is there
    (r"teach (.*)out=DIR", r"teach \1out=logits"),
    (r"logits=DIR", r"logits=logits"),
    (r"out=DIR form=adapter", r"out=adapter form=adapter"),
    (r"model=DIR base=PRUNED", r"model=adapter base=runs/mine/pruned recipe=mine.yaml"),
    (r"out=DIR push=USER/NAME", r"out=runs/mine/export push=me/mine"),
    (r"\b(out|output|fix)=(DIR|OUT)\b", r"\1=NEW"),
    (r"\b(out|table)=FILE\b", r"\1=NEW.jsonl"),
    (r"html=FILE", r"html=NEW.html"),
    (r"model=DIR,DIR", r"model=my_model,runs/mine/export"),
    (r"\b(model|against)=(DIR|UNPRUNED)\b", r"\1=my_model"),
    (r"pruned=DIR", r"pruned=runs/demo/pruned"),
    (r"run=(?:runs/A|DIR)(.*checkpoint=best)", r"run=runs/demo\1"),
    (r"verify DIR", r"verify runs/mine/export"),
    (r"(inspect|align) DIR", r"\1 my_model"),
    (r"traces=FILE", r"traces=my_traces.jsonl"),
    (r"recipe=FILE", r"recipe=mine.yaml"),
    (r"(verdict|grade) FILE\.jsonl", r"\1 rows_of_\1.jsonl"),
    (r"problems=FILE", r"problems=problems.jsonl"),
    (r"runs/A runs/B runs/C|\bRUN RUN …", r"runs/mine runs/demo runs/first"),
    (r"runs/A|\bRUN\b", r"runs/mine"),
    (r"runs/B", r"runs/demo"),
    (r"runs/\*", r"runs/mine runs/demo runs"),
    (r"(tail-1),runs/cuts/tail-2,…", r"\1"),
    (r"c\.eval … run", r"c.eval pruned@4096=d.eval run@1024=e.eval run"),
    # numbers that only say how long a command takes, or how much memory is there before a model is loaded
    (r"=N\b", r"=4"),
    (r"size: 1500", r"size: 60"),
    (r"answer_tokens=512", r"answer_tokens=8"),
    (r"methods=tail,shortgpt,perplexity (.*)\btrain_steps=20", r"methods=shortgpt \1train_steps=1"),
    (r"(train\.cuts .*)", r"\1 layers=2"),
    (r"(train\.cuts (?!.*methods=).*)", r"\1 methods=tail"),
    (r"(train\.plan .*|train\.study .*plan=true.*)", r"\1 base_gb=0.6"),
    # trainings that differ from others only by keys
    (r"(run\.dir=runs/(?:rate|wrong|shuffled) .*|lora_recovery\.yaml loss\.name=distill)", r"\1 dry_run=true"),
    # the launcher, which adds processes: in one process here, real launches in tests/train/scenarios/test_two_ranks.py
    (r"^deepspeed(?: --\w+ \d+)? launch/", r"python launch/"),
)

ELSEWHERE = {
    r"python -m train\.plan .*measure=true": "tests/train/plan/test_measure.py::"
    "test_a_moment_on_this_machine_is_near_the_real_run",
    r"deepspeed --num_accelerators \d .*run\.dir=runs/ranks.*": "tests/train/test_elastic.py::"
    "test_losses_and_rates_are_those_of_the_uninterrupted_run",
}
"""commands whose work another test does with real ranks or measures, and its name"""

BY_HAND = re.compile(r"python -m tests\.bench\.(?!knapsack|ways)")
"""benchmarks, which `make bench` and `make gpu` run; but for those that take a second"""

SHORT = {"max_steps": 2, "save_steps": 2, "logging_steps": 1, "warmup_steps": 1}
SUITES = {"0": {"size": 4}, "1": {"size": 4}, "2": {"size": 8}}
TRAINED: dict[str, Any] = {
    "run": {"report": "none"},
    "data": {"traces": {"size": 60}},
    "trainer": {**SHORT, "per_device_train_batch_size": 8},
    "sweep": {"every_steps": 2, "confirm": {"problems": 8}, "suites": SUITES},
}
OF_WAYS: dict[str, Any] = {
    "run": {"report": "none"},
    "export": {"enabled": False},
    "data": {"traces": {"size": 60}, "labelled_tokens": 1000},
    "trainer": SHORT,
    "sweep": {"every_steps": 2, "budgets": [16, 64], "suites": SUITES},
}
BUILT = {"steps": 2, "warmup_steps": 1, "padded_tokens": 512}
QWEN3: dict[str, Any] = {  # the embedded model in place of Qwen3-8B
    "model": {"unpruned": "my_model", "dtype": "float32"},
    "data": {
        "traces": {"source": "nano", "size": 60},
        "max_length_tokens": 256,
        "format": {"open": "<think>", "close": "</think> ", "cue": "answer", "wait": "#1", "stop": None},
    },
    "trainer": SHORT,
    "sweep": {
        "budgets": [16, 64],
        "every_steps": 2,
        "answer_tokens": 4,
        "samples": 1,
        "engine": {"memory_gb": 1},
        "verdict": {"suite": "chain"},
        "confirm": {"problems": 8},
        "suites": [{"source": "nano", "name": "chain", "family": "chain", "size": 8}],
    },
    "export": {"dtype": "float32"},
}
SMALL: dict[str, dict[str, Any]] = {
    "lora_recovery": {**TRAINED, "keep_best": "sweep/chain/gain"},
    **{f"{name}_recovery": TRAINED for name in ("full", "distill")},
    "on_policy_recovery": {**TRAINED, "on_policy": {"problems": {"size": 60}, "horizon": {"steps": 2}}},
    **{f"{name}_recovery": OF_WAYS for name in ("ways", "ways_quick", "ways_foreign")},
    "ways_own_recovery": {**OF_WAYS, "data": {"traces": {"problems": {"size": 30}}, "labelled_tokens": 500}},
    "study": {"parts": dict.fromkeys(("foreign", "wrong", "shuffled", "repaired", "on_policy", "unpruned", "lora"))},
    "nano_world": {"training": BUILT},
    "ways_world": {"training": {**BUILT, "ways_from_step": 1}, "then": BUILT},
    "qwen3_8b_lora": QWEN3,
    "qwen3_8b_full": QWEN3,
}
"""shipped recipes, and what is smaller here: numbers, arms; no report, and no export where no command reads it"""

MINE = {
    r"max_steps: 120": "max_steps: 4",
    r"save_steps: 60": "save_steps: 4",
    r"every_steps: 60": "every_steps: 4",
    r"problems: 256": "problems: 8",
    r"size: 256": "size: 8",
}
"""numbers of the recipe that docs/your_model.md shows"""


def commands() -> list[str]:
    """The commands without a mark, in small, each once and in the order in which they run, then the Python blocks."""
    pages = sorted(PAGES, key=lambda page: FIRST.index(page.name) if page.name in FIRST else len(FIRST))
    shown = [each for page in pages for each in all_shown() if each.page == page]
    small = [text for each in runnable(shown) for text in in_small(each.text)]
    named = [re.sub(r"\bNEW\b", f"made/{number}", text) for number, text in enumerate(dict.fromkeys(small))]
    return [*named, *(f"python block_{number}.py" for number, _ in enumerate(python_blocks()))]


def runnable(shown: list[Shown]) -> list[Shown]:
    """Those that have no mark, here or where the same command stands elsewhere, and no other test of their own."""
    marked = {each.text for each in shown if each.mark}
    return [
        each
        for each in shown
        if each.text not in {*marked, *of_ci()}
        and not BY_HAND.match(each.text)
        and not any(re.fullmatch(pattern, each.text) for pattern in ELSEWHERE)
    ]


def in_small(text: str) -> list[str]:
    """The command with what stands for its placeholders; those of its target for a `make`."""
    texts = of_target(text.removeprefix("make ")) if text.startswith("make ") else [text]
    for pattern, new in REPLACED:
        texts = [re.sub(pattern, new, each) for each in texts]
    return texts


def of_ci() -> set[str]:
    """The `make` commands that CI runs, and those of the targets that they need."""
    run = set(re.findall(r"^make (\S+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    needed = {
        name
        for target, names in re.findall(r"^([\w-]+):(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        if target in run
        for name in names.split()
    }
    return {f"make {target}" for target in run | needed}


def of_target(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    (body,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [line.removeprefix("\t$(RUN) ") for line in body.splitlines()]


def set_up(folder: Path) -> None:
    """What the commands find in the folder where they run."""
    for name, numbers in SMALL.items():
        parent = ROOT / "recipes" / f"{name}.yaml"
        (folder / parent.name).write_text(yaml.safe_dump({"extends": str(parent), **numbers}))
    (recipe,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "your_model.md").read_text(), re.DOTALL)
    for long, short in MINE.items():
        recipe, found = re.subn(long, short, recipe)
        assert found == 1, long
    (folder / "mine.yaml").write_text(recipe)
    for name in ("data_prep/nano_model", "launch/hostfile.example", "docs/pruning.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    (folder / "recipes").mkdir()
    for number, code in enumerate(python_blocks()):
        (folder / f"block_{number}.py").write_text(code)
    _logs_of_other_tools(folder)
    _write(folder / "problems.jsonl", [{"id": str(n), "problem": f"start {n} #1 +3 ?", "answer": n} for n in range(4)])
    _write(folder / "rows_of_grade.jsonl", [{"id": "a", "gold": "7", "text": "so it is</think> 7"}])
    of_verdict = [
        {"model": model, "problem": problem, "sample": 0, "budget": budget, "correct": model != "pruned"}
        for model in ("unpruned", "pruned", "run")
        for problem in range(8)
        for budget in (16, 64)
    ]
    _write(folder / "rows_of_verdict.jsonl", of_verdict)


def _logs_of_other_tools(folder: Path) -> None:
    golden = ROOT / "tests" / "eval" / "logs" / "golden"
    for name in "abcdef":
        shutil.copy(golden / "small.eval", folder / f"{name}.eval")
    rows = (golden / "samples_sums.jsonl").read_text().replace('"filter": "strict"', '"filter": "strict-match"')
    for day in (29, 30):
        (folder / f"samples_gsm8k_2026-11-{day}.jsonl").write_text(rows)


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
