"""The sweep's part of a recipe: suites, engines, the verdict's margins, budgets and sampling."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from recipes.section import Section


class NanoSuite(Section):
    source: Literal["nano"] = Field(description="problems of the embedded world; chains are held-out ones")
    name: str = Field(description="name in tables and curves")
    family: Literal["knowledge", "shallow", "chain"] = Field(description="recall, one step, or many steps of reckoning")
    size: int = Field(ge=1, description="how many problems")
    seed: int = Field(default=0, description="seed of the problems")
    part: Literal["held_out", "training"] = Field(
        default="held_out", description="chains that no training sees, or the others, as problems to write traces for")


Method = Literal["generate", "likelihood"]
METHOD: Any = Field(
    default="generate",
    description="generate: think and answer; likelihood: the likeliest choice, without thinking (engine hf alone)")


class RowsSuite(Section):
    """What suites that are read from rows have in common."""

    name: str = Field(description="name in tables and curves")
    problem: str = Field(default="problem", description="column of the question; `question` is found by itself")
    answer: str = Field(
        default="answer", description="column of the gold answer; of a multiple choice its letter or 0-based index")
    choices: str = Field(
        default="choices", description="column of the choices, where there are any; they are put under the question")
    grader: Literal["auto", "exact", "integer", "math", "choice"] = Field(
        default="auto",
        description="how an answer is compared with the gold answer; auto: choice where rows have choices, else math")
    shuffle_choices: bool = Field(
        default=False, description="put each problem's choices into an order of its own, fixed by the seed and its id")
    method: Method = METHOD
    likelihood: Literal["letter", "text", "text_normalised"] = Field(
        default="letter",
        description="what is scored by likelihood: the letter after the lettered choices, or the choice's own text "
                    "(text_normalised: by its number of characters)")
    instruction: str = Field(
        default="", description="text put under every question (by likelihood: before it), such as how to answer")
    size: int | None = Field(default=None, ge=1, description="how many problems, drawn by the seed; default: all")
    seed: int = Field(default=0, description="seed of the draw and of the order of choices")

    @model_validator(mode="after")
    def _likelihood_grades_itself(self) -> Self:
        if self.method == "likelihood" and self.grader not in ("auto", "choice"):
            raise ValueError(f"method=likelihood takes the likeliest choice and grades no text; leave out "
                             f"grader={self.grader}")
        return self


class JsonlSuite(RowsSuite):
    source: Literal["jsonl"] = Field(
        description="a JSON Lines or CSV file: {problem, answer}, with id and choices where it has them")
    path: Path = Field(description="the file; one that ends in .csv is read as CSV with a header")


class HubSuite(RowsSuite):
    source: Literal["hub"] = Field(description="a data set of the Hugging Face Hub")
    id: str = Field(description="owner/name")
    config: str | None = Field(default=None, description="configuration of the data set, where it has several")
    split: str = Field(default="test", description="split of the data set")


class NamedSuite(Section):
    source: Literal["named"] = Field(description="a known benchmark: where it lies, its columns and its grader are set")
    name: Literal[
        "math500", "aime24", "aime25", "amc23", "gsm8k", "gpqa_diamond", "mmlu", "arc_challenge"] = Field(
        description="the benchmark; also its name in tables and curves")
    path: Path | None = Field(
        default=None, description="your own copy (JSON Lines or CSV); default: the data set on the Hugging Face Hub")
    instruction: str | None = Field(
        default=None,
        description="text put under every question (by likelihood: before it); default: the benchmark's own, "
                    "which asks for the answer in a box (by likelihood: none)")
    method: Method = METHOD
    likelihood: Literal["letter", "text", "text_normalised"] | None = Field(
        default=None,
        description="what is scored by likelihood; default: text_normalised for arc_challenge, else letter")
    size: int | None = Field(default=None, ge=1, description="how many problems, drawn by the seed; default: all")
    seed: int = Field(default=0, description="seed of the draw and of the order of choices")

    @model_validator(mode="after")
    def _likelihood_needs_choices(self) -> Self:
        if self.method == "likelihood" and self.name not in ("gpqa_diamond", "mmlu", "arc_challenge"):
            raise ValueError(f"method=likelihood: {self.name} has no choices; write method=generate")
        return self


class ReasoningGymSuite(Section):
    source: Literal["reasoning_gym"] = Field(
        description="problems of a Reasoning Gym task, with its own scorer (extra reasoning-gym)")
    name: str = Field(description="name in tables and curves")
    task: str = Field(description="name of the task, such as chain_sum")
    size: int = Field(ge=1, description="how many problems")
    seed: int = Field(default=0, description="seed of the problems")


SuiteSection = Annotated[
    NanoSuite | JsonlSuite | HubSuite | NamedSuite | ReasoningGymSuite, Field(discriminator="source")]


class HFEngine(Section):
    name: Literal["hf"] = Field(default="hf", description="in process, on the training weights")
    batch_size: int = Field(default=256, ge=1, description="most thoughts decoded side by side on a rank")
    memory_gb: float = Field(
        default=4.0, gt=0,
        description="what a sweep may take on a rank beside the weights (cache, logits); fewer thoughts go side by "
                    "side where more would not fit")


class ServerEngine(Section):
    name: Literal["server"] = Field(
        description="an OpenAI-compatible completions endpoint that serves the model (not in training); which weights "
                    "lie behind it is not known, so give each its own `out`")
    url: str = Field(description="base address, such as http://127.0.0.1:8000/v1")
    model: str = Field(description="the model's name at the endpoint")
    key_variable: str = Field(
        default="OPENAI_API_KEY", description="environment variable that holds the key, if one is needed")
    concurrency: int = Field(default=16, ge=1, description="thoughts under way at once, each with one call")
    prompt_as: Literal["ids", "text"] = Field(
        default="ids",
        description="how prompts are sent: token ids (vLLM, SGLang, llama.cpp), or text where none are taken (TGI)")
    retries: int = Field(default=4, ge=0, description="tries after a failed call, with growing pauses")
    timeout_seconds: float = Field(default=600.0, gt=0, description="longest wait for one call")


class VllmEngine(Section):
    name: Literal["vllm"] = Field(
        description="vLLM offline, in a process of its own that loads the checkpoint (a folder or an adapter folder)")
    python: Path | None = Field(
        default=None, description="the python of the environment that has vLLM; default: the one that runs chainmend. "
        "vLLM pins another transformers, so give it an environment of its own")
    max_sequences: int = Field(
        default=256, ge=1, description="thoughts under way at once (vLLM's max_num_seqs)")
    context_tokens: int | None = Field(
        default=None, ge=1, description="longest prompt, thought and answer together (vLLM's max_model_len); default: "
        "the model's context. Set it where the cache of a whole context does not fit into memory")
    gpu_memory_share: float = Field(
        default=0.9, gt=0, le=1, description="share of a GPU's memory for weights and cache (gpu_memory_utilization)")
    cpu_cache_gib: int = Field(default=4, ge=1, description="memory for the key/value cache where vLLM runs on a CPU")
    tensor_parallel: int = Field(default=1, ge=1, description="GPUs that share the model (tensor_parallel_size)")
    enforce_eager: bool = Field(
        default=False, description="no CUDA graphs and no compilation: starts sooner, decodes slower")
    start_seconds: float = Field(default=900.0, gt=0, description="longest wait until vLLM has loaded the model")
    silent_seconds: float = Field(
        default=300.0, gt=0, description="a vLLM that says nothing for so long is taken for dead")


EngineSection = Annotated[HFEngine | ServerEngine | VllmEngine, Field(discriminator="name")]


class JudgeSection(Section):
    url: str = Field(description="base address of an OpenAI-compatible chat endpoint, such as http://127.0.0.1:8000/v1")
    model: str = Field(description="the judge's name at the endpoint")
    key_variable: str = Field(
        default="OPENAI_API_KEY", description="environment variable that holds the key, if one is needed")
    problems: int = Field(
        default=100, ge=1, description="problems of each suite, its first ones, whose thoughts are judged")
    max_characters: int = Field(
        default=20_000, ge=1, description="longest part of a thought that is sent; the judge is told of the cut")
    max_tokens: int = Field(default=512, ge=1, description="longest reply, the judge's own reasoning included")
    concurrency: int = Field(default=8, ge=1, description="calls under way at once")
    retries: int = Field(default=4, ge=0, description="tries after a failed call, with growing pauses")
    timeout_seconds: float = Field(default=120.0, gt=0, description="longest wait for one call")


class VerdictSection(Section):
    suite: str | None = Field(default=None, description="the suite that decides; default: the last one listed")
    margin: float = Field(
        default=0.05, ge=0,
        description="how far gain per doubling may lie below the unpruned one and still count as returned")
    level_margin: float = Field(default=0.05, ge=0, description="the same for accuracy at the largest budget")
    min_recovered: float = Field(
        default=0.5, ge=0, le=1, description="share of the accuracy lost at the largest budget that must be back")
    resamples: int = Field(default=10_000, ge=100, description="bootstrap resamples")


class SweepSection(Section):
    budgets: list[int] = Field(
        min_length=1, description="thinking budgets in tokens, increasing; a first 0 is thinking off, a control")
    suites: list[SuiteSection] = Field(min_length=1, description="what is asked")
    every_steps: int = Field(
        ge=1, description="sweep every N optimizer steps; also before the first and after the last")
    max_share: float | None = Field(
        default=None, gt=0, lt=1,
        description="leave out a sweep that would bring the time of sweeps over this share of the run's, such as 0.2; "
                    "the first and the last are always done, those left out are counted, and as the clock decides the "
                    "run is not the same twice; default: every sweep is done")
    answer_tokens: int = Field(ge=1, description="longest answer after the close")
    samples: int = Field(default=1, ge=1, description="thoughts a problem")
    temperature: float = Field(default=0.0, ge=0, description="0 is greedy decoding")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling")
    top_k: int = Field(default=0, ge=0, description="sample among the k likeliest tokens; 0: among all")
    min_p: float = Field(
        default=0.0, ge=0, le=1,
        description="sample among tokens with at least this share of the likeliest one's probability (after top_p)")
    stop_loops: bool = Field(
        default=False, description="stop a thought as soon as it goes round in a circle, and answer there once")
    extend_to: int = Field(
        default=0, ge=0, description="a thought that closes before so many tokens goes on with the wait text; 0: never")
    max_extensions: int = Field(default=0, ge=0, description="how often one thought is extended at most")
    seed: int = Field(default=0, description="seed of the sampling streams")
    engine: EngineSection = HFEngine()
    background: bool = Field(
        default=False,
        description="sweep in a process of its own, on weights saved from the run, while training goes on; each sweep "
                    "joins the log at its own step (engine hf or vllm)")
    devices: str | None = Field(
        default=None,
        description="GPUs of that process, and of vLLM in training, as CUDA_VISIBLE_DEVICES numbers them; default: all")
    verdict: VerdictSection = VerdictSection()
    judge: JudgeSection | None = Field(
        default=None, description="a model that counts reflection in thoughts, beside the word lists; default: none")

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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [s.name for s in self.suites]
        if len(set(names)) < len(names):
            raise ValueError(f"suite names must differ, got {names}")
        if self.verdict.suite is not None and self.verdict.suite not in names:
            raise ValueError(f"verdict.suite={self.verdict.suite!r} is not among the suites {names}")
        self._check_likelihood()
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"samples={self.samples} with temperature=0 would repeat one thought; "
                             "set a temperature or samples=1")
        if self.extend_to > 0 and self.max_extensions == 0:
            raise ValueError(f"extend_to={self.extend_to} needs max_extensions of at least 1")
        return self

    def _check_likelihood(self) -> None:
        """ValueError where a suite by likelihood stands where budgets are needed, or where no model is at hand."""
        by_likelihood = [s.name for s in self.suites if getattr(s, "method", "generate") == "likelihood"]
        decides = self.verdict.suite or self.suites[-1].name
        if by_likelihood and self.engine.name != "hf":
            raise ValueError(f"engine.name={self.engine.name} gives no likelihoods, and suite {by_likelihood[0]} is "
                             "asked by them; use engine.name=hf or method=generate")
        if decides in by_likelihood:
            raise ValueError(f"suite {decides} is asked by likelihood and has no budgets, so it cannot decide the "
                             "verdict; name another as verdict.suite, or put another last")
