"""The shipped small reasoner for tests: whole, or rambling without its last layers; its format, prompts and plans."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.commands.nano import FORMAT
from data_prep.models import load_model, load_tokenizer
from data_prep.nano_world import nano_problems
from data_prep.problem import Suite
from data_prep.tokens.prompts import ThinkFormat, encode, render_off_prompt, render_prompt, think_format
from eval.protocol import Protocol
from eval.samples import GradedThought
from eval.sweep import Notes, SweepSpec, engine_on, sweep_suite
from eval.types import Request, Weights
from recipes.engines import HFEngine
from recipes.paths import ROOT
from recipes.schema import ModelSection
from runtime.ranks import Ranks
from tests.eval.scripted import make_protocol

FOLDER = str(ROOT / "data_prep" / "nano_model")
SECTION = ModelSection(unpruned=FOLDER)


def fresh_nano(layers: int = 8) -> PreTrainedModel:
    """A copy of the small reasoner of its own, cut to its first `layers` layers."""
    model = load_model(FOLDER, SECTION).eval()
    del model.model.layers[layers:]
    model.config.num_hidden_layers = layers
    model.config.layer_types = model.config.layer_types[:layers]
    return model


@cache
def nano() -> PreTrainedModel:
    return fresh_nano()


@cache
def rambling() -> PreTrainedModel:
    return fresh_nano(layers=3)


@cache
def nano_tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(FOLDER, SECTION)


@cache
def nano_format() -> ThinkFormat:
    return think_format(FORMAT, nano_tokenizer())


def nano_protocol(budgets: Sequence[int], **changes: Any) -> Protocol:
    return make_protocol(budgets, nano_format(), **{"answer_tokens": 4, **changes})


def nano_suite(family: str, size: int) -> Suite:
    return Suite(name=family, problems=tuple(nano_problems(family, size, seed=0)), grader="exact", wording="template")


def nano_requests(family: str, size: int, samples: int = 1) -> list[Request]:
    tokenizer, fmt = nano_tokenizer(), nano_format()
    return [
        Request(
            p.id,
            sample,
            *(encode(render(p.question, tokenizer, fmt), tokenizer) for render in (render_prompt, render_off_prompt)),
        )
        for p in nano_suite(family, size).problems
        for sample in range(samples)
    ]


def sweep_model(model: PreTrainedModel | None, spec: SweepSpec, ranks: Ranks) -> dict[str, list[GradedThought]]:
    """Graded thoughts of every suite, keeping nothing on the way; None where the engine has a model of its own."""
    weights, no_notes = Weights(model), Notes[Any]({}, lambda thought: None)
    with engine_on(weights, spec) as engine:
        return {suite.name: sweep_suite(engine, weights, suite, spec, ranks, no_notes) for suite in spec.suites}


def nano_spec(suites: Sequence[Suite], budgets: Sequence[int], samples: int = 1, **changes: Any) -> SweepSpec:
    engine, judge = changes.pop("engine", HFEngine(batch_size=16)), changes.pop("judge", None)
    return SweepSpec(
        suites=tuple(suites),
        protocol=nano_protocol(budgets, **changes),
        samples=samples,
        engine=engine,
        tokenizer=nano_tokenizer(),
        judge=judge,
    )
