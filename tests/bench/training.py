"""Training speed: `python -m tests.bench.training`.

chainmend against a bare TRL script, under the same DeepSpeed stage, ranks and batch, on the same model and traces:
launches in turns, steps per second from the median of the logging intervals after the first two. Ours without sweeps in
between, as the rival has none.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from data_prep.ledger import Ledger
from data_prep.models import load_tokenizer
from data_prep.pipeline import read_and_filter
from data_prep.prompts import render_completion, render_prompt, think_format
from eval.summary import read_rows
from recipes.loader import load_recipe
from recipes.paths import ROOT

ROUNDS, STEPS, LOGGING_STEPS = 3, 40, 5


def launch(script: str, *arguments: str) -> None:
    """One `deepspeed` launch on one rank; what it printed is shown where it fails."""
    program = str(Path(sys.executable).with_name("deepspeed"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([program, "--num_accelerators", "1", script, *arguments], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def steps_per_second(interval_seconds: list[float]) -> float:
    """From the seconds of each logging interval; the first two warm up."""
    return LOGGING_STEPS / statistics.median(interval_seconds[2:])


def ours(method: str, folder: Path) -> float:
    """Steps per second of chainmend on the shipped recipe."""
    run = folder / f"ours-{method}-{len(list(folder.iterdir()))}"
    launch("launch/train.py", f"recipe={method}_recovery.yaml", f"run.dir={run}", f"run.cache_dir={folder / 'cache'}",
           f"trainer.max_steps={STEPS}", "trainer.learning_rate=1e-3", "trainer.save_strategy=no",
           f"sweep.every_steps={STEPS}", "wandb.mode=disabled", "export.enabled=false")
    return steps_per_second([row["seconds"] for row in read_rows(run / "metrics.jsonl")])


def theirs(method: str, folder: Path, model: Path, traces: Path) -> float:
    """Steps per second of the bare TRL script."""
    times = folder / f"theirs-{method}-{len(list(folder.iterdir()))}.json"
    launch("tests/bench/bare_trl.py", str(model), str(traces), method, str(STEPS), str(times))
    return steps_per_second(json.loads(times.read_text()))


def write_inputs(folder: Path) -> tuple[Path, Path]:
    """The pruned model's folder, and the recipe's traces as the prompt and completion columns that TRL reads."""
    recipe = load_recipe(["recipe=full_recovery.yaml"]).recipe
    pruned = folder / "pruned"
    command = [sys.executable, "-m", "prune", "recipe=full_recovery.yaml", f"output={pruned}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    fmt = think_format(recipe.data.format, tokenizer)
    rows = [{"prompt": render_prompt(t.question, tokenizer, fmt), "completion": render_completion(t, fmt)}
            for t in read_and_filter(recipe.data, Ledger())]
    traces = folder / "traces.jsonl"
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return pruned, traces


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pruned, traces = write_inputs(folder)
        for method in ("full", "lora"):
            speeds: dict[str, list[float]] = {"chainmend": [], "bare TRL": []}
            for _ in range(ROUNDS):
                speeds["chainmend"].append(ours(method, folder))
                speeds["bare TRL"].append(theirs(method, folder, pruned, traces))
            medians = {who: statistics.median(found) for who, found in speeds.items()}
            rounds = "; ".join(f"{who} {', '.join(f'{speed:.2f}' for speed in found)}" for who, found in speeds.items())
            ratio = medians["chainmend"] / medians["bare TRL"]
            print(f"{method}, ZeRO-2, 1 rank, batch 48: steps a second {rounds}")
            print(f"  chainmend / bare TRL  {ratio:.3f}   (at least 0.95)", flush=True)


if __name__ == "__main__":
    main()
