"""The budget sweep of one model: every suite, every budget, one thought per (problem, sample)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.grading.grade import grader_version
from data_prep.problem import Problem, Suite
from data_prep.suites.confirm import confirm_suite
from data_prep.suites.load import load_suite
from data_prep.tokens.controls import Controls, check_suite
from data_prep.tokens.prompts import encode, render_off_prompt, render_prompt, think_format
from eval.engines.choose import open_engine, version_of
from eval.judge import judge_thoughts
from eval.likelihood import choose_likeliest, likelihood_hash, problem_continuations
from eval.protocol import Protocol, make_protocol, protocol_hash
from eval.quiet import quiet
from eval.samples import GradedThought, grade_thoughts, groups_of, sweep_style
from eval.types import Engine, Missing, Request, SuiteSweep, Thought, Weights, WhichModel
from recipes.data import FormatSection
from recipes.engines import EngineSection
from recipes.errors import UserError
from recipes.sweep import JudgeSection, SweepSection
from runtime.pulse import beat
from runtime.ranks import Ranks, from_every_rank

GROUP = 16
"""problems of a likelihood suite that are scored and noted together"""


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

    Raises UserError if a suite is broken or spells a control token, or the tokenizer cannot think in the format.
    """
    protocol = make_protocol(section, think_format(fmt, tokenizer), len(tokenizer))
    controls = Controls(tokenizer, protocol.format)
    return SweepSpec(
        suites=tuple(check_suite(load_suite(suite), controls) for suite in section.suites),
        protocol=protocol,
        samples=section.samples,
        engine=section.engine,
        tokenizer=tokenizer,
        judge=section.judge,
    )


def make_confirm_spec(section: SweepSection, spec: SweepSpec) -> SweepSpec | None:
    """The spec that confirms the checkpoint a run keeps (`sweep.confirm`): the protocol of `spec` on problems that are
    in none of its suites, without a judge, whose counts decide nothing. None without the section.

    Raises UserError if there are too few such problems.
    """
    suite = confirm_suite(section, spec.suites)
    if suite is None:
        return None
    check_suite(suite, Controls(spec.tokenizer, spec.protocol.format))
    return replace(spec, suites=(suite,), judge=None)


def check_context(spec: SweepSpec, context_tokens: int, budget_key: str) -> int:
    """The most tokens that a thought with its prompt and its answer may take. Raises UserError if they, or a scored
    choice, do not fit into the context.

    budget_key: the recipe's key that sets the budgets, for the message.
    """
    fmt, budget, most = spec.protocol.format, spec.protocol.budgets[-1], 0
    closing = max(len(fmt.forced_close_ids), len(fmt.own_close_ids))
    for suite in spec.suites:
        if suite.by_likelihood:
            _check_choices(suite, spec, context_tokens)
            continue
        requests = suite_requests(suite, replace(spec, samples=1))
        prompt = max(len(request.prompt_ids) for request in requests)
        off = max(len(request.off_ids) for request in requests)
        needed = max(prompt + budget + closing, off) + spec.protocol.answer_tokens
        if needed > context_tokens:
            raise UserError(
                f"{budget_key}: {budget} thinking tokens with a prompt of {prompt} (suite {suite.name}) and an "
                f"answer of {spec.protocol.answer_tokens} need {needed} tokens, the model's context has "
                f"{context_tokens}; lower {budget_key} or answer_tokens"
            )
        most = max(most, needed)
    return most


def _check_choices(suite: Suite, spec: SweepSpec, context_tokens: int) -> None:
    longest = max(
        len(choice.context) + len(choice.ids)
        for problem in suite.problems
        for choice in problem_continuations(problem, suite.grader, spec.tokenizer)
    )
    if longest > context_tokens:
        raise UserError(
            f"sweep.suites ({suite.name}): a question with its choice has {longest} tokens, the model's "
            f"context has {context_tokens}; leave its longest problems out"
        )


Noted = TypeVar("Noted", Thought, GradedThought)


@dataclass(frozen=True)
class Notes(Generic[Noted]):
    """Finished thoughts by (problem, sample), and the function that records each new one as soon as it is finished.

    A likelihood suite has no thoughts; it records graded choices.
    """

    finished: Mapping[tuple[str, int], Noted]
    add: Callable[[Noted], None]


@contextmanager
def engine_on(weights: Weights, spec: SweepSpec) -> Iterator[Engine]:
    """The spec's engine on `weights`; a model in this process is quiet in this context (`eval.quiet`)."""
    silence = quiet(weights.model) if weights.model is not None else nullcontext()
    with silence, open_engine(spec.engine, spec.protocol, spec.tokenizer, weights) as engine:
        yield engine


def sweep_suite(
    engine: Engine, weights: Weights, suite: Suite, spec: SweepSpec, ranks: Ranks, notes: Notes[Any]
) -> list[GradedThought]:
    """Graded thoughts of a suite in problem order, the same on every rank; each rank computes its share.

    engine: on `weights`, as `engine_on` opens it. A model in this process must be whole on this rank (under ZeRO-3 the
    caller has gathered it) and is left exactly as it was. Thoughts in `notes` are not computed again. Raises UserError
    if no thought of the suite succeeded.
    """
    if suite.by_likelihood:
        return _by_likelihood(weights.model, suite, spec, ranks, notes)
    requests = suite_requests(suite, spec)
    finished = [notes.finished[key] for request in requests if (key := _key(request)) in notes.finished]
    unfinished = [request for request in requests if _key(request) not in notes.finished]

    def graded_share() -> list[GradedThought]:
        # every n-th thought, not a block, so that all ranks share a stretch of hard problems
        thoughts = [
            *finished[ranks.rank :: ranks.count],
            *think_twice(engine, unfinished[ranks.rank :: ranks.count], notes.add),
        ]
        graded = grade_thoughts(thoughts, suite, spec.protocol, spec.tokenizer)
        if spec.judge is None:
            return graded
        judged = {problem.id for problem in suite.problems[: spec.judge.problems]}
        return judge_thoughts(graded, judged, spec.judge)

    graded = [thought for share in from_every_rank(ranks, graded_share) for thought in share]
    failures = [thought.failure for thought in graded if thought.failure]
    if failures and len(failures) == len(graded):
        raise UserError(f"sweep.engine: every thought of suite {suite.name} failed; the first one: {failures[0]}")
    return _in_order(graded, suite)


def _key(thought: Request | Missing) -> tuple[str, int]:
    return thought.problem, thought.sample


def think_twice(
    engine: Engine, requests: Sequence[Request], note: Callable[[Thought], None]
) -> list[Thought | Missing]:
    """A thought for each request; one that fails is tried once more and is then missing."""
    thoughts: list[Thought | Missing] = []
    missing: list[Missing] = []
    for _ in range(2):
        missing = []
        for thought in engine.think(requests):
            if isinstance(thought, Missing):
                missing.append(thought)
            else:
                note(thought)
                thoughts.append(thought)
            beat()
        failed = {_key(thought) for thought in missing}
        requests = [request for request in requests if _key(request) in failed]
        if not requests:
            break
    return [*thoughts, *missing]


def _by_likelihood(
    model: PreTrainedModel | None, suite: Suite, spec: SweepSpec, ranks: Ranks, notes: Notes[GradedThought]
) -> list[GradedThought]:
    """Graded choices of a suite in problem order, the same on every rank."""
    assert model is not None, "recipes allow likelihood only with the in-process engine"
    # Groups depend on the suite only, not on what is finished: rounding depends on which rows share a batch, and a
    # resumed sweep must give the same numbers as an uninterrupted one.
    groups = [suite.problems[first : first + GROUP] for first in range(0, len(suite.problems), GROUP)]

    def share() -> list[GradedThought]:
        return [choice for group in groups[ranks.rank :: ranks.count] for choice in choices_of(group)]

    def choices_of(group: Sequence[Problem]) -> list[GradedThought]:
        finished = [notes.finished[problem.id, 0] for problem in group if (problem.id, 0) in notes.finished]
        if len(finished) == len(group):
            return finished
        choices = choose_likeliest(model, group, suite.grader, spec.tokenizer)
        for choice in choices:
            notes.add(choice)
        return choices

    return _in_order([choice for choices in from_every_rank(ranks, share) for choice in choices], suite)


def _in_order(graded: list[GradedThought], suite: Suite) -> list[GradedThought]:
    """The thoughts by problem and sample, each with the group of its problem."""
    order = {problem.id: i for i, problem in enumerate(suite.problems)}
    groups = suite.groups or {}
    # here, not where they are graded: journals of earlier versions have no group
    grouped = [replace(thought, group=groups.get(thought.problem, "")) for thought in graded]
    return sorted(grouped, key=lambda thought: (order[thought.problem], thought.sample))


def suite_requests(suite: Suite, spec: SweepSpec) -> list[Request]:
    """One request per (problem, sample), with the prompt for thinking off if the first budget is 0."""
    requests: list[Request] = []
    for problem in suite.problems:
        prompt_ids, off_ids = _prompts(problem.question, spec)
        requests += [Request(problem.id, sample, prompt_ids, off_ids) for sample in range(spec.samples)]
    return requests


def _prompts(question: str, spec: SweepSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The prompt with thinking on, and the one with thinking off; () if no budget is 0."""
    fmt, tokenizer = spec.protocol.format, spec.tokenizer
    prompt_ids = encode(render_prompt(question, tokenizer, fmt), tokenizer)
    if spec.protocol.budgets[0] > 0:
        return prompt_ids, ()
    return prompt_ids, encode(render_off_prompt(question, tokenizer, fmt), tokenizer)


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
        missing=sum(bool(thought.failure) for thought in thoughts),
        style=sweep_style(suite.method, thoughts),
        groups=groups_of(thoughts),
    )
