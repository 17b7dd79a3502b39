"""The `sweep` section of a recipe: suites, engine, judge, verdict, budgets and sampling."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from recipes.confirm import CONFIRM, ConfirmSection
from recipes.engines import EngineSection, HFEngine
from recipes.file_names import same_file
from recipes.section import Section
from recipes.suites import SuiteSection


class JudgeSection(Section):
    url: str = Field(description="base address of an OpenAI-compatible chat endpoint, such as http://127.0.0.1:8000/v1")
    model: str = Field(description="the judge's name at the endpoint")
    key_variable: str = Field(
        default="OPENAI_API_KEY", description="environment variable that holds the key, if one is needed"
    )
    problems: int = Field(
        default=100, ge=1, description="number of problems of each suite, from its beginning, whose thoughts are judged"
    )
    max_characters: int = Field(
        default=20_000,
        ge=1,
        description="longest part of a thought that is sent; the judge is told that it was shortened",
    )
    max_tokens: int = Field(default=512, ge=1, description="longest reply, the judge's own reasoning included")
    concurrency: int = Field(default=8, ge=1, description="number of calls in progress at once")
    retries: int = Field(
        default=4, ge=0, description="retries after a failed call, after growing pauses or as Retry-After says"
    )
    timeout_seconds: float = Field(default=120.0, gt=0, description="longest wait for one call")


class VerdictSection(Section):
    suite: str | None = Field(default=None, description="the suite that decides; default: the last one listed")
    returned_share: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="RETURNED: more than this share is back, both of the accuracy lost to pruning at the largest "
        "budget and of the unpruned model's gain per doubling",
    )
    not_returned_share: float = Field(
        default=0.2, ge=0, lt=1, description="NOT RETURNED: less than this share of either is back"
    )
    delta: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="a difference in accuracy that does not matter: a smaller loss counts as none, a smaller gain "
        "over all budgets as no scaling, and a model that is below the unpruned one by no more than this at "
        "every budget counts as equal to it",
    )
    require_gap: bool = Field(
        default=False,
        description="stop before training if the references show that the suite cannot show recovery: the pruned "
        "model is not shown to be worse, or the unpruned one not to gain with the budget; default: a warning",
    )

    @model_validator(mode="after")
    def _shares_in_order(self) -> Self:
        if self.not_returned_share >= self.returned_share:
            raise ValueError(
                f"not_returned_share={self.not_returned_share:g} must be below returned_share={self.returned_share:g}"
            )
        return self


class SweepSection(Section):
    budgets: list[int] = Field(
        min_length=1, description="thinking budgets in tokens, increasing; a first 0 is thinking off, a control"
    )
    suites: list[SuiteSection] = Field(min_length=1, description="what is measured")
    every_steps: int = Field(
        ge=1, description="sweep every N optimizer steps; also before the first and after the last"
    )
    max_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="skip a sweep that would raise the share of time in sweeps above this, such as 0.2; the first and "
        "the last are always done, skipped ones are counted, and the run is not reproducible, since the "
        "clock decides; default: every sweep is done",
    )
    answer_tokens: int = Field(
        ge=1,
        description="longest answer after close and cue; a limit that is large compared with a budget leaves room to "
        "reason outside it",
    )
    samples: int = Field(default=1, ge=1, description="thoughts per problem")
    temperature: float = Field(default=0.0, ge=0, description="0 is greedy decoding")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling")
    top_k: int = Field(default=0, ge=0, description="sample among the k likeliest tokens; 0: among all")
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="sample among tokens with at least this share of the likeliest one's probability (after top_p)",
    )
    stop_loops: bool = Field(default=False, description="stop a thought as soon as it loops, and answer there once")
    extend_to: int = Field(
        default=0,
        ge=0,
        description="a thought that closes before this many tokens continues with the wait text; 0: never",
    )
    max_extensions: int = Field(default=0, ge=0, description="largest number of extensions of one thought")
    seed: int = Field(default=0, ge=0, description="seed of the sampling streams")
    engine: EngineSection = HFEngine()
    background: bool = Field(
        default=False,
        description="sweep in a separate process, on weights saved from the run, while training continues; each sweep "
        "is logged at its own step (engine hf or vllm)",
    )
    devices: str | None = Field(
        default=None,
        description="GPUs of that process, and of vLLM in training, as CUDA_VISIBLE_DEVICES numbers them; default: all",
    )
    verdict: VerdictSection = VerdictSection()
    confirm: ConfirmSection | None = Field(
        default=None,
        description="sweep the checkpoint that export.checkpoint names once more at the end, on problems that no sweep "
        "saw, and both references; these figures are free of selection among sweeps; default: no confirmation",
    )
    judge: JudgeSection | None = Field(
        default=None,
        description="a model that counts reflection in thoughts, in addition to the word lists; default: none",
    )

    @field_validator("engine", mode="before")
    @classmethod
    def _engine_by_default(cls, engine: Any) -> Any:
        return {"name": "hf", **engine} if isinstance(engine, dict) else engine

    @field_validator("budgets")
    @classmethod
    def _budgets_increase(cls, budgets: list[int]) -> list[int]:
        if budgets[0] < 0 or any(a >= b for a, b in pairwise(budgets)):
            raise ValueError(f"must be positive and strictly increasing (a first 0: thinking off), got {budgets}")
        return budgets

    @property
    def deciding_suite(self) -> SuiteSection:
        """The suite whose sweeps have a verdict."""
        return next((suite for suite in self.suites if suite.name == self.verdict.suite), self.suites[-1])

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [s.name for s in self.suites]
        self._check_names(names)
        if self.verdict.suite is not None and self.verdict.suite not in names:
            raise ValueError(f"verdict.suite={self.verdict.suite!r} is not among the suites {names}")
        self._check_likelihood()
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples={self.samples} with temperature=0 would repeat one thought; set a temperature or samples=1"
            )
        if self.extend_to > 0 and self.max_extensions == 0:
            raise ValueError(f"extend_to={self.extend_to} needs max_extensions of at least 1")
        return self

    def _check_names(self, names: list[str]) -> None:
        """ValueError if two suites would have one name in tables, or one folder on a disk."""
        if len(set(names)) < len(names):
            raise ValueError(f"suite names must differ, got {names}")
        if len({same_file(name) for name in names}) < len(names):
            raise ValueError(f"suite names must differ in more than case, since each names a folder, got {names}")
        confirming = f"{(self.confirm.suite or self.deciding_suite).name}{CONFIRM}" if self.confirm else None
        if confirming in names:
            raise ValueError(f"a suite is called {confirming}, as the problems of sweep.confirm are; rename it")

    def _check_likelihood(self) -> None:
        """ValueError if a suite by likelihood is to decide the verdict, or the engine gives no likelihoods."""
        by_likelihood = [s.name for s in self.suites if getattr(s, "method", "generate") == "likelihood"]
        decides = self.deciding_suite.name
        if by_likelihood and not self.engine.in_process:
            raise ValueError(
                f"engine.name={self.engine.name} gives no likelihoods, and suite {by_likelihood[0]} is "
                "scored by them; use engine.name=hf or method=generate"
            )
        if decides in by_likelihood:
            raise ValueError(
                f"suite {decides} is scored by likelihood and has no budgets, so it cannot decide the "
                "verdict; name another as verdict.suite, or put another last"
            )
