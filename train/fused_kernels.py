"""RMSNorm, rotary embedding and SwiGLU of a model in training, each in one kernel of Liger (arXiv 2410.10989).

transformers computes them in a dozen elementwise kernels that read and write whole activations, which takes a third of
the GPU's time in a 0.6B model. Liger's own switch replaces the classes of a family permanently in the whole process, so
a model that is later loaded on a CPU, such as the export, could not run. Here only the model in training is changed,
and only while it trains. transformers computes sweeps, references and exports, so their scores stay comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MethodType, ModuleType
from typing import Any

import torch
from transformers import PreTrainedModel

from recipes.errors import UserError

FAMILIES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "smollm3": "SmolLM3"}
"""model type: prefix of its class names; only types whose norm is x / rms(x) * weight, rounded before the weight, and
whose MLP is SwiGLU with three layers"""
PARTS = ("rms_norm", "swiglu", "rope")
ROTARY = "apply_rotary_pos_emb"

Tensor = torch.Tensor


@dataclass(frozen=True)
class Kernels:
    """Replacements for transformers' functions on tensors of the device type `device`; None leaves a part unchanged."""

    device: str
    rms_norm: Callable[[Tensor, Tensor, float], Tensor] | None
    """(x [..., size], weight [size], epsilon)"""
    swiglu: Callable[[Tensor, Tensor], Tensor] | None
    """silu(gate) * up"""
    rope: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None
    """(query and key [rows, heads, tokens, size], cosines and sines [rows or 1, tokens, size])"""

    def fit(self, states: Tensor) -> bool:
        """Whether the kernels compute `states`. A sweep runs in inference mode, where transformers computes."""
        return states.device.type == self.device and not torch.is_inference_mode_enabled()


@dataclass(frozen=True)
class Ground:
    """The facts that decide whether kernels are used: device type, whether Liger is installed, model type."""

    device: str
    installed: bool
    family: str


def ground(device: torch.device, family: str) -> Ground:
    return Ground(device.type, find_spec("liger_kernel") is not None, family)


def are_used(trainer: Mapping[str, Any], ground: Ground) -> bool:
    """Whether kernels are used: as `trainer.use_liger_kernel` says; if it is not set, whenever possible.

    UserError if the section requires them and they are not available, or if it names unknown parts.
    """
    check_parts(trainer.get("liger_kernel_config") or {})
    asked = trainer.get("use_liger_kernel")
    lacking = next(_lacking(trainer, ground), None)
    if asked and lacking:
        raise UserError(f"trainer.use_liger_kernel=true: {lacking}")
    return lacking is None if asked is None else bool(asked)


def _lacking(trainer: Mapping[str, Any], ground: Ground) -> Iterator[str]:
    if not ground.installed:
        yield "liger-kernel is not installed; pip install 'chainmend[gpu]', or leave the key out"
    if ground.device != "cuda":
        yield "its kernels need a GPU, and there is none here; leave the key out"
    if ground.family not in FAMILIES:
        yield f"there are no kernels for {ground.family} (only for {', '.join(FAMILIES)}); leave the key out"
    if trainer.get("torch_compile"):
        yield "trainer.torch_compile=true fuses kernels itself and fails on these; use one of the two"


def check_parts(parts: Mapping[str, Any]) -> None:
    """UserError if `trainer.liger_kernel_config` names a part not in PARTS, or a value that is not a boolean."""
    for name, value in parts.items():
        if name not in PARTS:
            raise UserError(
                f"trainer.liger_kernel_config.{name}: must be one of {', '.join(PARTS)} (chainmend has its own loss)"
            )
        if not isinstance(value, bool):
            raise UserError(f"trainer.liger_kernel_config.{name}={value}: must be true or false")


def kernels_of(trainer: Mapping[str, Any], ground: Ground) -> Kernels | None:
    """The kernels for a run; None if it uses none."""
    if not are_used(trainer, ground):
        return None
    parts = trainer.get("liger_kernel_config") or {}
    all_of_them = liger()
    chosen = {name: getattr(all_of_them, name) if parts.get(name, True) else None for name in PARTS}
    return Kernels(all_of_them.device, **chosen)


def liger() -> Kernels:
    """Liger's kernels, with the settings that Liger uses for these families; UserError if it cannot be imported."""
    try:
        ops = import_module("liger_kernel.ops")
    except ImportError as fault:
        raise UserError(
            f"liger-kernel is installed but cannot be imported ({fault}); reinstall it, or set "
            "trainer.use_liger_kernel=false"
        ) from None

    def rms_norm(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        # offset 0, rounded before the weight as in Llama, the incoming gradient overwritten in place
        result: Tensor = ops.LigerRMSNormFunction.apply(states, weight, epsilon, 0.0, "llama", True, None)
        return result

    def swiglu(gate: Tensor, up: Tensor) -> Tensor:
        result: Tensor = ops.LigerSiLUMulFunction.apply(gate, up, 1.0, 1.0)
        return result

    def rope(query: Tensor, key: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = ops.LigerRopeFunction.apply(query, key, cosines, sines)
        return result

    return Kernels("cuda", rms_norm, swiglu, rope)


@contextmanager
def fused(model: PreTrainedModel, kernels: Kernels | None) -> Iterator[None]:
    """Within the block, `model` computes with `kernels` wherever they fit; with None nothing changes.

    model: one of FAMILIES, without its wrappers.
    """
    if kernels is None:
        yield
        return
    code, begins = _code_of(model), FAMILIES[model.config.model_type]
    changed: list[torch.nn.Module] = []
    rotary = getattr(code, ROTARY)
    try:
        for module in model.modules():
            forward = _fused_forward(module, kernels, begins)
            if forward is not None:
                vars(module)["forward"] = MethodType(forward, module)
                changed.append(module)
        if kernels.rope is not None:
            # layers look the function up in their module, so it is replaced there; the replacement checks the tensors'
            # device
            setattr(code, ROTARY, _fused_rotary(kernels, rotary))
        yield
    finally:
        setattr(code, ROTARY, rotary)
        for module in changed:
            del vars(module)["forward"]


def _code_of(model: PreTrainedModel) -> ModuleType:
    name = model.config.model_type
    return import_module(f"transformers.models.{name}.modeling_{name}")


def _fused_forward(module: torch.nn.Module, kernels: Kernels, begins: str) -> Callable[..., Tensor] | None:
    """The forward that replaces the module's own; None for a module without a kernel."""
    plain, name = type(module).forward, type(module).__name__
    if name == f"{begins}RMSNorm" and kernels.rms_norm is not None:
        norm = kernels.rms_norm

        def normed(self: Any, hidden_states: Tensor) -> Tensor:
            if not kernels.fit(hidden_states):
                return plain(self, hidden_states)
            return norm(hidden_states, self.weight, self.variance_epsilon)

        return normed
    if name == f"{begins}MLP" and kernels.swiglu is not None and _is_silu(module):
        gated = kernels.swiglu

        def mixed(self: Any, x: Tensor) -> Tensor:
            if not kernels.fit(x):
                return plain(self, x)
            result: Tensor = self.down_proj(gated(self.gate_proj(x), self.up_proj(x)))
            return result

        return mixed
    return None


def _is_silu(mlp: torch.nn.Module) -> bool:
    return getattr(getattr(mlp, "config", None), "hidden_act", None) in ("silu", "swish")


def _fused_rotary(kernels: Kernels, plain: Callable[..., Any]) -> Callable[..., Any]:
    rope = kernels.rope
    assert rope is not None

    def rotated(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> Any:
        if unsqueeze_dim != 1 or not kernels.fit(q):
            return plain(q, k, cos, sin, unsqueeze_dim)
        return rope(q, k, cos, sin)

    return rotated
