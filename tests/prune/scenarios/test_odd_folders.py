"""Every kind of broken folder gets its one line, in words that say what is wrong; what may be meant is a note.

A pruned model of two layers fewer lies beside its unpruned one. Each kind spoils one thing in files, and `faults_of`
must tell that and nothing else.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prune.inspect import check_folder, faults_of, notes_on
from prune.plan import PrunePlan, save
from prune.repair import repair
from recipes.errors import UserError
from tests.prune.models import LAYERS
from tests.prune.odd_folders import (
    GONE,
    REMOVED,
    Spoil,
    Weights,
    both,
    config,
    gone,
    in_dtype,
    in_json,
    in_tokenizer,
    make_pair,
    moved,
    of_tokenizer,
    renamed,
    sharded,
    shards,
    text,
    value,
    weights,
    without,
    zero,
)

KEPT = LAYERS - len(REMOVED)
UP = "model.layers.1.mlp.up_proj.weight"
FILE, CONFIG, GENERATION = "model.safetensors", "config.json", "generation_config.json"


def factored(tensors: Weights) -> Weights:
    matrix = tensors.pop(UP)
    name = UP.removesuffix("weight")
    return {**tensors, f"{name}u": matrix[:, :4].clone(), f"{name}v": matrix[:4].clone()}


def from_one(name: str) -> str:
    """Layers are numbered from 1."""
    parts = name.split(".")
    return ".".join([*parts[:2], str(int(parts[2]) + 1), *parts[3:]]) if "layers" in parts else name


def cut_short(name: str, size: int) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size]) and None


def of_shards(act: Callable[[Path, list[Path]], object]) -> Spoil:
    return both(sharded, lambda folder: act(folder, shards(folder)) and None)


def unlisted(folder: Path, files: list[Path]) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    del index["weight_map"][UP]
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def plan_of(layers: int, *removed: int) -> Spoil:
    return lambda folder: save(PrunePlan(method="tail", layers=layers, removed=removed), folder)


def swapped(vocabulary: dict[str, int]) -> dict[str, int]:
    return {**vocabulary, "▁fact": vocabulary["▁calc"], "▁calc": vocabulary["▁fact"]}


def without_marks(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        held = (folder / name).read_text()
        (folder / name).write_text(held.replace("<think>", "<more>").replace("</think>", "</more>"))

    return spoil


KINDS: dict[str, tuple[str, Spoil, str]] = {
    # config.json
    "a number of layers too large": ("llama", config(num_hidden_layers=LAYERS), "would be initialised at random"),
    "a number of layers too small": ("llama", config(num_hidden_layers=KEPT - 1), "stored layers would be ignored"),
    "a number of layers in quotes": ("llama", config(num_hidden_layers=str(KEPT)), "write 4, unquoted"),
    "no number of layers": ("llama", config(num_hidden_layers=GONE), "num_hidden_layers=32, but the weights have 4"),
    "no config": ("llama", gone(CONFIG), "config.json is missing"),
    "an empty config": ("llama", text(CONFIG, ""), "config.json cannot be read"),
    "a config cut short": ("llama", text(CONFIG, '{"model_type": "lla'), "config.json cannot be read"),
    "a config that is a list": ("llama", text(CONFIG, "[]"), "config.json is not a JSON object"),
    "an unknown family": ("llama", config(model_type="newest"), "transformers refuses it"),
    "another family": ("llama", config(model_type="qwen3"), "k_norm.weight and 7 more"),
    "a multimodal model": ("llama", config(text_config={}, model_type="qwen2_5_vl"), "multimodal model (qwen2_5_vl)"),
    "an unknown rope type": (
        "llama",
        config(rope_parameters={"rope_type": "newest", "rope_theta": 1.0}),
        "rope type 'newest', which transformers lacks",
    ),
    "text where a number belongs": ("llama", config(hidden_size="large"), "config.json: "),
    "no heads": ("llama", config(num_attention_heads=0), "config.json: "),
    "another hidden size": ("llama", config(hidden_size=32), "but config.json requires"),
    "other heads": ("llama", config(num_key_value_heads=2), "but config.json requires"),
    "another width": ("llama", config(intermediate_size=32), "but config.json requires"),
    "another vocabulary": ("llama", config(vocab_size=100), "but config.json requires [100, 16]"),
    "a stale list of layers": ("qwen3", config(layer_types=["full_attention"] * LAYERS), "layer_types has 6 entries"),
    "a tie that is none": ("llama", config(tie_word_embeddings=True), "tie_word_embeddings=true, but lm_head.weight"),
    "no tie and no head": ("gemma", config(tie_word_embeddings=False), "there is no lm_head.weight"),
    # names, shapes and dtypes of the weights
    "a gap": ("llama", without(".layers.1."), "layers up to 3 but none for layer 1"),
    "layers from 1": ("llama", renamed(from_one), "layers up to 4 but none for layer 0"),
    "no layers": ("llama", without(".layers."), "no tensor is named model.layers.N"),
    "a missing tensor": ("llama", without(UP), f"the weights lack {UP} (it would be initialised"),
    "no final norm": ("llama", without("model.norm"), "the weights lack model.norm.weight"),
    "an unknown tensor": (
        "llama",
        weights(lambda tensors: {**tensors, "model.more": torch.ones(2)}),
        "has model.more, which a llama model does not have",
    ),
    "a prefix of torch": ("llama", renamed(lambda name: f"module.{name}"), "without the prefix 'module.'"),
    "a prefix of PEFT": ("llama", renamed(lambda name: f"base_model.model.{name}"), "an unmerged PEFT adapter"),
    "a prefix of a multimodal model": (
        "llama",
        renamed(lambda name: f"language_{name}"),
        "the first layer tensor found is language_model.layers.0",
    ),
    "names of GPT-2": ("llama", renamed(lambda name: name.replace("model.layers", "h")), "tensor found is h.0."),
    "one layer narrower": (
        "llama",
        weights(lambda tensors: {**tensors, UP: tensors[UP][:16]}),
        "layers differ in width (mlp.up_proj.weight: [16, 16], [24, 16])",
    ),
    "factors": ("llama", weights(factored), "the weights hold factors in place of whole matrices"),
    "an adapter among the weights": (
        "llama",
        weights(lambda tensors: {**tensors, UP.replace("weight", "lora_A.weight"): torch.ones(4, 16)}),
        "the weights hold an unmerged adapter",
    ),
    "an expert missing": ("qwen3_moe", without("layers.2.mlp.experts.3.up_proj"), "lack model.layers.2.mlp.experts.3"),
    "a router missing": ("qwen3_moe", without("layers.1.mlp.gate."), "lack model.layers.1.mlp.gate.weight"),
    "attention sinks missing": ("gpt_oss", without("layers.2.self_attn.sinks"), "lack model.layers.2.self_attn.sinks"),
    "int8 without its section": ("llama", in_dtype(UP, torch.int8), "1 tensors are stored in I8"),
    "8-bit floats without their section": ("llama", in_dtype(UP, torch.float8_e4m3fn), "are stored in F8_E4M3"),
    # files
    "no weights": ("llama", gone(FILE), "there are no weights"),
    "pickled weights": ("llama", moved(FILE, "pytorch_model.bin"), "pickled weights are not read"),
    "a file of llama.cpp": ("llama", moved(FILE, "model-q4.gguf"), "a llama.cpp file"),
    "another file name": ("llama", moved(FILE, "weights.safetensors"), "rename it to model.safetensors"),
    "a checkpoint of DeepSpeed": (
        "llama",
        both(gone(FILE), text("zero_to_fp32.py", "")),
        "a sharded DeepSpeed checkpoint",
    ),
    "an adapter alone": (
        "llama",
        both(gone(CONFIG), moved(FILE, "adapter_model.safetensors"), text("adapter_config.json", "{}")),
        "has only an adapter",
    ),
    "an adapter beside full weights": ("llama", text("adapter_config.json", "{}"), "would attach that adapter"),
    "weights cut short": ("llama", cut_short(FILE, 4000), "truncated or damaged"),
    "an empty file of weights": ("llama", text(FILE, ""), "truncated or damaged"),
    "a pointer of LFS": ("llama", text(FILE, "version https://git-lfs.github.com/spec/v1\n"), "truncated or damaged"),
    "a link to nothing": (
        "llama",
        both(gone(FILE), lambda folder: (folder / FILE).symlink_to(folder / "nowhere")),
        "truncated or damaged",
    ),
    "shards without an index": (
        "llama",
        of_shards(lambda folder, _: (folder / "model.safetensors.index.json").unlink()),
        "is not listed in any model.safetensors.index.json",
    ),
    "a shard too few": ("llama", of_shards(lambda _, files: files[0].unlink()), "which is missing; copy it again"),
    "a shard too many": (
        "llama",
        of_shards(lambda folder, files: shutil.copy(files[0], folder / "model-00099-of-00099.safetensors")),
        "is a stale file",
    ),
    "an index without a tensor": ("llama", of_shards(unlisted), "is not listed; save the model again"),
    # numbers
    "not a number": ("llama", value(UP, float("nan")), "1 tensors hold numbers that are not finite"),
    "infinity": ("llama", value(UP, float("inf")), f"the first is {UP}"),
    "a layer of zeros": ("llama", zero(".layers.2."), "layer 2 is all zero"),
    "an embedding of zeros": ("llama", zero("embed_tokens"), "model.embed_tokens.weight is all zero"),
    "a head of zeros": ("llama", zero("lm_head"), "lm_head.weight is all zero"),
    # the plan
    "a plan of another model": ("llama", plan_of(LAYERS, 5), "the plan keeps 5 of 6 layers, but the weights have 4"),
    "a damaged plan": ("llama", text("prune_plan.json", "{"), "prune_plan.json: not a prune plan"),
    "a plan that contradicts itself": ("llama", in_json("prune_plan.json", kept=[0]), "but says that it keeps [0]"),
    # what the unpruned model has
    "windows of other layers": (
        "qwen2_mixed",
        config(layer_types=["full_attention", "sliding_attention"] * 2),
        "layer_types=['full_attention', 'sliding_attention', 'full_attention', 'sliding_attention'], but a cut of the",
    ),
    "windows lost": ("mistral", config(sliding_window=None), "sliding_window=None, but a cut of the unpruned model"),
    "a list that is not a part": (
        "qwen2_mixed",
        both(gone("prune_plan.json"), config(layer_types=["sliding_attention"] * KEPT)),
        "is not an ordered part of the unpruned model's",
    ),
    "experts of other layers": ("qwen3_moe", config(norm_topk_prob=True, rms_norm_eps=0.1), "rms_norm_eps=0.1"),
    "another rotation": ("llama", config(rope_parameters={"rope_type": "default", "rope_theta": 7.0}), "rope_theta"),
    "another activation": ("llama", config(hidden_act="relu"), "hidden_act='relu'"),
    # tokenizer, template, stop tokens
    "a damaged tokenizer": ("llama", text("tokenizer.json", "{"), "its tokenizer cannot be read"),
    "a template that raises": (
        "llama",
        text("chat_template.jinja", "{{ raise_exception('no users') }}"),
        "cannot render a single question (no users)",
    ),
    "a template that is no template": (
        "llama",
        text("chat_template.jinja", "{% for %}"),
        "cannot render a single question",
    ),
    "a template that divides by nothing": ("llama", text("chat_template.jinja", "{{ 1 / 0 }}"), "division by zero"),
    "a template without the question": (
        "llama",
        text("chat_template.jinja", "hello"),
        "renders the question 'Why?' as 'hello'",
    ),
    "a template that is gone": ("llama", gone("chat_template.jinja"), "has no chat template, but the unpruned one's"),
    "thinking marks that are gone": (
        "llama",
        both(without_marks("tokenizer.json"), without_marks("tokenizer_config.json")),
        "lacks </think>, <think>, with which the unpruned model thinks",
    ),
    "other token ids": ("llama", in_tokenizer(swapped), "2 tokens of the unpruned model have other ids"),
    "more tokens than rows": (
        "llama",
        of_tokenizer(lambda tokenizer: tokenizer.add_tokens(["<more>"]) and None),
        "the vocabulary has 112 rows, but 1 tokens of the tokenizer are beyond them, the first is '<more>' (112)",
    ),
    "a stop token that is not there": ("llama", in_json(GENERATION, eos_token_id=[3, 500]), "eos_token_id has 500"),
    "a stop token that is text": (
        "llama",
        in_json(GENERATION, eos_token_id="<eos>"),
        "'<eos>', which is not a token id",
    ),
    "a stop token of config.json": ("llama", config(eos_token_id=500), "config.json: eos_token_id has 500"),
    "a pad token that is not there": ("llama", in_json(GENERATION, pad_token_id=112), "pad_token_id has 112"),
    "a foreign stop token": (
        "llama",
        in_json(GENERATION, eos_token_id=9),
        "stops at [9], but the unpruned model stops at",
    ),
    "a generation config that is none": ("llama", in_json(GENERATION, max_new_tokens=-5), "transformers refuses it ("),
    "several answers of one greedy one": (
        "llama",
        in_json(GENERATION, num_return_sequences=3),
        "generation_config.json: transformers refuses it (Greedy methods",
    ),
    "a damaged generation config": ("llama", text(GENERATION, "{"), "generation_config.json cannot be read"),
}

NOTES: dict[str, tuple[str, Spoil, str]] = {
    "another dtype named": ("llama", config(dtype="bfloat16"), "names bfloat16, but most weights are float32"),
    "several dtypes": ("llama", in_dtype(UP, torch.bfloat16), "weights of several dtypes: F32, BF16"),
    "no tokenizer": ("llama", gone("tokenizer_config.json"), "the folder has no tokenizer"),
    "equal layers": (
        "llama",
        weights(lambda all: {**all, **{n.replace(".0.", ".2."): v.clone() for n, v in all.items() if ".0." in n}}),
        "layers 0 and 2 have identical bits",
    ),
    "a layer that adds nothing": ("llama", zero("2.mlp.down_proj", "2.self_attn.o_proj"), "all zero: model"),
    "another class": ("llama", config(architectures=["Qwen3ForCausalLM"]), "llama models use LlamaForCausalLM; vLLM"),
    "no pad token": ("llama", in_json("tokenizer_config.json", pad_token=None), "has no pad token"),
    "values without effect": ("llama", in_json(GENERATION, temperature=0.6), "do_sample=True instead of None"),
    "generation that goes on": ("llama", in_json(GENERATION, eos_token_id=4), "but generation stops at [4] alone"),
}


@pytest.fixture(scope="module")
def pair_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    made: dict[str, tuple[Path, Path]] = {}

    def pair(family: str) -> tuple[Path, Path]:
        if family not in made:
            made[family] = make_pair(family, tmp_path_factory.mktemp(family))
        return made[family]

    return pair


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_folder_is_told_in_its_one_line(
    kind: str, pair_of: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    family, spoil, words = KINDS[kind]
    pruned, unpruned = pair_of(family)
    folder = Path(shutil.copytree(pruned, tmp_path / "p"))
    spoil(folder)
    lines = faults_of(folder, unpruned)
    assert len(lines) == 1 and words in lines[0], lines


@pytest.mark.parametrize("kind", NOTES)
def test_what_may_be_meant_is_a_note(kind: str, pair_of: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    family, spoil, words = NOTES[kind]
    folder = Path(shutil.copytree(pair_of(family)[0], tmp_path / "p"))
    spoil(folder)
    notes = notes_on(check_folder(folder))
    assert (faults_of(folder), len(notes)) == ([], 1) and words in notes[0], notes


@pytest.mark.parametrize("family", sorted({family for family, _, _ in (KINDS | NOTES).values()}))
def test_the_folders_themselves_are_sound(family: str, pair_of: Callable[[str], tuple[Path, Path]]) -> None:
    pruned, unpruned = pair_of(family)
    notes = [note for note in notes_on(check_folder(pruned)) if not note.startswith("alignment")]  # 4 experts
    assert (faults_of(pruned, unpruned), faults_of(unpruned), notes) == ([], [], [])


@pytest.mark.slow
@pytest.mark.parametrize("knows", ["with the unpruned model", "alone"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_gives_a_sound_copy_or_none(
    kind: str, knows: str, pair_of: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    family, spoil, _ = KINDS[kind]
    pruned, unpruned = pair_of(family)
    folder, out = Path(shutil.copytree(pruned, tmp_path / "p")), tmp_path / "out"
    spoil(folder)
    before = unpruned if knows == "with the unpruned model" else None
    try:
        lines = repair(folder, out, before)
    except UserError:
        assert not out.exists()
        return
    assert lines or before is None
    assert faults_of(out, before) == []
