"""The gradients of mean losses over all traces of a recipe, by plain torch: no trainer, no padding, no kernels."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from data_prep.models import load_tokenizer
from data_prep.prepared.prepare import prepare
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Row
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


def distilled_by_hand(recipe: Recipe, pruned: Path) -> dict[str, torch.Tensor]:
    """The same of KL(unpruned || pruned), each token by its share of the mean divergence before training."""
    tokenizer = load_tokenizer(str(pruned), recipe.model)
    prepared = prepare(recipe.data, tokenizer, think_format(recipe.data.format, tokenizer))
    model = AutoModelForCausalLM.from_pretrained(pruned, dtype=torch.float32)
    teacher = AutoModelForCausalLM.from_pretrained(recipe.model.unpruned, dtype=torch.float32)

    def divergences(row: Row) -> torch.Tensor:
        kept, ids = torch.tensor(row.labels)[1:] != -100, torch.tensor([row.input_ids])
        own, taught = (each(input_ids=ids).logits[0, :-1][kept].log_softmax(-1) for each in (model, teacher))
        return (taught.detach().exp() * (taught.detach() - own)).sum(-1)  # [labelled]

    with torch.no_grad():
        mean = torch.cat([divergences(row) for row in prepared.rows]).mean()
    labelled = 0
    for row in prepared.rows:
        divergence = divergences(row)
        (divergence.detach() / mean * divergence).sum().backward()
        labelled += len(divergence)
    return {name: parameter.grad / labelled for name, parameter in model.named_parameters()}
