"""The rounds of a run's own thoughts: made on the weights in training, kept in the run folder, handed to the trainer.

<run>/rollouts/round-00003.jsonl          a header (round, step, horizon, hash of the weights), then a line a thought
               round-00003.sha256         its seal
               rounds.jsonl               a row a round: thoughts, ended, looping, lengths, seconds, why it was left out

A thought that a killed process has finished is in the round's journal and is not thought again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data_prep.filtering.decontaminate import decontaminate
from data_prep.ledger import Ledger
from data_prep.problem import Problem, Suite
from data_prep.suites.load import load_suite
from data_prep.tokens.controls import Controls, check_suite
from data_prep.tokens.prompts import encode, render_prompt
from data_prep.trace import Trace
from eval.protocol import make_protocol
from eval.sweep import SweepSpec, engine_on, think_twice
from eval.types import Request, Thought, Weights
from eval.weights_hash import weights_hash
from recipes.errors import UserError
from recipes.on_policy import OnPolicySection
from recipes.quality import DecontaminateSection
from recipes.schema import Recipe
from runtime.files import put_rows, read_rows
from runtime.journal import Journal
from runtime.progress import progress
from runtime.pulse import may_leave
from runtime.ranks import on_every_rank, on_first_rank
from runtime.seal import file_fault, sealing
from train.model import gathered_model
from train.rollouts import (
    Rollout,
    Round,
    RoundFacts,
    Schedule,
    facts_of,
    problem_of,
    rollout_of,
    stop_id_of,
    why_not,
)
from train.run import Run

MOST_OVERLAPS_NAMED = 3


@dataclass(frozen=True)
class Thinking:
    """What is thought about, and how. spec: the engine and a protocol whose one budget is the horizon of a round;
    dropped: problems that were left out since a sweep asks them."""

    section: OnPolicySection
    problems: tuple[Problem, ...]
    spec: SweepSpec
    dropped: int

    def at(self, horizon: int) -> SweepSpec:
        return replace(self.spec, protocol=replace(self.spec.protocol, budgets=(horizon,)))

    def request(self, number: int) -> Request:
        """The request of a rollout; its number is the sample, so that each has a random stream of its own."""
        problem = problem_of(number, self.problems, self.section)
        prompt = render_prompt(problem.question, self.spec.tokenizer, self.spec.protocol.format)
        return Request(problem.id, number, encode(prompt, self.spec.tokenizer))

    def describe(self) -> str:
        horizon = self.section.horizon
        out = f", {self.dropped} left out that a sweep asks" if self.dropped else ""
        return (
            f"own thoughts about {len(self.problems):,} problems{out}: {self.section.share:.0%} of each batch, new "
            f"ones every {self.section.refresh_steps} steps, {horizon.start} to {horizon.end} tokens long"
        )


def make_thinking(recipe: Recipe, spec: SweepSpec, measured: Sequence[Suite]) -> Thinking | None:
    """What the section asks for; None without it. spec: what the run sweeps; measured: all that it measures on.

    UserError where no problem is left, or a thought would not fit into a row.
    """
    section = recipe.on_policy
    if section is None:
        return None
    suite = check_suite(
        load_suite(section.problems, "on_policy.problems"), Controls(spec.tokenizer, spec.protocol.format)
    )
    if suite.by_likelihood:
        raise UserError("on_policy.problems.method=likelihood: nothing is thought there; use method=generate")
    problems = unseen(suite, measured, recipe.data.decontaminate)
    if not problems:
        raise UserError(f"on_policy.problems: all {len(suite.problems)} problems are asked by sweeps; name others")
    sweep = recipe.sweep.changed(
        budgets=[section.horizon.end],
        suites=[section.problems],
        confirm=None,
        verdict=type(recipe.sweep.verdict)(),
        samples=1,
        extend_to=0,
        max_extensions=0,
        min_p=0.0,
        stop_loops=True,
        seed=section.seed,
        **{name: getattr(section, name) for name in ("answer_tokens", "temperature", "top_p", "top_k", "engine")},
    )
    protocol = make_protocol(sweep, spec.protocol.format, len(spec.tokenizer))
    close = protocol.format.close_tag_ids  # the model answers as it was trained to, without a sweep's cue
    bare = replace(protocol.format, cue="", own_close_ids=close, forced_close_ids=close)
    thinking = Thinking(
        section,
        problems,
        replace(spec, suites=(), protocol=replace(protocol, format=bare), samples=1, engine=section.engine, judge=None),
        len(suite.problems) - len(problems),
    )
    _check_room(thinking, recipe.data.max_length_tokens)
    return thinking


def unseen(suite: Suite, measured: Sequence[Suite], rules: DecontaminateSection) -> tuple[Problem, ...]:
    """The problems of `suite` that no measured suite asks, in the same words or in many of them."""
    asked = {problem.question for each in measured for problem in each.problems}
    as_traces = (
        Trace(problem.id, problem.question, "", "", suite.name)
        for problem in suite.problems
        if problem.question not in asked
    )
    kept = {trace.id for trace in decontaminate(as_traces, rules, measured, Ledger())}
    return tuple(problem for problem in suite.problems if problem.id in kept)


def _check_room(thinking: Thinking, row_tokens: int) -> None:
    fmt, section = thinking.spec.protocol.format, thinking.section
    prompt = max(
        len(encode(render_prompt(problem.question, thinking.spec.tokenizer, fmt), thinking.spec.tokenizer))
        for problem in thinking.problems
    )
    needed = prompt + section.horizon.end + len(fmt.own_close_ids) + section.answer_tokens + 1
    if needed > row_tokens:
        raise UserError(
            f"on_policy.horizon.end={section.horizon.end}: with a prompt of {prompt} and an answer of "
            f"{section.answer_tokens} tokens a row has {needed}, more than data.max_length_tokens={row_tokens}; lower "
            "the horizon or on_policy.answer_tokens, or raise data.max_length_tokens"
        )


class Rounds:
    """The thoughts of the round that is trained on."""

    def __init__(self, thinking: Thinking, schedule: Schedule, run: Run) -> None:
        self.thinking, self.schedule, self.run = thinking, schedule, run
        self.folder = run.folder.path / "rollouts"
        self.round: Round | None = None
        self.rollouts: dict[int, Rollout] = {}

    def example(self, slot: int) -> dict[str, Any] | None:
        """The example of a slot; None where a trace trains there."""
        number = self.schedule.number(slot)
        rollout = None if number is None else self.rollouts.get(number)
        return None if rollout is None else rollout.example()

    def begin(self, step: int, trainer: Any) -> None:
        """Has the round of the step after `step` steps: made on the weights of `trainer`, or read where it was made.

        All ranks call it. ToLeave where the run is asked to stop meanwhile.
        """
        wanted = self.schedule.round_of(step)
        if self.round == wanted:
            return
        file = self._file(wanted)
        if step > wanted.first and on_first_rank(self.run.ranks, lambda: self._holds(file, wanted, None)):
            self._take(wanted, file)  # resumed in the middle of a round, whose weights are gone
            return
        began = time.perf_counter()
        with may_leave(), gathered_model(trainer) as model:
            weights = on_first_rank(self.run.ranks, lambda: weights_hash(model))
            if not on_first_rank(self.run.ranks, lambda: self._holds(file, wanted, weights)):
                self._make(wanted, file, weights, Weights(model))
        self._take(wanted, file, time.perf_counter() - began)

    def _file(self, wanted: Round) -> Path:
        return self.folder / f"round-{wanted.index:05d}.jsonl"

    def _header(self, wanted: Round, weights: str) -> dict[str, Any]:
        numbers = [wanted.numbers.start, wanted.numbers.stop]
        return {
            "round": wanted.index,
            "step": wanted.first,
            "horizon": wanted.horizon,
            "numbers": numbers,
            "weights": weights,
        }

    def _holds(self, file: Path, wanted: Round, weights: str | None) -> bool:
        """Whether `file` is this round, whole, and of these weights (None: of any)."""
        if file_fault(file) is not None:
            return False
        header = read_rows(file)[0]
        return bool(header == self._header(wanted, header["weights"] if weights is None else weights))

    def _make(self, wanted: Round, file: Path, weights_name: str, weights: Weights) -> None:
        """Thinks what the journal lacks, each rank its share; rank 0 writes the file."""
        ranks, header = self.run.ranks, self._header(wanted, weights_name)
        journal = Journal(file, header)
        done = on_first_rank(ranks, lambda: self._journalled(journal))
        requests = [self.thinking.request(number) for number in wanted.numbers if number not in done]
        on_every_rank(ranks, lambda: self._think(requests[ranks.rank :: ranks.count], wanted, journal, weights))
        on_first_rank(ranks, lambda: _write(file, header, journal))

    def _journalled(self, journal: Journal) -> set[int]:
        self.folder.mkdir(exist_ok=True)
        try:
            return {row["number"] for row in journal.rows()}
        except UserError:  # of the same round on other weights: an earlier start had trained otherwise up to here
            journal.remove()
            return set()

    def _think(self, requests: Sequence[Request], wanted: Round, journal: Journal, weights: Weights) -> None:
        spec, by_number = self.thinking.at(wanted.horizon), {request.sample: request for request in requests}
        stop_id = stop_id_of(spec.protocol.format, spec.tokenizer)
        with journal.writer(self.run.ranks.rank) as writer:
            if not requests:
                return

            def note(thought: Thought) -> None:
                writer.add(rollout_of(by_number[thought.sample], thought, spec.protocol.format, stop_id).row())
                work.advance()

            title = f"own thoughts of step {wanted.first}"
            with engine_on(weights, spec) as engine, progress(title, len(requests), "thoughts") as work:
                thoughts = think_twice(engine, requests, note)
        if missing := [thought for thought in thoughts if not isinstance(thought, Thought)]:
            raise UserError(f"on_policy: {len(missing)} thoughts failed; the first one: {missing[0].reason}")

    def _take(self, wanted: Round, file: Path, seconds: float = 0.0) -> None:
        """The round's thoughts for every rank, or none where it is not to be trained on."""
        rollouts = [Rollout.of_row(row) for row in read_rows(file)[1:]]
        facts = facts_of(rollouts, self.schedule.section.horizon.start)
        first = facts if wanted.index == 0 else self._first_facts()
        reason = why_not(facts, first, self.schedule.section)
        self.round, self.rollouts = wanted, {} if reason else {each.number: each for each in rollouts}
        on_first_rank(self.run.ranks, lambda: self._record(wanted, facts, reason, seconds))

    def _first_facts(self) -> RoundFacts:
        rows = read_rows(self._file(self.schedule.round_of(0)))[1:]
        return facts_of([Rollout.of_row(row) for row in rows], self.schedule.section.horizon.start)

    def _record(self, wanted: Round, facts: RoundFacts, reason: str, seconds: float) -> None:
        row = {"step": wanted.first, "horizon": wanted.horizon, **asdict(facts), "left_out": reason}
        if seconds:  # a round that is read again keeps the time that it took
            put_rows(self.folder / "rounds.jsonl", [{**row, "seconds": round(seconds, 3)}], ("step",))
        numbers = {f"on_policy/{name}": value for name, value in asdict(facts).items()}
        self.run.tracker.log({**numbers, "on_policy/horizon": wanted.horizon}, wanted.first)
        said = (
            f"step {wanted.first}: {facts.thoughts} own thoughts of at most {wanted.horizon} tokens, mean "
            f"{facts.mean:.0f}, {facts.ended:.0%} ended by themselves, {facts.looping:.0%} loop or are empty"
        )
        self.run.say(f"{said}; NOT trained on: {reason}" if reason else said)


def _write(file: Path, header: dict[str, Any], journal: Journal) -> None:
    rows = sorted(journal.rows(), key=lambda row: int(row["number"]))
    with sealing(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in (header, *rows):
            out.write(json.dumps(row) + "\n")
    journal.remove()
