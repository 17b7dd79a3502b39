"""The trainer of a run: TRL's, with the run's own loss and guard; counts are gathered only when they are logged."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from recipes.errors import UserError
from train.fused_kernels import Kernels
from train.guard import Guard, GuardedEngine
from train.loss.base import Loss, inside_forward
from train.loss.choose import LossOfRun
from train.loss.head import has_linear_head
from train.loss.positions import WithPositions
from train.order import EpochTrainer
from train.rounds import Rounds


class RecoveryTrainer(EpochTrainer):
    """Leaves to TRL what only TRL computes (dft, label smoothing, router losses, sequences split over ranks, nonlinear
    heads).

    TRL gathers three numbers from all ranks at every micro batch; here they are summed, and gathered when they are
    logged, so each mean covers all tokens since the previous row.
    """

    def __init__(
        self,
        *,
        loss: LossOfRun,
        guard: Guard,
        filling: int = 0,
        kernels: Kernels | None = None,
        rounds: Rounds | None = None,
        **more: Any,
    ) -> None:
        """filling: number of fillers at the end of the examples (`train.order`); kernels: fused kernels for training
        (`train.fused_kernels`); rounds: generated thoughts, which replace examples; more: arguments of TRL's
        trainer."""
        super().__init__(**more)
        self.rounds = rounds
        self.guard, self.filling, self.kernels = guard, filling, kernels
        self.base: PreTrainedModel = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        self.loss: Loss | None = None if self._leaves_loss_to_trl() else loss.for_model(self.base, self.args.device)
        if self.loss is None and loss.facts()["name"] != "nll":
            raise UserError(
                f"loss.name={loss.facts()['name']}: this model or the trainer section needs a loss of TRL (a head "
                "that is not one linear layer, sequences split over ranks); use loss.name=nll"
            )
        if self.loss is not None:
            self.data_collator: Any = WithPositions(self.data_collator, tuple(loss.columns))
        if rounds is not None:
            # a loader fetches a batch before its step's thoughts exist, so it is collated when the step begins
            self.collate, self.data_collator = self.data_collator, uncollated
        self.sums: dict[str, torch.Tensor] = {}
        self.tokens: torch.Tensor | int = 0
        # the Trainer would wait for the GPU after every micro batch to check the loss; `_shown` does not
        self.filters_losses, self.args.logging_nan_inf_filter = self.args.logging_nan_inf_filter, False
        if self.is_deepspeed_enabled:
            # the Trainer accumulates itself and leaves Accelerate's setting at 1, which would contradict DeepSpeed's
            self.accelerator.gradient_accumulation_steps = self.args.gradient_accumulation_steps

    def _leaves_loss_to_trl(self) -> bool:
        """Whether the trainer section or the model needs a loss that only TRL computes."""
        return (
            self.args.loss_type != "nll"
            or self.label_smoother is not None
            or self.aux_loss_enabled
            or self.accelerator.parallelism_config is not None
            or self.args.torch_compile  # replacing the forward of a compiled model would trigger recompilation
            or not has_linear_head(self.base)
        )

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: TRL's card in the run folder would describe another training; the export has its own card."""

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """The micro batches of the next step, with generated thoughts in the slots that the schedule gives them."""
        if self.rounds is not None:
            epoch_iterator = (self._with_thoughts(batch, place) for place, batch in enumerate(epoch_iterator))
        return super().get_batch_samples(epoch_iterator, num_batches, device)

    def _with_thoughts(self, batch: dict[str, Any], micro_batch: int) -> Any:
        assert self.rounds is not None
        args, size = self.args, self.args.train_batch_size
        first = self.state.global_step * size * args.world_size * args.gradient_accumulation_steps
        first += (micro_batch * args.world_size + args.process_index) * size
        examples = [
            example if is_filler(example) else self.rounds.example(first + place) or example
            for place, example in enumerate(batch["examples"])
        ]
        return self.collate(examples)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward pass of one micro batch; under DeepSpeed the last one includes the optimizer step."""
        if self.is_deepspeed_enabled and not isinstance(self.accelerator.deepspeed_engine_wrapped, GuardedEngine):
            self.accelerator.deepspeed_engine_wrapped = GuardedEngine(self.deepspeed, self.guard, self._judge_loss)
        return self._shown(super().training_step(model, inputs, num_items_in_batch))

    def _shown(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss of a micro batch for the log: if it is not finite, the mean since the last row.

        The same number as the Trainer's, but selected on the device.
        """
        if not self.filters_losses:
            return loss
        usual = self._tr_loss / (1 + self.state.global_step - self._globalstep_last_logged)
        return torch.where(torch.isfinite(loss), loss, usual)

    def _judge_loss(self) -> None:
        self.guard.judge_loss(self.state.global_step + 1)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The token-weighted mean over the global batch, which is passed on to the guard."""
        if not self.model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.loss is None or return_outputs:
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        else:
            loss = self._mean(model, inputs, num_items_in_batch)
        self.guard.add(inputs, loss[0] if isinstance(loss, tuple) else loss)
        return loss

    def _mean(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> torch.Tensor:
        """This micro batch's part of the mean; adds its metrics to the sums."""
        assert self.loss is not None
        summed, metrics = inside_forward(model, self.base, self.loss, inputs)
        self.tokens = self.tokens + real_tokens(inputs)
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0) + value.double()
        # the Trainer counts the labels of the global batch; without that count, use this micro batch's own mean
        items = metrics["labelled"] if num_items_in_batch is None else num_items_in_batch
        loss: torch.Tensor = summed / torch.as_tensor(items).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the ranks' gradients are averaged
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The Trainer calls this once per step, before the update: without DeepSpeed, the last chance to skip it."""
        if not self.is_deepspeed_enabled:
            self._judge_loss()
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None:
            self.guard.judge_gradient(self.state.global_step + 1, float(norm))
        if self.guard.leave_out and not self.is_deepspeed_enabled:
            self.optimizer.zero_grad(set_to_none=True)  # an optimizer skips parameters without a gradient
        self.guard.end_step()
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """On all ranks: adds the counts since the last call to the log, each metric as a mean over labels."""
        if self.loss is not None and self.model.training:
            names = sorted(self.sums)
            counted = [torch.as_tensor(self.tokens, dtype=torch.float64, device=self.args.device)]
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


def real_tokens(inputs: dict[str, Any]) -> torch.Tensor | int:
    """The tokens of a micro batch without padding (packed rows have none). A number on a GPU stays there."""
    mask = inputs.get("attention_mask")
    tokens: torch.Tensor | int = mask.sum() if mask is not None else inputs["input_ids"].numel()
    return tokens


def uncollated(examples: Any) -> dict[str, Any]:
    """A batch that holds uncollated examples."""
    return {"examples": examples}


def is_filler(example: dict[str, Any]) -> bool:
    return list(example["seq_lengths"]) == [1]
