"""A model writes traces: one thought per (problem, sample) with the sweep's engines, into a journal, then to a file.

`make_generation` fixes problems, prompts and sampling; `write_thoughts` computes the thoughts that the journal lacks;
`write_traces` grades all thoughts and writes the result. Each thought has its own random stream by (seed, problem,
sample), and rows are written in the order of the problems, so the files depend neither on interruptions nor on the
number of processes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from data_prep.fingerprint import fingerprint
from data_prep.grading.grade import grade_all
from data_prep.models import context_tokens, load_config, load_tokenizer
from data_prep.problem import Problem, Suite
from data_prep.tokens.prompts import ThinkFormat, think_format
from data_prep.tokens.tokenize import Labeller, Unwritable
from data_prep.trace import Trace
from data_prep.traces.files import new_file, trace_row, write_row
from eval.checkpoint import checkpoint_weights, fetch, find_checkpoint
from eval.engines.held_models import check_held
from eval.looping import is_looping
from eval.rejection import VERIFIED, Sample, chosen, problem_row, summary
from eval.samples import answer_text
from eval.sweep import SweepSpec, check_context, engine_on, make_sweep_spec, suite_requests
from eval.types import Missing, Request, Thought
from recipes.errors import UserError
from recipes.generation import GenerateTraces
from recipes.schema import ModelSection, Recipe
from recipes.sweep import VerdictSection
from runtime.journal import Journal, JournalWriter, Row
from runtime.lineage import commit
from runtime.progress import counted

Key = tuple[str, int]
NewFile = Callable[[Path], AbstractContextManager[TextIO]]


@dataclass(frozen=True)
class Generation:
    """One generation. `spec`: one suite, one budget, no cue; `format`: the one that traces are trained in."""

    section: GenerateTraces
    model: ModelSection
    spec: SweepSpec
    format: ThinkFormat

    @property
    def suite(self) -> Suite:
        return self.spec.suites[0]

    def lineage(self) -> dict[str, Any]:
        """Everything that each thought depends on."""
        return {
            "model": self.model.unpruned,
            "fingerprint": fingerprint(self.model.unpruned),
            "dtype": self.model.dtype,
            "engine": self.section.engine.name,
            "suite": self.suite.name,
            "suite_hash": self.suite.hash,
            "seed": self.section.sampling_seed,
            "samples": self.section.samples,
            "protocol": self.spec.protocol_hash(self.suite),
        }

    @property
    def identity(self) -> str:
        """16 hex digits over everything that the trace file depends on."""
        parts = [self.lineage(), self.section.keep, self.section.per_problem]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def make_generation(recipe: Recipe) -> Generation:
    """The generation that a recipe's `data.traces` (source: generate) describes; needs no weights.

    The model answers as it was trained to, without the sweep's cue: after its own close it writes freely. A thought
    that loops is stopped, since it would not be kept. Raises UserError if a problem has no gold answer or a thought
    would not fit into the model's context.
    """
    section = recipe.data.traces
    assert isinstance(section, GenerateTraces)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    names = ("samples", "temperature", "top_p", "top_k", "answer_tokens", "engine")
    sweep = recipe.sweep.changed(
        **{name: getattr(section, name) for name in names},
        seed=section.sampling_seed,
        budgets=[section.thinking_tokens],
        suites=[section.problems],
        verdict=VerdictSection(),
        extend_to=0,
        max_extensions=0,
        min_p=0.0,
        stop_loops=True,
    )
    spec = make_sweep_spec(sweep, recipe.data.format, tokenizer)
    close_ids = spec.protocol.format.close_tag_ids
    bare = replace(spec.protocol.format, cue="", own_close_ids=close_ids, forced_close_ids=close_ids)
    spec = replace(spec, protocol=replace(spec.protocol, format=bare))
    reach = check_context(spec, context_tokens(recipe.model.unpruned, recipe.model), "data.traces.thinking_tokens")
    check_held(section.engine, recipe.model.unpruned, load_config(recipe.model.unpruned, recipe.model), reach)
    return Generation(section, recipe.model, spec, think_format(recipe.data.format, tokenizer))


def fetch_weights(generation: Generation) -> None:
    """Downloads a Hub model, so that its fingerprint is known; an endpoint has its own copy."""
    if generation.section.engine.takes_checkpoints:
        fetch(find_checkpoint(generation.model.unpruned))


def thought_journal(generation: Generation, out: Path) -> Journal:
    """The journal of the thoughts for the trace file `out`."""
    return Journal(out, generation.lineage())


def finished_thoughts(journal: Journal) -> dict[Key, Row]:
    """The journal's thoughts by (problem, sample)."""
    return {(row["problem"], row["sample"]): row for row in journal.rows()}


def unfinished_requests(generation: Generation, done: set[Key]) -> list[Request]:
    """The remaining requests, in the order of the problems."""
    requests = suite_requests(generation.suite, generation.spec)
    return [request for request in requests if (request.problem, request.sample) not in done]


def write_thoughts(generation: Generation, requests: Sequence[Request], journal: Journal, rank: int) -> None:
    """Thinks about `requests` and adds each thought to the rank's journal as soon as it is finished.

    Raises UserError at the end if some failed; the journal keeps the others.
    """
    failures: list[str] = []
    with journal.writer(rank) as writer:
        for thought in counted(_think(generation, requests), "traces of the unpruned model", len(requests), "thoughts"):
            if isinstance(thought, Missing):
                failures.append(f"{thought.problem}, sample {thought.sample}: {thought.reason}")
            else:
                _add(writer, _journal_row(thought, generation), journal)
    if failures:
        raise UserError(
            f"data.traces.engine: {len(failures)} of {len(requests)} thoughts failed (problem {failures[0]}); the "
            f"others are kept in {journal.out.name}.journal-*.jsonl, and the same command resumes from there"
        )


def _add(writer: JournalWriter, row: Row, journal: Journal) -> None:
    try:
        writer.add(row)
    except OSError as fault:
        raise UserError(
            f"{journal.out}.journal-*: cannot be written ({fault.strerror}); make room, and the same command resumes "
            "from there"
        ) from None


def _think(generation: Generation, requests: Sequence[Request]) -> Iterator[Thought | Missing]:
    """The thoughts, by the recipe's engine."""
    if not requests:  # no weights need to be loaded
        return
    spec = generation.spec
    weights = checkpoint_weights(find_checkpoint(generation.model.unpruned), generation.model, spec.engine)
    with engine_on(weights, spec) as engine:
        yield from engine.think(requests)


def _journal_row(thought: Thought, generation: Generation) -> Row:
    protocol, tokenizer = generation.spec.protocol, generation.spec.tokenizer
    close, answer = protocol.format.close, thought.answers[-1]
    text = str(tokenizer.decode(list(thought.thinking_ids), skip_special_tokens=False))
    return {
        "problem": thought.problem,
        "sample": thought.sample,
        "stop": thought.stop,
        # blanks before the mark belong to the close, which the renderer of a trace writes itself
        "thinking": text.removesuffix(close[: len(close) - len(close.lstrip())]),
        "answer": answer_text(answer.answer_ids, protocol, tokenizer),
        "finished": answer.finished,
        "looping": is_looping(thought.thinking_ids) or is_looping(answer.answer_ids),
        "thinking_tokens": len(thought.thinking_ids),
        "answer_tokens": len(answer.answer_ids),
    }


def grade_samples(rows: Sequence[Row], generation: Generation) -> list[Sample]:
    """The journal's thoughts as traces, each with its verdict."""
    problems = {problem.id: problem for problem in generation.suite.problems}
    traces = [_trace(row, problems[row["problem"]], generation.suite) for row in rows]
    labelled = Labeller(generation.spec.tokenizer, generation.format).label_all(traces)
    verdicts = [
        _flaw(row) or (label.reason if isinstance(label, Unwritable) else "")
        for row, label in zip(rows, labelled, strict=True)
    ]
    sound = [i for i, flaw in enumerate(verdicts) if not flaw]
    grades = grade_all(
        [traces[i].answer for i in sound], [problems[rows[i]["problem"]].answer for i in sound], generation.suite.grader
    )
    for i, grade in zip(sound, grades, strict=True):
        wrong = "grader gave up" if grade.reason.startswith("grader ") else "wrong answer"
        verdicts[i] = VERIFIED if grade.correct else wrong
    return [
        Sample(row["problem"], row["sample"], trace, row["thinking_tokens"], row["answer_tokens"], verdict)
        for row, trace, verdict in zip(rows, traces, verdicts, strict=True)
    ]


def _trace(row: Row, problem: Problem, suite: Suite) -> Trace:
    """The trace of a thought; without the gold answer of a Reasoning Gym task, which cannot be compared as text."""
    return Trace(
        id=f"{suite.name}/{problem.id}#{row['sample']}",
        question=problem.question,
        thinking=row["thinking"],
        answer=row["answer"],
        source=suite.name,
        gold=None if suite.grader == "reasoning_gym" else problem.answer,
    )


def _flaw(row: Row) -> str:
    """Why a thought cannot be a trace, whatever its answer; "" if it can."""
    if row["looping"]:
        return "looping"
    if row["stop"] != "close":
        return "thought not closed"
    if not row["finished"]:
        return "answer cut"
    return "" if row["answer"] else "empty answer"


def write_traces(generation: Generation, out: Path, journal: Journal, new: NewFile = new_file) -> str:
    """Grades all thoughts of the journal, writes `out` and its pass rates, removes the journal.

    new: creates `out`, with or without a seal. Returns the text to print.
    """
    section, thoughts = generation.section, finished_thoughts(journal)
    problems = [problem.id for problem in generation.suite.problems]
    keys = [(problem, sample) for problem in problems for sample in range(section.samples)]
    graded = grade_samples([thoughts[key] for key in keys], generation)
    lineage = {**generation.lineage(), "commit": commit()}
    problem_rows: list[dict[str, Any]] = []
    left: Counter[str] = Counter()
    with new(out) as file:
        for first, problem in zip(range(0, len(graded), section.samples), problems, strict=True):
            samples = graded[first : first + section.samples]
            kept, why = chosen(samples, section.keep, section.per_problem, section.sampling_seed)
            problem_rows.append(problem_row(problem, samples, len(kept)))
            left += why
            for sample in kept:
                write_row(file, _file_row(sample, problem_rows[-1]["pass_rate"], lineage))
        # Pass rates are written before `out` appears (at the end of its block): if `out` exists, all is done.
        rates = rates_file(out)
        rates.unlink(missing_ok=True)  # left by a process that was killed here; the journal still has everything
        with new_file(rates) as rates_out:
            for row in problem_rows:
                write_row(rates_out, row)
    journal.remove()
    return f"{summary(generation.suite, problem_rows, left)}\ntraces {out}\npass rates {rates}"


def rates_file(out: Path) -> Path:
    """The file with the pass rates of the problems, next to `out`."""
    return out.with_name(out.name + ".problems.jsonl")


def _file_row(sample: Sample, pass_rate: float, lineage: dict[str, Any]) -> dict[str, Any]:
    return {
        **trace_row(sample.trace),
        "problem_id": sample.problem,
        "sample": sample.sample,
        "pass_rate": pass_rate,
        "thinking_tokens": sample.thinking_tokens,
        "answer_tokens": sample.answer_tokens,
        "lineage": lineage,
    }
