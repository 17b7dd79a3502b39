"""What the model writes after prompts, against its own argmax taken token by token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.models import load_model, load_tokenizer
from data_prep.tokens.tokenize import IGNORED, Row
from prune.own_thoughts import own_thoughts, prompt_of
from recipes.prune import OwnThoughtsCalibration
from recipes.schema import ModelSection

ROWS = [Row("a", [5, 6, 7, 9, 9], [IGNORED] * 3 + [9, 9]), Row("b", [8, 4, 4], [IGNORED, 4, 4])]


@pytest.fixture(scope="module")
def tokenizer(unpruned: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(unpruned), ModelSection(unpruned=str(unpruned)))


@pytest.fixture(scope="module")
def model(unpruned: Path) -> PreTrainedModel:
    model = load_model(str(unpruned), ModelSection(unpruned=str(unpruned))).eval()
    model.generation_config.update(top_k=1, repetition_penalty=5.0)  # which must not count here
    return model


def section(**keys: float) -> OwnThoughtsCalibration:
    return OwnThoughtsCalibration.model_validate({"source": "own_thoughts", "max_tokens": 6, **keys})


def likeliest(model: PreTrainedModel, prompt: list[int], stop: int) -> list[int]:
    ids = list(prompt)
    while len(ids) < len(prompt) + 6 and ids[-1] != stop:
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_the_likeliest_tokens_follow_the_prompt(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    written = own_thoughts(section(), ROWS, model, tokenizer)
    for row, prompt in zip(written.rows, ([5, 6, 7], [8]), strict=True):
        thought = likeliest(model, prompt, tokenizer.eos_token_id)
        assert (row.input_ids, row.labels) == (prompt + thought, [IGNORED] * len(prompt) + thought)


def test_thoughts_that_end_by_themselves_are_counted(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    ending = sum(
        row.input_ids[-1] == tokenizer.eos_token_id for row in own_thoughts(section(), ROWS, model, tokenizer).rows
    )
    assert own_thoughts(section(), ROWS, model, tokenizer).facts == {"thoughts_ended": ending}


def test_sampling_depends_on_its_seed_alone_and_moves_no_other(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    state = torch.get_rng_state()
    first, again, other = (
        [row.input_ids for row in own_thoughts(section(temperature=2.0, seed=seed), ROWS, model, tokenizer).rows]
        for seed in (1, 1, 2)
    )
    assert (first == again, first == other, torch.get_rng_state().equal(state)) == (True, False, True)


def test_a_prompt_is_what_is_not_learned() -> None:
    assert [prompt_of(row) for row in ROWS] == [[5, 6, 7], [8]]
