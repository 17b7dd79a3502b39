"""`python -m eval.generate recipe=FILE problems=FILE out=FILE [samples=4 keep=random …]`: the model writes its traces.

The unpruned model thinks about each problem through an engine of the sweep (that is why this stands in `eval`, which
`data_prep` may not import), each thought once and to its end; what verifies is kept. `out` is a trace file as any
other, each row with its lineage and pass rate; `out` + `.problems.jsonl` says how hard each problem was. Finished
thoughts are kept in a journal beside it: after a kill the same command goes on, and the files come out the same.
"""

from __future__ import annotations

import json
from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.generation import GenerateTraces
from recipes.loader import load_recipe
from recipes.schema import Recipe

SHORT = {"seed" if name == "sampling_seed" else name: name for name in GenerateTraces.model_fields if name != "source"}
"""the command's keys, and the keys of `data.traces` that they stand for"""
KEYS = {
    **{short: GenerateTraces.model_fields[name].description or "" for short, name in SHORT.items()},
    "problems": "a file of problems with answers, a known benchmark, or {source: …} as in sweep.suites; default: the "
    "recipe's own data.traces.problems",
    "engine": "the engine that thinks, such as {name: hf, batch_size: 24}",
    "out": "the trace file; one that is there is not overwritten",
}


def main(arguments: list[str]) -> None:
    """Generates, or goes on where a journal lies beside `out`, and prints what came of it."""
    own, rest = split(arguments, KEYS, Recipe)
    if not own.get("out"):
        raise UserError("eval.generate: out=FILE is missing, the file for the traces")
    recipe = load_recipe([*rest, "data.traces.source=generate", *recipe_keys(own)]).recipe
    out = Path(own["out"])
    from data_prep.traces.files import check_new
    from eval.trace_writer import (
        fetch_weights,
        finished_thoughts,
        make_generation,
        rates_file,
        thought_journal,
        unfinished_requests,
        write_thoughts,
        write_traces,
    )

    check_new(out)
    generation = make_generation(recipe)
    fetch_weights(generation)
    journal = thought_journal(generation, out)
    if not journal.files():
        check_new(rates_file(out))
    done = set(finished_thoughts(journal))
    requests = unfinished_requests(generation, done)
    print(f"{len(requests):,} thoughts to have, {len(done):,} are there already", flush=True)
    write_thoughts(generation, requests, journal, 0)
    print(write_traces(generation, out, journal))


def recipe_keys(own: dict[str, str]) -> list[str]:
    """The command's short keys as keys of the recipe's `data.traces`."""
    from data_prep.suites.load import suite_called

    keys = [f"data.traces.{SHORT[name]}={text}" for name, text in own.items() if name not in ("out", "problems")]
    problems = own.get("problems", "")
    if problems and not problems.startswith("{"):
        problems = json.dumps(suite_called(problems, "problems").model_dump(mode="json"))
    return [*keys, f"data.traces.problems={problems}"] if problems else keys


if __name__ == "__main__":
    run(main)
