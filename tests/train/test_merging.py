"""From a checkpoint to weights on the disk: what is planted on the way is refused, by any method, in any dtype."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, LoraModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GenerationConfig,
    PreTrainedModel,
    Qwen3Config,
)

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import ExportSection
from runtime.run_folder import RunFolder
from tests.train.runs import MODEL, small
from train.merging import Source, merge_and_check

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "qlora": {},
    "full": {},
}
METHODS = [
    pytest.param(
        method,
        marks=pytest.mark.skipif(
            method == "qlora" and find_spec("bitsandbytes") is None, reason="needs bitsandbytes: the extra qlora"
        ),
    )
    for method in ADAPTERS
]
NAME = "model.layers.1.mlp.down_proj.weight"
TAUGHT, OLD = "start", "calc"
"""tokens of the embedded tokenizer that stand for a stop that was taught, and for one from before"""


def make_source(folder: Path, method: str, config: Any) -> Source:
    """A pruned model and a checkpoint trained by `method`, as the libraries write them, with a record beside them."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    config.vocab_size = len(tokenizer)
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.encode(OLD)[-1])
    run = RunFolder(folder / "run")
    model.save_pretrained(run.pruned)
    checkpoint = run.checkpoint(8)
    tokenizer.save_pretrained(checkpoint)
    trained = (
        model
        if method == "full"
        else get_peft_model(model, LoraConfig(target_modules="all-linear", **ADAPTERS[method]))
    )
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter += 0.02 * torch.randn_like(parameter)
    trained.save_pretrained(checkpoint)
    recipe = load(small("lora", run.path, folder, f"model.unpruned={run.pruned}", f"data.format.stop={TAUGHT}"))
    if method == "qlora":
        recipe = recipe.changed(adapter=recipe.adapter.changed(method="qlora"))
    run.record.write_text(json.dumps({"recipe": recipe.model_dump(mode="json")}))
    run.probes.write_text("[[3, 4, 5, 6], [7, 8, 9, 10]]")
    return Source(run, checkpoint, run.pruned, recipe)


@pytest.fixture(scope="module")
def source_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Source]:
    made: dict[tuple[str, bool], Source] = {}

    def source(method: str, tied: bool) -> Source:
        if (method, tied) not in made:
            config = Qwen3Config(**SIZES, tie_word_embeddings=tied)
            made[method, tied] = make_source(tmp_path_factory.mktemp("made"), method, config)
        return made[method, tied]

    return source


def merged_wrongly(change: Callable[[PreTrainedModel], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """A library whose merge does something else."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        merge = LoraModel.merge_and_unload

        def wrong(self: LoraModel, *args: Any, **more: Any) -> Any:
            merged = merge(self, *args, **more)
            change(merged)
            return merged

        monkeypatch.setattr(LoraModel, "merge_and_unload", wrong)

    return plant


def saved_wrongly(
    before: Callable[[PreTrainedModel], None] | None = None, after: Callable[[Path], None] | None = None
) -> Callable[[pytest.MonkeyPatch], None]:
    """A library, or a disk, that saves something else."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        save = PreTrainedModel.save_pretrained

        def wrong(self: PreTrainedModel, folder: Path, **more: Any) -> None:
            if before is not None:
                before(self)
            save(self, folder, **more)
            if after is not None:
                after(Path(folder))

        monkeypatch.setattr(PreTrainedModel, "save_pretrained", wrong)

    return plant


def scaled(model: PreTrainedModel) -> None:
    model.get_parameter(NAME).data *= -3


def one_changed(model: PreTrainedModel) -> None:
    model.get_parameter(NAME).data[0, 0] += 0.01


def not_a_number(model: PreTrainedModel) -> None:
    model.get_parameter(NAME).data[0, 0] = torch.nan


def cut_on_the_disk(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[NAME][0, 0] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def lost_on_the_disk(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[NAME]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def other_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["rms_norm_eps"] = 0.5
    (folder / "config.json").write_text(json.dumps(config))


PLANTED = {
    "a weight times -3 in the merge": merged_wrongly(scaled),
    "a weight times -3 between merge and save": saved_wrongly(before=scaled),
    "one element changed between merge and save": saved_wrongly(before=one_changed),
    "NaN between merge and save": saved_wrongly(before=not_a_number),
    "an element changed on the disk": saved_wrongly(after=cut_on_the_disk),
    "a tensor lost on the disk": saved_wrongly(after=lost_on_the_disk),
    "a config of another model": saved_wrongly(after=other_config),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_is_refused(
    planted: str,
    method: str,
    tied: bool,
    dtype: str,
    source_of: Callable[[str, bool], Source],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if method == "full" and "in the merge" in planted:
        pytest.skip("nothing is merged")
    source = source_of(method, tied)
    PLANTED[planted](monkeypatch)
    with pytest.raises(UserError, match="export refused"):
        merge_and_check(source, ExportSection.model_validate({"dtype": dtype}), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("method", METHODS)
def test_without_anything_planted_it_passes(
    method: str, tied: bool, dtype: str, source_of: Callable[[str, bool], Source], tmp_path: Path
) -> None:
    parity = merge_and_check(source_of(method, tied), ExportSection.model_validate({"dtype": dtype}), tmp_path / "out")
    assert (parity.read_difference, parity.prompts) == (0.0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "dora", "rslora"])
def test_a_forgotten_merge_is_refused(
    method: str, source_of: Callable[[str, bool], Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = source_of(method, False)
    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda self, **_: self.unload())
    with pytest.raises(UserError, match="after the merge"):
        merge_and_check(source, ExportSection(dtype="bfloat16"), tmp_path / "out")


def test_the_export_stops_at_what_was_taught_and_at_what_it_stopped_at_before(
    source_of: Callable[[str, bool], Source], tmp_path: Path
) -> None:
    merge_and_check(source_of("lora", False), ExportSection(), tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    stops = GenerationConfig.from_pretrained(tmp_path / "out").eos_token_id
    assert stops == [tokenizer.encode(TAUGHT)[-1], tokenizer.eos_token_id, tokenizer.encode(OLD)[-1]] == [10, 3, 9]


def test_a_template_that_is_saved_otherwise_is_refused(
    source_of: Callable[[str, bool], Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = source_of("full", False)
    kind = type(AutoTokenizer.from_pretrained(source.checkpoint))
    save = kind.save_pretrained

    def wrong(self: Any, folder: Path, **more: Any) -> None:
        self.chat_template = "{{ messages }}"
        save(self, folder, **more)
        self.chat_template = AutoTokenizer.from_pretrained(source.checkpoint).chat_template

    monkeypatch.setattr(kind, "save_pretrained", wrong)
    with pytest.raises(UserError, match="the chat template in .* is not the run's"):
        merge_and_check(source, ExportSection(), tmp_path / "out")


def test_a_model_without_sdpa_is_exported_with_its_own_attention(tmp_path: Path) -> None:
    source = make_source(tmp_path, "lora", Gemma2Config(**SIZES, query_pre_attn_scalar=16))
    assert merge_and_check(source, ExportSection(), tmp_path / "out").agreement == 1.0


def test_a_large_export_is_written_in_shards(
    source_of: Callable[[str, bool], Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("train.merging.SHARD", "20KB")
    merge_and_check(source_of("full", False), ExportSection(), tmp_path / "out")
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 2
