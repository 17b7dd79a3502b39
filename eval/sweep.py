"""The budget sweep of one model: every suite, every budget, one thought a (problem, sample)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.grading.grade import grader_version
from data_prep.problem import Problem, Suite
from data_prep.suites.load import load_suite
from data_prep.tokens.prompts import encode, render_off_prompt, render_prompt, think_format
from eval.engines.choose import open_engine, version_of
from eval.judge import judge_thoughts
from eval.likelihood import choose_likeliest, likelihood_hash, problem_continuations
from eval.protocol import Protocol, make_protocol, protocol_hash
from eval.quiet import quiet
from eval.samples import GradedThought, grade_thoughts, sweep_style
from eval.types import Engine, Missing, Request, SuiteSweep, Thought, Weights, WhichModel
from recipes.data import FormatSection
from recipes.engines import EngineSection
from recipes.errors import UserError
from recipes.sweep import JudgeSection, SweepSection
from runtime.pulse import beat
from runtime.ranks import Ranks, from_every_rank

GROUP = 16
"""problems of a suite by likelihood that are scored, and noted, together"""


@dataclass(frozen=True)
class SweepSpec:
    """What every sweep of a run measures, and how."""

    suites: tuple[Suite, ...]
    protocol: Protocol
    samples: int
    engine: EngineSection
    tokenizer: PreTrainedTokenizerBase
    judge: JudgeSection | None = None

    def protocol_hash(self, suite: Suite) -> str:
        """The hash that every score of `suite` carries."""
        if suite.by_likelihood:
            return likelihood_hash(suite, self.tokenizer, (version_of(self.engine),))
        versions = version_of(self.engine), grader_version(suite.grader)
        return protocol_hash(self.protocol, suite, self.samples, versions)


def make_sweep_spec(section: SweepSection, fmt: FormatSection, tokenizer: PreTrainedTokenizerBase) -> SweepSpec:
    """Loads the suites and fixes the protocol.

    UserError where a suite is broken or the tokenizer cannot think in the format.
    """
    protocol = make_protocol(section, think_format(fmt, tokenizer), len(tokenizer))
    return SweepSpec(
        suites=tuple(load_suite(suite) for suite in section.suites),
        protocol=protocol,
        samples=section.samples,
        engine=section.engine,
        tokenizer=tokenizer,
        judge=section.judge,
    )


def check_context(spec: SweepSpec, context_tokens: int) -> None:
    """UserError where a prompt, the largest budget and an answer, or a scored choice, do not fit into the context."""
    fmt, budget = spec.protocol.format, spec.protocol.budgets[-1]
    closing = max(len(fmt.forced_close_ids), len(fmt.own_close_ids))
    for suite in spec.suites:
        if suite.by_likelihood:
            _check_choices(suite, spec, context_tokens)
            continue
        requests = suite_requests(suite, replace(spec, samples=1))
        prompt, off = (
            max(len(ids) for ids in each)
            for each in zip(*((one.prompt_ids, one.off_ids) for one in requests), strict=True)
        )
        needed = max(prompt + budget + closing, off) + spec.protocol.answer_tokens
        if needed > context_tokens:
            raise UserError(
                f"sweep.budgets: {budget} thinking tokens with a prompt of {prompt} (suite {suite.name}) and an "
                f"answer of {spec.protocol.answer_tokens} need {needed} tokens, the model's context has "
                f"{context_tokens}; lower the largest budget or answer_tokens"
            )


def _check_choices(suite: Suite, spec: SweepSpec, context_tokens: int) -> None:
    longest = max(
        len(one.context) + len(one.ids)
        for problem in suite.problems
        for one in problem_continuations(problem, suite.grader, spec.tokenizer)
    )
    if longest > context_tokens:
        raise UserError(
            f"sweep.suites ({suite.name}): a question with its choice has {longest} tokens, the model's "
            f"context has {context_tokens}; leave its longest problems out"
        )


Noted = TypeVar("Noted", Thought, GradedThought)


@dataclass(frozen=True)
class Notes(Generic[Noted]):
    """Thoughts that are known already, by (problem, sample), and where each new one is noted as soon as it is whole.

    A suite by likelihood has no thoughts to note; there it is choices that are graded already.
    """

    known: Mapping[tuple[str, int], Noted]
    add: Callable[[Noted], None]


NO_NOTES: Notes[Any] = Notes({}, lambda thought: None)


def sweep_model(model: PreTrainedModel | None, spec: SweepSpec, ranks: Ranks) -> dict[str, list[GradedThought]]:
    """Graded thoughts of every suite, in problem order, the same on every rank; each rank thinks its share.

    `model` is whole on this rank (under ZeRO-3 the caller has gathered it) and is left exactly as it was; None where
    the engine has a model of its own. UserError where not one thought of a suite could be had.
    """
    weights = Weights(model)
    with engine_on(weights, spec) as engine:
        return {suite.name: sweep_suite((engine, weights), suite, spec, ranks) for suite in spec.suites}


@contextmanager
def engine_on(weights: Weights, spec: SweepSpec) -> Iterator[Engine]:
    """The spec's engine on `weights`; a model in this process is quiet meanwhile (`eval.quiet`)."""
    silence = quiet(weights.model) if weights.model is not None else nullcontext()
    with silence, open_engine(spec.engine, spec.protocol, spec.tokenizer, weights) as engine:
        yield engine


def sweep_suite(
    thinker: tuple[Engine, Weights], suite: Suite, spec: SweepSpec, ranks: Ranks, notes: Notes[Any] = NO_NOTES
) -> list[GradedThought]:
    """`sweep_model` for one suite, on an engine and its weights; what `notes` know is not thought again."""
    if suite.by_likelihood:
        return _by_likelihood(thinker[1].model, suite, spec, ranks, notes)
    requests = suite_requests(suite, spec)
    known = [notes.known[key] for request in requests if (key := (request.problem, request.sample)) in notes.known]
    new = [request for request in requests if (request.problem, request.sample) not in notes.known]

    def graded_share() -> list[GradedThought]:
        share = [
            *known[ranks.rank :: ranks.count],
            *think_twice(thinker[0], new[ranks.rank :: ranks.count], notes.add),
        ]
        thoughts = grade_thoughts(share, suite, spec.protocol, spec.tokenizer)
        if spec.judge is None:
            return thoughts
        judged = {problem.id for problem in suite.problems[: spec.judge.problems]}
        return judge_thoughts(thoughts, judged, spec.judge)

    graded = [thought for share in from_every_rank(ranks, graded_share) for thought in share]
    failures = [thought.failure for thought in graded if thought.failure]
    if failures and len(failures) == len(graded):
        raise UserError(f"sweep.engine: no thought of suite {suite.name} could be had; the first one: {failures[0]}")
    return _in_order(graded, suite)


def think_twice(
    engine: Engine, requests: Sequence[Request], note: Callable[[Thought], None]
) -> list[Thought | Missing]:
    """A thought for each request; what could not be had is asked for once more, and is then missing."""
    thoughts: list[Thought | Missing] = []
    missing: list[Missing] = []
    for _ in range(2):
        missing = []
        for one in engine.think(requests):
            if isinstance(one, Missing):
                missing.append(one)
            else:
                note(one)
                thoughts.append(one)
            beat()
        lost = {(one.problem, one.sample) for one in missing}
        requests = [request for request in requests if (request.problem, request.sample) in lost]
        if not requests:
            break
    return [*thoughts, *missing]


def _by_likelihood(
    model: PreTrainedModel | None, suite: Suite, spec: SweepSpec, ranks: Ranks, notes: Notes[GradedThought]
) -> list[GradedThought]:
    """Graded choices, scored by groups that depend on the suite alone, so that a sweep that goes on gives the same."""
    assert model is not None, "a recipe allows likelihood on the engine in process alone"
    groups = [suite.problems[first : first + GROUP] for first in range(0, len(suite.problems), GROUP)]

    def mine() -> list[GradedThought]:
        return [one for group in groups[ranks.rank :: ranks.count] for one in choices_of(group)]

    def choices_of(group: Sequence[Problem]) -> list[GradedThought]:
        known = [notes.known[problem.id, 0] for problem in group if (problem.id, 0) in notes.known]
        if len(known) == len(group):
            return known
        found = choose_likeliest(model, group, suite.grader, spec.tokenizer)
        for one in found:
            notes.add(one)
        return found

    return _in_order([one for share in from_every_rank(ranks, mine) for one in share], suite)


def _in_order(graded: list[GradedThought], suite: Suite) -> list[GradedThought]:
    order = {problem.id: i for i, problem in enumerate(suite.problems)}
    return sorted(graded, key=lambda thought: (order[thought.problem], thought.sample))


def suite_requests(suite: Suite, spec: SweepSpec) -> list[Request]:
    """One request a (problem, sample); with the prompt for thinking off where the budgets begin with 0."""
    fmt, tokenizer = spec.protocol.format, spec.tokenizer
    renderers = [render_prompt, render_off_prompt][: 1 + (spec.protocol.budgets[0] == 0)]
    return [
        Request(problem.id, sample, *prompts)
        for problem in suite.problems
        for prompts in [[encode(render(problem.question, tokenizer, fmt), tokenizer) for render in renderers]]
        for sample in range(spec.samples)
    ]


def suite_sweep(
    suite: Suite, spec: SweepSpec, thoughts: list[GradedThought], model: WhichModel, step: int
) -> SuiteSweep:
    """The scores of one suite under its protocol hash."""
    return SuiteSweep(
        model=model,
        step=step,
        suite=suite.name,
        method=suite.method,
        chance=suite.chance,
        budgets=(0,) if suite.by_likelihood else spec.protocol.budgets,
        scores=tuple(score for thought in thoughts for score in thought.scores()),
        protocol=spec.protocol_hash(suite),
        missing=sum(bool(t.failure) for t in thoughts),
        style=sweep_style(suite.method, thoughts),
    )
