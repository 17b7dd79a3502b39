"""The headers of a checkpoint's safetensors files, and each way in which they and their index can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.weight_files import INDEX, SINGLE, read_config, read_json, read_tensors
from recipes.errors import UserError
from tests.prune.models import build


def single(folder: Path) -> Path:
    build("llama").save_pretrained(folder)
    return folder


def sharded(folder: Path) -> Path:
    build("llama").save_pretrained(folder, max_shard_size="8KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


def edit_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize("save", [single, sharded])
def test_names_and_shapes_are_those_of_the_model(save: Callable[[Path], Path], tmp_path: Path) -> None:
    shapes = {name: tensor.shape for name, tensor in read_tensors(save(tmp_path)).items()}
    assert shapes == {name: tuple(tensor.shape) for name, tensor in build("llama").state_dict().items()}


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-10], lambda data: data[:20], lambda data: b"\xff" * 16 + data[16:], lambda data: b""]
)
def test_damaged_weights(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = single(tmp_path) / SINGLE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="model.safetensors cannot be read .* copy it again"):
        read_tensors(tmp_path)


def test_stale_shard(tmp_path: Path) -> None:
    first = min(sharded(tmp_path).glob("model-*.safetensors"))
    (tmp_path / "model-00099-of-00099.safetensors").write_bytes(first.read_bytes())
    with pytest.raises(UserError, match="model-00099-of-00099.safetensors is a stale file"):
        read_tensors(tmp_path)


def test_single_file_beside_an_index(tmp_path: Path) -> None:
    (single(tmp_path / "single") / SINGLE).rename(sharded(tmp_path / "shards") / SINGLE)
    with pytest.raises(UserError, match="model.safetensors is a stale file"):
        read_tensors(tmp_path / "shards")


def test_shards_without_an_index(tmp_path: Path) -> None:
    (sharded(tmp_path) / INDEX).unlink()
    with pytest.raises(UserError, match="model-00001-of-.* is not listed in any model.safetensors.index.json"):
        read_tensors(tmp_path)


def test_missing_shard(tmp_path: Path) -> None:
    sorted(sharded(tmp_path).glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(UserError, match="index.json lists model-00002-of-.*, which is missing"):
        read_tensors(tmp_path)


def test_index_that_lists_a_tensor_of_no_shard(tmp_path: Path) -> None:
    edit_index(sharded(tmp_path), lambda files: files.update({"model.layers.7.ghost": min(files.values())}))
    with pytest.raises(UserError, match="model.layers.7.ghost is not in any shard"):
        read_tensors(tmp_path)


def test_index_that_lacks_a_tensor_of_a_shard(tmp_path: Path) -> None:
    edit_index(sharded(tmp_path), lambda files: files.pop("model.layers.0.mlp.up_proj.weight"))
    with pytest.raises(UserError, match="model.layers.0.mlp.up_proj.weight in model-.* is not listed"):
        read_tensors(tmp_path)


def test_index_that_points_to_another_shard(tmp_path: Path) -> None:
    key = "model.layers.0.mlp.up_proj.weight"
    edit_index(sharded(tmp_path), lambda files: files.update({key: min(set(files.values()) - {files[key]})}))
    with pytest.raises(UserError, match=f"says {key} is in .*, but it is in"):
        read_tensors(tmp_path)


def test_index_without_a_map(tmp_path: Path) -> None:
    (sharded(tmp_path) / INDEX).write_text("{}")
    with pytest.raises(UserError, match="index.json has no weight_map"):
        read_tensors(tmp_path)


def test_pickled_weights_only(tmp_path: Path) -> None:
    (single(tmp_path) / SINGLE).rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="pickled weights are not read"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "is missing"), ("{", "cannot be read"), ("[]", "is not a JSON object")],
    ids=["missing", "cut off", "a list"],
)
def test_json_file_that_holds_no_object(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"config.json {message}"):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("adapter_model.safetensors", "only an adapter"),
        ("consolidated.safetensors", "rename it to model.safetensors"),
        ("model.Q4_K_M.gguf", "a llama.cpp file"),
        ("zero_to_fp32.py", "a sharded DeepSpeed checkpoint"),
        ("pytorch_model.bin", "pickled weights are not read"),
        ("notes.txt", "there are no weights"),
    ],
)
def test_a_folder_without_weights_is_called_what_it_is(file: str, words: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("")
    with pytest.raises(UserError, match=words):
        read_tensors(tmp_path)


def test_an_adapter_is_not_a_model_without_its_config(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="has only an adapter, not a model; .*python -m eval model="):
        read_config(tmp_path)
