"""The matrices of a checkpoint or adapter and their sizes, read from the headers of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.contradictions import EMBEDDING, HEAD
from data_prep.weight_files import Tensor, read_config, read_file, read_json, read_tensors
from recipes.errors import UserError

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

KINDS: Mapping[str, str] = {
    **{f"{kind}_proj": kind for kind in ("q", "k", "v", "o", "gate", "up", "down")},
    "qkv_proj": "q, k and v in one",
    "gate_up_proj": "gate and up in one",
    "embed_tokens": "embedding",
    "lm_head": "head",
}
"""module -> the name of its matrix in reports; any other matrix has its own name with that of its parent"""

HEAD_SIZES = ("head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


@dataclass(frozen=True)
class Group:
    """Equal matrices of one kind."""

    kind: str
    rows: int
    """output features"""
    columns: int
    """input features"""
    count: int

    @property
    def parameters(self) -> int:
        return self.rows * self.columns * self.count


@dataclass(frozen=True)
class Matrices:
    """The sizes in a folder on which an accelerator's speed depends."""

    groups: tuple[Group, ...]
    head_sizes: tuple[int, ...] = ()
    vocabulary: int | None = None
    ranks: tuple[int, ...] = ()
    """the distinct ranks of an adapter"""
    quantised: bool = False
    """weights are packed: the stored shape is not that of the product"""


def read_matrices(folder: Path) -> Matrices:
    """The matrices of a checkpoint, or of an adapter if the folder holds only one; no weights are loaded.

    Raises UserError if the folder does not exist, or if its config or its files are missing or damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a Hugging Face checkpoint or adapter folder")
    if (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file():
        return adapter_matrices(read_json(folder / ADAPTER_CONFIG), _adapter_tensors(folder))
    return model_matrices(read_config(folder), read_tensors(folder))


def model_matrices(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Matrices:
    """The matrices of a model: its two-dimensional tensors, and experts, [experts, rows, columns]."""
    text = config.get("text_config") or config
    embedding = tensors.get(EMBEDDING, tensors.get(HEAD))
    return Matrices(
        groups=_groups(tensors),
        head_sizes=_head_sizes(text),
        vocabulary=embedding.shape[0] if embedding is not None else None,
        quantised=bool(config.get("quantization_config")),
    )


def adapter_matrices(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Matrices:
    """The factors of an adapter; its ranks are those of the stored A factors [rank, inputs], or the configured one."""
    stored = {tensor.shape[0] for name, tensor in tensors.items() if ".lora_A." in name and len(tensor.shape) == 2}
    configured = config.get("r")
    ranks = stored or ({configured} if isinstance(configured, int) else set())
    if not ranks:
        raise UserError(f"{ADAPTER_CONFIG}: no rank r, and no lora_A in the weights; only LoRA adapters have a rank")
    return Matrices(groups=_groups(tensors), ranks=tuple(sorted(ranks)))


def _adapter_tensors(folder: Path) -> dict[str, Tensor]:
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise UserError(f"{folder / ADAPTER_WEIGHTS} is missing; copy it, or save the adapter as safetensors")
    return read_file(folder / ADAPTER_WEIGHTS)


def _groups(tensors: Mapping[str, Tensor]) -> tuple[Group, ...]:
    """Groups by kind and size, in the order of first appearance in the files."""
    counts: Counter[tuple[str, int, int]] = Counter()
    for name, tensor in tensors.items():
        # other three-dimensional tensors are convolution kernels, which no matrix product reads
        stacked = len(tensor.shape) == 3 and ".experts." in name
        if name.endswith("bias"):  # of all experts [experts, rows]: two dimensions, but not a matrix product
            continue
        if (len(tensor.shape) == 2 or stacked) and min(tensor.shape) > 0:
            *experts, rows, columns = tensor.shape
            counts[(_kind(name), rows, columns)] += experts[0] if experts else 1
    order = list(KINDS.values())
    known = sorted(counts, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), key))
    return tuple(Group(kind, rows, columns, counts[(kind, rows, columns)]) for kind, rows, columns in known)


def _kind(name: str) -> str:
    """`model.layers.0.mlp.experts.7.up_proj.weight` is `expert up`; `….q_proj.lora_A.weight` is `q lora_A`."""
    parts = [part for part in name.split(".") if part not in ("weight", "default")]
    factor = f" {parts.pop()}" if parts[-1].startswith("lora_") else ""
    module = KINDS.get(parts[-1], ".".join(parts[-2:]))  # a router is `mlp.gate`; it must not be taken for a gate
    expert = "expert " if "experts" in parts else ""
    return f"{expert}{module}{factor}"


def _head_sizes(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The config's own value, or the hidden size divided by the number of heads."""
    written = {size for key in HEAD_SIZES if isinstance(size := config.get(key), int) and size > 0}
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if not written and isinstance(hidden, int) and isinstance(heads, int) and heads > 0:
        written = {hidden // heads}
    return tuple(sorted(written))
