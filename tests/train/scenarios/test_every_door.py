"""Every way in which a model is read goes through the same check: the same words, before any weights are loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, JambaConfig, Lfm2Config, Llama4TextConfig, LlamaConfig, PreTrainedModel

from data_prep.nano_world import build_tokenizer
from eval.__main__ import main as sweep
from eval.generate import main as generate
from prune.inspect import main as inspect
from recipes.errors import UserError
from recipes.loader import load
from tests.eval.generations import command
from tests.prune.models import SHAPE
from tests.prune.odd_folders import Spoil, config, in_json, of_tokenizer, text, value, without
from tests.train.runs import MODEL, run_here, small
from train.model import peft_config

NORM, QUERY = "model.norm.weight", "model.layers.1.self_attn.q_proj.weight"
SPOILED: dict[str, tuple[Spoil, str]] = {
    "a stale number of layers": (config(num_hidden_layers=9, layer_types=None), "num_hidden_layers=9, but the weights"),
    "a missing tensor": (without(QUERY), f"the weights lack {QUERY}"),
    "not a number": (value(NORM, float("nan")), f"not finite (NaN or infinity), the first is {NORM}"),
    "a stop token that is not there": (in_json("generation_config.json", eos_token_id=999), "eos_token_id has 999"),
}


def by_run(key: str, *overrides: str) -> Callable[[Path, Path], object]:
    def door(model: Path, place: Path) -> object:
        arguments = ["zero.stage=0", "dry_run=true", f"model.{key}={model}", *overrides]
        return run_here(small("lora", place / "run", place, *arguments))

    return door


def by_eval(model: Path, place: Path) -> object:
    return sweep([*small("lora", place / "run", place), f"model={model}"])


def by_adapter(model: Path, place: Path) -> object:
    """The model under an adapter that was made for the sound one."""
    adapter = adapter_for(MODEL, place)
    return sweep([*small("lora", place / "run", place), f"model={adapter}", f"base={model}"])


def by_generation(model: Path, place: Path) -> object:
    return generate([*command(place / "out.jsonl"), f"model.unpruned={model}"])


def by_generating_run(model: Path, place: Path) -> object:
    problems = "{source: nano, name: c, family: chain, size: 4, part: training}"
    traces = f"data.traces={{source: generate, problems: {problems}, thinking_tokens: 64, answer_tokens: 8}}"
    arguments = [each for each in small("lora", place / "run", place, "zero.stage=0") if "data.traces" not in each]
    return run_here([*arguments, traces, f"model.unpruned={model}"])


DOORS: dict[str, Callable[[Path, Path], object]] = {
    "a run's unpruned model": by_run("unpruned"),
    "a run's pruned model": by_run("pruned", "prune=null"),
    "a model to sweep": by_eval,
    "an adapter's base": by_adapter,
    "a model that writes traces": by_generation,
    "a run whose model writes its traces": by_generating_run,
    "the doctor": lambda model, _: inspect([str(model)]),
}


def adapter_for(model: Path, place: Path) -> Path:
    torch.manual_seed(0)
    lora = peft_config(load(small("lora", place / "run", place)).adapter)
    assert lora is not None
    adapted = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(model), lora)
    adapted.save_pretrained(place / "adapter")
    build_tokenizer().save_pretrained(place / "adapter")
    return place / "adapter"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading weights is a fault of the test."""

    def load(*_: object, **__: object) -> PreTrainedModel:
        raise AssertionError("weights were loaded")

    for place in ("data_prep.models.load_model", "eval.checkpoint.load_model"):
        monkeypatch.setattr(place, load)


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "not a number" else [pytest.mark.slow]) for kind in SPOILED]
)
def test_what_is_not_sound_is_refused_in_the_same_words(kind: str, door: str, model: Path, tmp_path: Path) -> None:
    spoil, words = SPOILED[kind]
    spoil(model)
    with pytest.raises(UserError) as refusal:
        DOORS[door](model, tmp_path)
    assert words in str(refusal.value)


def test_an_adapter_itself_is_looked_at(tmp_path: Path) -> None:
    adapter = adapter_for(MODEL, tmp_path)
    file = adapter / "adapter_model.safetensors"
    file.rename(adapter / "model.safetensors")
    value("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", float("inf"))(adapter)
    (adapter / "model.safetensors").rename(file)
    with pytest.raises(UserError, match=r"adapter_model\.safetensors: 1 tensors hold numbers that are not finite"):
        sweep([*small("lora", tmp_path / "run", tmp_path), f"model={adapter}", f"base={MODEL}"])


FOREIGN: dict[str, tuple[Spoil, str]] = {
    "other token ids": (
        of_tokenizer(lambda tokenizer: tokenizer.add_tokens(["<more>"]) and None),
        "",
    ),
    "another arithmetic": (config(rms_norm_eps=0.5), "rms_norm_eps=0.5, but a cut of the unpruned model has 1e-06"),
    "a foreign stop token": (in_json("generation_config.json", eos_token_id=9), "generation stops at [9]"),
    "a broken template": (text("chat_template.jinja", "{{ 1 / 0 }}"), ""),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_runs_pruned_model_is_of_the_unpruned_one(kind: str, model: Path, tmp_path: Path) -> None:
    """More tokens and the template of the pruned folder are not used in a run, and are no fault there."""
    spoil, words = FOREIGN[kind]
    spoil(model)
    if not words:
        assert by_run("pruned", "prune=null")(model, tmp_path) == 0
        return
    with pytest.raises(UserError) as refusal:
        by_run("pruned", "prune=null")(model, tmp_path)
    assert words in str(refusal.value)


SMALL = {**SHAPE, "vocab_size": 112, "max_position_embeddings": 512}
NO_HEAD_SIZE = {key: number for key, number in SMALL.items() if key != "head_dim"}
CHUNKS = {"num_local_experts": 2, "num_experts_per_tok": 1, "intermediate_size_mlp": 24, "attention_chunk_size": 64}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
NOT_SWEPT = {
    "a hybrid that was not tried": (
        JambaConfig(**NO_HEAD_SIZE, num_experts=1, mamba_dt_rank=4),
        "its layers of type linear_attention keep another state",
    ),
    "attention in chunks": (
        Llama4TextConfig(**SMALL, **CHUNKS, moe_layers=[1, 3]),
        "its attention is in chunks of 64 tokens, and a thought may take",
    ),
    "longrope beyond its border": (
        LlamaConfig(**SMALL, rope_parameters={**LONGROPE, "original_max_position_embeddings": 96, "factor": 2.0}),
        "beyond 96 tokens its longrope scales every row",
    ),
}
SWEEPING = {
    "a dry run": by_run("unpruned", "prune={method: tail, layers: 2}"),
    "a model to sweep": by_eval,
    "a model that writes traces": by_generation,
}


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("door", SWEEPING)
@pytest.mark.parametrize("family", NOT_SWEPT)
def test_what_the_engine_cannot_sweep_is_refused_with_the_one_that_can(family: str, door: str, tmp_path: Path) -> None:
    """The folders hold no weights at all."""
    model_config, words = NOT_SWEPT[family]
    for part in (model_config, build_tokenizer()):
        part.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError) as refusal:
        SWEEPING[door](tmp_path / "model", tmp_path)
    assert words in str(refusal.value) and "use sweep.engine.name=vllm" in str(refusal.value)


def test_what_begins_beyond_the_longest_thought_is_no_matter(tmp_path: Path) -> None:
    far = {**CHUNKS, "attention_chunk_size": 256}
    for part in (Llama4TextConfig(**SMALL, **far, moe_layers=[1, 3]), build_tokenizer()):
        part.save_pretrained(tmp_path / "model")
    overrides = ("prune={method: tail, layers: 2}", "adapter.targets=[q_proj]")
    assert by_run("unpruned", *overrides)(tmp_path / "model", tmp_path) == 0


def test_packed_rows_of_a_hybrid_are_refused_by_its_config(tmp_path: Path) -> None:
    for part in (Lfm2Config(**NO_HEAD_SIZE, full_attn_idxs=[1, 4]), build_tokenizer()):
        part.save_pretrained(tmp_path / "model")
    overrides = ("prune={method: tail, layers: 2}", "adapter.targets=[q_proj]", "data.packing=true")
    with pytest.raises(UserError, match="data.packing=true: layers of the kind conv carry one trace into the next"):
        by_run("unpruned", *overrides)(tmp_path / "model", tmp_path)
