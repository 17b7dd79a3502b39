"""The gradient of the token-weighted mean loss over all traces of a recipe, by plain torch: no trainer, no padding."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from data_prep.models import load_tokenizer
from data_prep.prepared.prepare import prepare
from data_prep.tokens.prompts import think_format
from recipes.schema import Recipe


def gradient_by_hand(recipe: Recipe, pruned: Path) -> dict[str, torch.Tensor]:
    """d(mean)/d(parameter) by name, every trace forward and backward by itself."""
    tokenizer = load_tokenizer(str(pruned), recipe.model)
    prepared = prepare(recipe.data, tokenizer, think_format(recipe.data.format, tokenizer))
    model = AutoModelForCausalLM.from_pretrained(pruned, dtype=torch.float32)
    labelled = 0
    for row in prepared.rows:
        wanted = torch.tensor(row.labels)[1:]
        kept = wanted != -100
        chances = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1].log_softmax(-1)
        (-chances[kept, wanted[kept]].sum()).backward()
        labelled += int(kept.sum())
    return {name: parameter.grad / labelled for name, parameter in model.named_parameters()}
