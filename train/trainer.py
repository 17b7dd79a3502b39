"""The trainer of a run: TRL's, with the run's own loss and guard, and counts that are gathered when they are logged."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from train.fused_kernels import Kernels
from train.guard import Guard, GuardedEngine
from train.loss.base import Loss, inside_forward
from train.loss.choose import LossOfRun
from train.loss.head import has_linear_head
from train.order import EpochTrainer


class RecoveryTrainer(EpochTrainer):
    """What TRL computes otherwise (dft, smoothed labels, losses of routers, sequences on several ranks, heads that are
    not linear) stays as it is.

    TRL gathers three numbers from all ranks at every micro batch; here they are summed and gathered when they are
    logged, so that a mean is that of all tokens since the row before.
    """

    def __init__(
        self, *, loss: LossOfRun, guard: Guard, filling: int = 0, kernels: Kernels | None = None, **more: Any
    ) -> None:
        """filling: how many examples at the end are fillers (`train.order`); kernels: what the model computes with
        while it trains (`train.fused_kernels`); more: what TRL's trainer takes."""
        super().__init__(**more)
        self.guard, self.filling, self.kernels = guard, filling, kernels
        self.base: PreTrainedModel = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        self.loss: Loss | None = None if self._leaves_loss_to_trl() else loss.for_model(self.base, self.args.device)
        self.sums: dict[str, torch.Tensor] = {}
        self.tokens = 0

    def _leaves_loss_to_trl(self) -> bool:
        """Whether the trainer section or the model asks for a loss that only TRL computes."""
        return (
            self.args.loss_type != "nll"
            or self.label_smoother is not None
            or self.aux_loss_enabled
            or self.accelerator.parallelism_config is not None
            or self.args.torch_compile  # a compiled model would be compiled again for a forward that changes
            or not has_linear_head(self.base)
        )

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro batch forwards and backwards; under DeepSpeed its last one is the optimizer step too."""
        if self.is_deepspeed_enabled and not isinstance(self.accelerator.deepspeed_engine_wrapped, GuardedEngine):
            self.accelerator.deepspeed_engine_wrapped = GuardedEngine(self.deepspeed, self.guard)
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The token-weighted mean over the whole global batch, judged by the guard before the last backward pass."""
        if not self.model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.loss is None or return_outputs:
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        else:
            loss = self._mean(model, inputs, num_items_in_batch)
        self.guard.add(inputs, float((loss[0] if isinstance(loss, tuple) else loss).detach()))
        if self.accelerator.sync_gradients:
            self.guard.judge_loss(self.state.global_step + 1)
        return loss

    def _mean(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> torch.Tensor:
        """This micro batch's part of the mean; its metrics are added to the sums."""
        assert self.loss is not None
        summed, metrics = inside_forward(model, self.base, self.loss, inputs)
        self.tokens += real_tokens(inputs)
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0) + value.double()
        # the Trainer counts the labels of the whole global batch; without that count it is this micro batch's own mean
        items = metrics["labelled"] if num_items_in_batch is None else num_items_in_batch
        loss: torch.Tensor = summed / torch.as_tensor(items).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the ranks' gradients are averaged
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The Trainer asks once a step, before it steps: the last moment at which one without DeepSpeed can be left."""
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None:
            self.guard.judge_gradient(self.state.global_step + 1, float(norm))
        if self.guard.leave_out and not self.is_deepspeed_enabled:
            self.optimizer.zero_grad(set_to_none=True)  # an optimizer leaves out what has no gradient
        self.guard.end_step()
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """On all ranks: what was counted since the last time goes with the rest, each metric as a mean over labels."""
        if self.loss is not None and self.model.training:
            names = sorted(self.sums)
            counted = [torch.tensor(float(self.tokens), device=self.args.device, dtype=torch.float64)]
            counted += [self.sums[name].to(self.args.device) for name in names]
            tokens, *sums = self.accelerator.gather(torch.stack(counted)[None]).sum(0).tolist()
            self.sums, self.tokens = {}, 0
            self._total_train_tokens += int(tokens)
            means = dict(zip(names, sums, strict=True))
            labelled = means.pop("labelled", 0)
            self._metrics["train"] |= {"num_tokens": [self._total_train_tokens]}
            if labelled:
                self._metrics["train"] |= {name: [value / labelled] for name, value in means.items()}
        super().log(logs, start_time)


def real_tokens(inputs: dict[str, Any]) -> int:
    """The tokens of a micro batch without padding; packed rows have none."""
    mask = inputs.get("attention_mask")
    return int(mask.sum()) if mask is not None else int(inputs["input_ids"].numel())
