"""Comparing 100 runs of 40 sweeps on 500 problems: seconds and memory beside reading every line of their files.

    python -m tests.bench.comparing [runs]

Folders are written first (three suites, five budgets, thoughts of 2,000 characters; the samples of the last sweep). The
rival is what a notebook does without chainmend: `json.loads` of every line of the same files. Each runs in a process of
its own; CPU seconds and peak memory are those of the process, start and imports included.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipes.paths import ROOT

RUNS, SWEEPS, PROBLEMS = 100, 40, 500
BUDGETS = (512, 1024, 2048, 4096, 8192)
SUITES = ("knowledge", "shallow", "chain")
LOGGED = 1000  # rows of metrics.jsonl
THOUGHT = "Wait, let me check this step again. " * 56  # 2,016 characters
RIVAL = """
import json, pathlib, sys
rows = []
for folder in sys.argv[1:]:
    for name in ("sweeps.jsonl", "metrics.jsonl", "samples/chain/run-000400.jsonl"):
        rows += [json.loads(line) for line in (pathlib.Path(folder) / name).open()]
print(len(rows))
"""


def write_run(folder: Path, seed: int) -> None:
    """A folder as a finished run leaves it; accuracies differ by `seed`."""
    rng = random.Random(seed)
    samples = folder / "samples/chain/run-000400.jsonl"
    samples.parent.mkdir(parents=True)
    recipe = {"seed": seed, "keep_best": None, "trainer": {"learning_rate": 0.001 * (seed % 5)}}
    record = {
        "command": ["recipe=mine.yaml"],
        "recipe": recipe,
        "prune_plan": {"layers": 36, "removed": [1] * (seed % 3)},
    }
    (folder / "run.json").write_text(json.dumps(record))
    metric = {"loss": 0.5, "learning_rate": 1e-4, "grad_norm": 0.6, "epoch": 0.04, "mean_token_accuracy": 0.9}
    metric |= {"tokens": 238, "seconds": 0.8, "sweep_seconds": 0.0, "tokens_per_second": 272.5, "mfu": None}
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": n, **metric}) + "\n" for n in range(1, LOGGED + 1))
    )
    (folder / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sweep_rows(0.4 + 0.004 * seed)))
    header = {"model": "run", "step": 400, "suite": "chain", "budgets": list(BUDGETS), "protocol": "hash"}
    with samples.open("w") as file:
        file.write(json.dumps(header) + "\n")
        for problem in range(PROBLEMS):
            file.write(json.dumps(thought(problem, rng, 0.4 + 0.004 * seed)) + "\n")


def thought(problem: int, rng: random.Random, top: float) -> dict[str, Any]:
    kept = {"answer_tokens": 5, "finished": True, "looping": False, "text": "boxed{7}", "extracted": "7"}
    answers = [
        {"budgets": [b], "thinking_tokens": b, **kept, "correct": rng.random() < top * (k + 1) / 5, "reason": "equal"}
        for k, b in enumerate(BUDGETS)
    ]
    begun = {"problem": f"p{problem}", "sample": 0, "stop": "close", "extensions": 0, "thinking": THOUGHT}
    return {**begun, "answers": answers, "failure": "", "judged": None}


def sweep_rows(top: float) -> Iterator[dict[str, Any]]:
    """Rows of sweeps.jsonl: both references, and the run at its sweeps."""
    models = [("unpruned", 0, 0.95), ("pruned", 0, 0.2)]
    models += [("run", 10 * n, 0.2 + (top - 0.2) * n / SWEEPS) for n in range(1, SWEEPS + 1)]
    span = {"low": 0.1, "high": 0.9}
    for model, step, level in models:
        for suite in SUITES:
            of_all = {"step": step, "model": model, "suite": suite, "problems": PROBLEMS, "groups": None, "samples": 1}
            of_all |= {"missing": 0, "protocol": "hash", "method": "generate", "chance": None}
            for k, budget in enumerate(BUDGETS):
                accuracy = {"budget": budget, "accuracy": level * (k + 1) / 5, **span}
                spent = {"tokens_spent": 0.8 * budget, "answer_tokens": 5.0, "total_tokens": 0.8 * budget + 5}
                yield {**of_all, **accuracy, **spent, "closed": 0.7, "cut": 0.1, "looping": 0.05, "seconds": None}
            share = {"fraction": 0.5, **span}
            gain = {"gain_per_doubling": level / 5, "gain_low": 0.0, "gain_high": 0.3, "total_gain": level * 0.8}
            judged = model == "run" and suite == SUITES[-1]
            yield {
                **of_all,
                **gain,
                "budget": None,
                "level": level,
                "base": level / 5,
                "termination": 0.7,
                "verdict": "PARTIAL" if judged else None,
                "verdict_line": "PARTIAL: 0.67 [0.19, 1.15] of the level lost is back; " * 5 if judged else None,
                "verdict_reasons": ["level minus the pruned level +0.462 [+0.093, +0.843] is above 0"] * 4,
                "verdict_error": 0.025,
                "recovered_fraction": [{"budget": budget, **share} for budget in BUDGETS],
                "token_factor": [
                    {"budget": b, "factor": 1.0, "low": None, "high": 1.8, "at_most": True} for b in BUDGETS
                ],
                "level_share": share,
                "gain_share": share,
                "style": {"thoughts": 500, "words": 44.6, "ngram_repetition": 0.0, "self_bleu": 0.4},
            }


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds by the clock, CPU seconds and peak memory in GB of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[:4]}: failed ({status})")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def main() -> None:
    number = int(sys.argv[1]) if sys.argv[1:] else RUNS
    with tempfile.TemporaryDirectory() as scratch:
        folders = [str(Path(scratch) / f"run{seed}") for seed in range(number)]
        for seed, folder in enumerate(folders):
            write_run(Path(folder), seed)
        size = sum(path.stat().st_size for path in Path(scratch).rglob("*.jsonl"))
        print(f"{number} runs x {SWEEPS} sweeps x {PROBLEMS} problems, {size / 1e6:,.0f} MB", flush=True)
        compare = [sys.executable, "-m", "eval.compare", *folders, f"out={scratch}/out"]
        ways = {
            "compare, all pairs, no figures": [*compare, "format=json", "figures=none"],
            "compare, all pairs and figures": compare,
            "json.loads of every line": [sys.executable, "-c", RIVAL, *folders],
        }
        print(f"{'':32}{'seconds':>9}{'CPU':>8}{'GB':>7}")
        for name, command in ways.items():
            # of three times the one with the least CPU seconds: others may use the machine
            clock, cpu, memory = min((measured(command) for _ in range(3)), key=lambda taken: taken[1])
            print(f"{name:32}{clock:9.2f}{cpu:8.2f}{memory:7.2f}", flush=True)


if __name__ == "__main__":
    main()
