"""Training speed: `python -m tests.bench.training [WORLD [METHOD]]` (embedded or qwen3, see `tests.bench.worlds`; full
or lora).

Launches through `deepspeed` in turns, on one rank under ZeRO-2, on the same model, traces and traces a step:
  chainmend   launch/train.py, packed
  bare TRL    the script that people write at its best settings: packing, padding-free or padded, the micro batch at
              which it was fastest in a trial; loss of completions alone
  the paper   one trace a micro batch, no packing, the logits of the whole sequence
Real tokens (all but padding) a second over the steps after the first, and the largest resident memory of any
process of the launch, ours with the sweeps that it does (of one problem a suite). Medians of the rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.files import read_rows
from tests.bench.launches import launch
from tests.bench.worlds import WORLDS, World

ROUNDS, WARM_UP = 3, 1
STEPS = {"embedded": 20, "qwen3": 5}
TRIAL_STEPS = 3
Setting = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """tokens: real ones a second; peak: bytes."""

    tokens: float
    peak: int


def tokens_a_second(steps: list[tuple[int, float]]) -> float:
    """From (tokens, seconds) of every step."""
    measured = steps[WARM_UP:]
    return sum(tokens for tokens, _ in measured) / sum(seconds for _, seconds in measured)


def ours(world: World, method: str, folder: Path, keys: Sequence[str] = ()) -> Measured:
    """chainmend as it is launched; references are swept by the first launch and found by the others."""
    run = folder / f"ours-{time.time_ns()}"
    adapter = ["adapter.method=lora", "adapter.r=16", "adapter.alpha=32"] if method == "lora" else []
    peak = launch(
        "launch/train.py",
        f"recipe={world.recipe}",
        f"run.dir={run}",
        f"run.cache_dir={folder / 'cache'}",
        f"data.cache_dir={folder / 'data'}",
        "data.packing=true",
        f"data.max_length_tokens={world.row}",
        f"trainer.per_device_train_batch_size={world.micro_batch}",
        f"trainer.gradient_accumulation_steps={world.rows // world.micro_batch}",
        f"trainer.max_steps={STEPS[world.name]}",
        "trainer.learning_rate=1e-3",
        "trainer.save_strategy=no",
        "trainer.logging_steps=1",
        f"sweep.every_steps={STEPS[world.name]}",
        "wandb.mode=disabled",
        "export.enabled=false",
        *adapter,
        *keys,
    )
    rows = read_rows(run / "metrics.jsonl")
    return Measured(tokens_a_second([(row["tokens"], row["seconds"]) for row in rows]), peak)


def bare(world: World, method: str, folder: Path, settings: list[Setting], steps: int) -> dict[str, Measured]:
    """The bare script with every one of the settings."""
    job, out = folder / "job.json", folder / "out.json"
    job.write_text(
        json.dumps(
            {
                "model": str(world.model),
                "traces": str(world.traces),
                "method": method,
                "steps": steps,
                "out": str(out),
                "settings": settings,
            }
        )
    )
    peak = launch("tests/bench/bare_trl.py", str(job))
    return {name: Measured(tokens_a_second(found), peak) for name, found in json.loads(out.read_text()).items()}


def setting(name: str, micro_batch: int, accumulation: int, **more: Any) -> Setting:
    return {
        "name": name,
        "micro_batch": micro_batch,
        "accumulation": accumulation,
        "packing": False,
        "padding_free": False,
        "max_length": None,
        "whole_logits": False,
        **more,
    }


def best_settings(world: World, method: str, folder: Path) -> Setting:
    """What the bare script is fastest with here, of what its documentation recommends."""
    tried = [setting(f"padded, micro batch {world.batch // parts}", world.batch // parts, parts) for parts in (1, 4)]
    tried += [setting(f"padding-free, micro batch {world.batch // 4}", world.batch // 4, 4, padding_free=True)]
    tried += [
        setting(
            f"packed, micro batch {size} rows of {world.row}",
            size,
            world.rows // size,
            packing=True,
            max_length=world.row,
        )
        for size in (1, world.rows)
    ]
    speeds = bare(world, method, folder, tried, TRIAL_STEPS)
    for name, found in speeds.items():
        print(f"  tried: bare TRL {name}: {found.tokens:,.0f}", flush=True)
    return max(tried, key=lambda each: speeds[each["name"]].tokens)


def compare(world: World, method: str, folder: Path) -> None:
    print(
        f"{world.name}, {method}, ZeRO-2, 1 rank, about {world.batch} traces a step: real tokens a second", flush=True
    )
    best = best_settings(world, method, folder)
    paper = setting("the paper", 1, world.batch, whole_logits=True)
    steps = STEPS[world.name]
    ways = {
        "chainmend": lambda: ours(world, method, folder),
        f"bare TRL ({best['name']})": lambda: bare(world, method, folder, [best], steps)[best["name"]],
        "the paper's settings": lambda: bare(world, method, folder, [paper], TRIAL_STEPS)["the paper"],
    }
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    ours(world, method, folder)  # prepares the set and sweeps the references
    for _ in range(ROUNDS):
        for name, way in ways.items():
            found[name].append(way())
    tokens = [statistics.median(each.tokens for each in some) for some in found.values()]
    peaks = [statistics.median(each.peak for each in some) for some in found.values()]
    for (name, some), peak in zip(found.items(), peaks, strict=True):
        print(f"  {name}: {', '.join(f'{each.tokens:,.0f}' for each in some)}; peak {peak / 2**20:,.0f} MiB")
    print(f"  chainmend / bare TRL at its best   {tokens[0] / tokens[1]:.2f}   (at least 1.0)")
    print(f"  chainmend / the paper's settings   {tokens[0] / tokens[2]:.2f}   (at least 1.5)")
    print(f"  peak memory, chainmend / bare TRL  {peaks[0] / peaks[1]:.2f}   (at most 1.0)", flush=True)


def main(arguments: list[str]) -> None:
    worlds, methods = (
        [each] if each else list(known)
        for each, known in zip([*arguments, "", ""], (WORLDS, ("full", "lora")), strict=False)
    )
    for name in worlds:
        for method in methods:
            with tempfile.TemporaryDirectory() as folder:
                compare(WORLDS[name](Path(folder)), method, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
