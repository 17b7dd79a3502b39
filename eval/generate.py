"""`python -m eval.generate recipe=FILE problems=FILE out=FILE [samples=4 keep=random …]`: the model writes its traces.

The unpruned model thinks about each problem with one of the sweep's engines (so this module is in `eval`, which
`data_prep` may not import). Each thought is written once and to its end; verified ones are kept. `out` is an ordinary
trace file, each row with its lineage and pass rate; `out` + `.problems.jsonl` says how hard each problem was. Finished
thoughts are kept in a journal next to `out`: if the process is killed, the same command resumes with the same result.
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
"""the command's keys -> the keys of `data.traces` that they set"""
KEYS = {
    **{short: GenerateTraces.model_fields[name].description or "" for short, name in SHORT.items()},
    "problems": "a file of problems with answers, a known benchmark, or {source: …} as in sweep.suites; default: the "
    "recipe's own data.traces.problems",
    "engine": "the engine that generates, such as {name: hf, batch_size: 24}",
    "out": "the trace file; an existing file is not overwritten",
}


def main(arguments: list[str]) -> None:
    """Generates traces, resumes if there is a journal next to `out`, and prints the result."""
    values, rest = split(arguments, KEYS, Recipe)
    if not values.get("out"):
        raise UserError("eval.generate: out=FILE is missing; name the file for the traces")
    recipe = load_recipe([*rest, "data.traces.source=generate", *recipe_keys(values)]).recipe
    out = Path(values["out"])
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
    from runtime.libraries import calm_libraries

    calm_libraries(rank=0)
    check_new(out)
    generation = make_generation(recipe)
    fetch_weights(generation)
    journal = thought_journal(generation, out)
    if not journal.files():
        check_new(rates_file(out))
    done = set(finished_thoughts(journal))
    requests = unfinished_requests(generation, done)
    print(f"{len(requests):,} thoughts to write, {len(done):,} already finished", flush=True)
    write_thoughts(generation, requests, journal, 0)
    print(write_traces(generation, out, journal))


def recipe_keys(values: dict[str, str]) -> list[str]:
    """The command's short keys as keys of the recipe's `data.traces`."""
    from data_prep.suites.load import suite_called

    keys = [f"data.traces.{SHORT[name]}={text}" for name, text in values.items() if name not in ("out", "problems")]
    problems = values.get("problems", "")
    if problems and not problems.startswith("{"):
        problems = json.dumps(suite_called(problems, "problems").model_dump(mode="json"))
    return [*keys, f"data.traces.problems={problems}"] if problems else keys


if __name__ == "__main__":
    run(main)
