"""What a teacher costs on a CPU: `python -m tests.bench.distilling [WORLD]` (embedded or qwen3, `tests.bench.worlds`).

Full-parameter runs through `deepspeed` in turns, one rank under ZeRO-2, packed: the likelihood, a teacher that answers
while the run trains, and its stored distributions (k = 64, or 16 in the embedded world). Real tokens a second over the
steps after the first, and the largest resident memory. Medians of the rounds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from data_prep.commands.teach import main as teach
from tests.bench.training import ROUNDS, Measured, ours
from tests.bench.worlds import WORLDS, World

K = {"embedded": 16, "qwen3": 64}


def compare(world: World, folder: Path) -> None:
    print(f"{world.name}, full, ZeRO-2, 1 rank, about {world.batch} traces a step: real tokens a second", flush=True)
    taught = folder / "taught"
    sizes = [f"data.cache_dir={folder / 'data'}", "data.packing=true", f"data.max_length_tokens={world.row}"]
    teach([f"recipe={world.recipe}", *sizes, f"out={taught}", f"k={K[world.name]}"])
    ways = {
        "likelihood": (),
        "teacher": ("loss.name=distill",),
        "stored distributions": ("loss.name=distill", f"loss.teacher.logits={taught}"),
    }
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    ours(world, "full", folder)  # prepares the set and sweeps the references
    for _ in range(ROUNDS):
        for name, keys in ways.items():
            found[name].append(ours(world, "full", folder, keys))
    speed, memory = (
        {name: statistics.median(getattr(each, what) for each in some) for name, some in found.items()}
        for what in ("tokens", "peak")
    )
    for name, some in found.items():
        print(f"  {name}: {', '.join(f'{each.tokens:,.0f}' for each in some)}; peak {memory[name] / 2**20:,.0f} MiB")
        if name != "likelihood":
            cost = speed["likelihood"] / speed[name]
            print(f"  a step with the {name} takes {cost:.2f} of a plain one", flush=True)


def main(arguments: list[str]) -> None:
    for name in arguments or list(WORLDS):
        with tempfile.TemporaryDirectory() as folder:
            compare(WORLDS[name](Path(folder)), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
