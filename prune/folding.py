"""Folds a linear map of the residual stream into a weight: the last projection of the MLP before a gap.

A layer's output is Y + c C: C is the output of that projection, c a number (1 in most families), and Y does not depend
on C. Then replacing C by C T is exactly the same as multiplying the projection's weight by T, and the checkpoint needs
no new module. This does not hold with a norm after the projection or with several experts; such layers are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from prune.families import decoder_layers
from prune.forward import exchanged
from recipes.errors import UserError

PROJECTIONS = ("mlp.down_proj", "mlp.fc2", "mlp.c_proj", "feed_forward.w2")
"""names of the projection from the MLP to the residual stream, by family"""

NORMS_AFTER = ("post_feedforward_layernorm", "post_mlp_layernorm")
"""norms between that projection and the residual stream (Gemma 2 and 3, OLMo 2, GLM-4, EXAONE 4)"""

ROUNDINGS = 8
"""tolerance for the rounding of a layer's sums and products, in epsilons of its dtype; a norm exceeds it by far"""


def faults_by_config(config: Any, trust_remote_code: bool) -> list[str | None]:
    """For every layer that `config` builds, why no map folds into it, judged by its modules; no weights are created."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    return [_fault(layer) for layer in decoder_layers(model)]


def projection_of(layer: nn.Module, family: str) -> nn.Linear:
    """The projection of `layer` into which a map folds. Raises UserError if its modules do not allow one."""
    if fault := _fault(layer):
        raise cannot_fold(family, fault)
    found: nn.Linear = layer.get_submodule(next(filter(None, map(_in(layer), PROJECTIONS))))  # type: ignore[assignment]
    return found


def _fault(layer: nn.Module) -> str | None:
    """Why no map folds into `layer`, judged by its modules."""
    names = {name for name, _ in layer.named_modules()}
    if any("experts" in name.split(".") for name in names):
        return "its MLP is a mixture of experts, whose output does not come from a single weight"
    if norms := [name for name in NORMS_AFTER if name in names]:
        return f"{norms[0]} is between its MLP and the residual stream"
    if not any(map(_in(layer), PROJECTIONS)):
        return f"its layers have no linear projection at {', '.join(PROJECTIONS)}"
    return None


def _in(layer: nn.Module) -> Callable[[str], str | None]:
    linear = {name for name, module in layer.named_modules() if isinstance(module, nn.Linear)}
    return lambda name: name if name in linear else None


def cannot_fold(family: str, reason: str) -> UserError:
    return UserError(
        f"prune.repair=linear: no map folds exactly into a model of type {family!r}: {reason}; set prune.repair=none"
    )


def gain_to_stream(layer: nn.Module, projection: nn.Linear, run: Callable[[], Any], family: str) -> float:
    """c: the factor by which the output of `layer` follows that of `projection`, measured with a random shift.

    run: runs the model once, through `layer`. Raises UserError if the output does not change by the shift times one
    number.
    """
    seen: dict[str, Tensor] = {}

    def shifted(*arguments: Any, **named: Any) -> Any:
        keep = projection.register_forward_hook(lambda _module, _arguments, output: seen.update(inner=output))
        seen["plain"] = forward(*arguments, **named)
        keep.remove()
        inner = seen["inner"]  # [rows, longest, hidden]
        noise = torch.randn(inner.shape, generator=torch.Generator().manual_seed(0)).to(inner)
        moved = inner + noise * inner.float().std().clamp(min=1e-3).to(inner.dtype)
        seen["step"] = moved.double() - inner.double()  # the shift as rounded: its rounding is not counted as error
        with exchanged({projection: lambda _input: moved}):
            seen["moved"] = forward(*arguments, **named)
        return seen["plain"]

    forward = layer.forward
    with exchanged({layer: shifted}):
        run()
    return _factor(seen, torch.finfo(seen["inner"].dtype).eps, family)


def _factor(seen: dict[str, Tensor], eps: float, family: str) -> float:
    step, plain, moved = (seen[name].double() for name in ("step", "plain", "moved"))
    answer = moved - plain
    factor = float((answer * step).sum() / (step * step).sum())
    parts = plain.abs() + moved.abs() + abs(factor) * (seen["inner"].double().abs() + step.abs())
    if factor == 0 or bool(((answer - factor * step).abs() > ROUNDINGS * eps * parts).any()):
        raise cannot_fold(family, "its MLP's output does not reach the residual stream unchanged or by one factor")
    return 1.0 if abs(factor - 1) <= eps else factor


def fold(projection: nn.Linear, linear_map: Tensor) -> None:
    """Makes `projection` output C T instead of C, in place and in its own dtype.

    linear_map: T [hidden, hidden], applied from the right. x Wᵀ T = x (Tᵀ W)ᵀ, and the bias becomes b T.
    """
    turned = linear_map.T.to(projection.weight.device)
    with torch.no_grad():
        projection.weight.copy_(turned @ projection.weight.to(turned.dtype))
        if projection.bias is not None:
            projection.bias.copy_(turned @ projection.bias.to(turned.dtype))
