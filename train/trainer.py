"""The trainer of a run: TRL's, with the loss of labelled positions alone, and counts that are gathered when logged."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel

from train.loss.labelled import can_take_labelled, take_labelled
from train.order import EpochTrainer


class RecoveryTrainer(EpochTrainer):
    """What TRL computes otherwise (dft, smoothed labels, losses of routers, sequences on several ranks) stays as it is.

    TRL gathers three numbers from all ranks at every micro batch; here they are summed and gathered when they are
    logged, so that the accuracy is that of all tokens since the row before.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        base = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        self.labelled_loss = (
            self.args.loss_type == "nll"
            and self.label_smoother is None
            and not self.aux_loss_enabled
            and self.accelerator.parallelism_config is None
            and can_take_labelled(base, self.args.device)
        )
        if self.labelled_loss:
            take_labelled(base)
        self.counts = torch.zeros(3, dtype=torch.int64)  # labelled tokens, right ones, all without padding

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The token-weighted mean over the whole global batch, as TRL's."""
        if not (self.labelled_loss and self.model.training) or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        found = model(**inputs, use_cache=False, labelled_loss=True)
        self.counts += torch.stack([found.labelled, found.correct, torch.as_tensor(real_tokens(inputs))])
        items = found.labelled if num_items_in_batch is None else num_items_in_batch
        loss = found.loss / torch.as_tensor(items).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the ranks' gradients are averaged
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """On all ranks: what was counted since the last time goes with the rest."""
        if self.labelled_loss and self.model.training:
            labelled, correct, tokens = self.accelerator.gather(self.counts[None]).sum(0).tolist()
            self.counts.zero_()
            self._total_train_tokens += tokens
            self._metrics["train"] |= {"num_tokens": [self._total_train_tokens]}
            if labelled:
                self._metrics["train"] |= {"mean_token_accuracy": [correct / labelled]}
        super().log(logs, start_time)


def real_tokens(inputs: dict[str, Any]) -> int:
    """The tokens of a micro batch without padding; packed rows have none."""
    mask = inputs.get("attention_mask")
    return int(mask.sum()) if mask is not None else int(inputs["input_ids"].numel())
