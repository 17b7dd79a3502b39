"""Traces that the unpruned model generates for its own recovery (`data.traces.source: generate`)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from data_prep.nano_world import CLOSED_FAMILIES
from data_prep.suites.confirm import measured_suites
from data_prep.traces.files import new_sealed_file
from eval.kept_sweep import set_aside
from eval.trace_writer import (
    Generation,
    fetch_weights,
    finished_thoughts,
    make_generation,
    thought_journal,
    unfinished_requests,
    write_thoughts,
    write_traces,
)
from recipes.confirm import CONFIRM
from recipes.errors import UserError
from recipes.generation import GenerateTraces
from recipes.schema import Recipe
from recipes.suites import NanoSuite
from recipes.sweep import SweepSection
from recipes.traces import FileTraces
from runtime.files import writing_fault
from runtime.lock import hold_lock
from runtime.ranks import Ranks, on_every_rank, on_first_rank
from runtime.seal import file_fault


def with_generated_traces(recipe: Recipe, ranks: Ranks) -> Recipe:
    """The recipe with a trace file in place of `source: generate`; any other recipe unchanged. All ranks must call it.

    The file is in `run.cache_dir`. Its name depends on everything that determines its content, so it is written once
    for all runs. It is sealed: a changed file is set aside and written again. Every rank generates its share; a killed
    run resumes from the journal. If another run is writing the same file, this one waits for it, however long.
    """
    if not isinstance(recipe.data.traces, GenerateTraces):
        return recipe
    generation = on_every_rank(ranks, lambda: make_generation(recipe))
    folder = recipe.run.cache_dir / "generated"
    if not recipe.dry_run:
        on_first_rank(ranks, lambda: fetch_weights(generation))
    out = folder / f"{generation.identity}.jsonl"
    if not on_first_rank(ranks, lambda: file_fault(out) is None):
        if recipe.dry_run:
            raise UserError(
                "dry_run=true with data.traces.source=generate: the traces do not exist yet, so they "
                "cannot be checked; start without dry_run, or write them with python -m eval.generate"
            )
        _write_once(generation, out, ranks)
    on_first_rank(ranks, lambda: print(f"traces {out}{overlap_warning(generation, recipe.sweep)}", flush=True))
    data = recipe.data.changed(traces=FileTraces(source="file", path=out))
    return recipe.changed(data=data)


def _write_once(generation: Generation, out: Path, ranks: Ranks) -> None:
    """Writes `out`, unless another run has written it while this one waited."""
    journal = thought_journal(generation, out)
    with ExitStack() as held:
        on_first_rank(ranks, lambda: _wait_for_others(out, held))
        if on_first_rank(ranks, lambda: _is_sound(out)):
            return
        done = on_first_rank(ranks, lambda: set(finished_thoughts(journal)))
        mine = unfinished_requests(generation, done)[ranks.rank :: ranks.count]
        on_every_rank(ranks, lambda: write_thoughts(generation, mine, journal, ranks.rank))
        said = on_first_rank(ranks, lambda: write_traces(generation, out, journal, new_sealed_file))
        if ranks.rank == 0:
            print(said, flush=True)


def _is_sound(out: Path) -> bool:
    """Whether the traces exist and are unchanged; damaged ones are set aside, with a message."""
    if not os.path.lexists(out):
        return False
    if fault := file_fault(out):
        aside = set_aside(out, "damaged")
        print(f"{out} is damaged ({fault}): kept as {aside.name}; the traces are written again", flush=True)
    return not fault


def _wait_for_others(out: Path, held: ExitStack) -> None:
    """Takes the lock of `out`, which `held` releases. A run that dies releases it too; its journal is then resumed."""
    if fault := writing_fault(out.parent):
        raise UserError(f"run.cache_dir={out.parent.parent}: cannot be written ({fault}); name another folder")
    held.enter_context(hold_lock(out, lambda text: print(text, flush=True)))


def overlap_warning(generation: Generation, sweep: SweepSection) -> str:
    """A warning if a suite of the sweep has the same questions: the model would be measured on what it was trained on.

    The closed sets of the embedded world are not checked, since the model is meant to know them by heart.
    """
    questions = {problem.question for problem in generation.suite.problems}
    warnings = []
    closed = {each.name for each in sweep.suites if isinstance(each, NanoSuite) and each.family in CLOSED_FAMILIES}
    for suite in measured_suites(sweep):
        same = questions & {problem.question for problem in suite.problems}
        if same and suite.name.removesuffix(CONFIRM) not in closed:
            warnings.append(
                f"\nwarning: {len(same)} of the {len(questions)} problems of data.traces.problems are "
                f"also in the sweep's suite {suite.name}"
            )
    return "".join(warnings)
