"""The gate's comparisons on values worked out by hand, and on models that differ by one thing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from recipes.errors import UserError
from train.gate import (
    Closeness,
    cast,
    check_cast,
    check_close,
    check_finite,
    check_same_weights,
    closeness,
    digests,
    logits_on,
    read_back,
    witness,
)
from train.probes import Probes

TINY = LlamaConfig(
    vocab_size=32,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=256,
)
PROBES = Probes(torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[7, 8, 9, 10]]))


@pytest.fixture
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    made: PreTrainedModel = AutoModelForCausalLM.from_config(TINY).eval()
    return made


def logits(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([rows])


def test_the_difference_is_in_standard_deviations() -> None:
    expected = logits([0.0, 2.0], [0.0, 2.0])  # standard deviation 2 / sqrt(3) of four numbers
    assert closeness([expected], [expected + 1]).difference == pytest.approx(math.sqrt(3) / 2)


def test_the_divergence_is_the_mean_over_positions() -> None:
    even, odd = [0.0, 0.0], [math.log(3), 0.0]  # 1/2 and 1/2 against 3/4 and 1/4
    by_hand = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert closeness([logits(even, odd)], [logits(odd, odd)]).kl == pytest.approx(by_hand / 2)


def test_the_agreement_is_of_the_likeliest_token() -> None:
    assert closeness([logits([0, 1], [1, 0.0])], [logits([0, 2], [0, 3.0])]).agreement == 0.5


def test_a_difference_that_is_no_number_stays_one() -> None:
    broken = [logits([math.nan, 1.0]), logits([0.0, 1.0])]
    assert math.isnan(closeness([logits([0.0, 1.0])] * 2, broken).difference)


def test_the_greedy_continuation_is_that_of_generate(model: PreTrainedModel) -> None:
    model.generation_config.eos_token_id = None
    generated = model.generate(PROBES.prompts, max_new_tokens=64, do_sample=False)
    assert torch.equal(witness(model, PROBES).sequences[1], generated)


def test_the_logits_of_a_continuation_foretell_its_tokens(model: PreTrainedModel) -> None:
    seen = witness(model, PROBES)
    assert torch.equal(seen.logits[1].argmax(-1), seen.sequences[1][:, -64:])


def test_without_prompts_there_are_random_tokens_alone(model: PreTrainedModel) -> None:
    assert [logits.shape for logits in witness(model, Probes(None, PROBES.random)).logits] == [(1, 4, 32)]


def test_a_cast_leaves_the_rotary_frequencies_in_float32(model: PreTrainedModel) -> None:
    cast(model, torch.bfloat16)
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}


def test_digests_foretell_the_cast(model: PreTrainedModel) -> None:
    foretold = digests(model, torch.bfloat16)
    cast(model, torch.bfloat16)
    assert digests(model, torch.bfloat16) == foretold


def test_a_weight_that_is_not_finite_is_refused_by_name(model: PreTrainedModel) -> None:
    model.model.norm.weight.data[3] = math.inf
    with pytest.raises(
        UserError, match=r"the export hold numbers that are not finite, the first is model\.norm\.weight"
    ):
        check_finite(model, "the export")


def test_one_bit_of_one_weight_is_found(model: PreTrainedModel, tmp_path: Path) -> None:
    expected = digests(model, torch.float32)
    model.model.norm.weight.data[3] += 2**-20
    with pytest.raises(UserError, match=r"1 of 21 tensors read back .* first is model\.norm\.weight"):
        check_same_weights(expected, model, torch.float32, tmp_path)


def test_what_is_read_back_gives_the_same_logits(model: PreTrainedModel, tmp_path: Path) -> None:
    with torch.no_grad():
        seen = witness(model, PROBES)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        logits = logits_on(read_back(tmp_path, "float32", False), seen)
    assert closeness(seen.logits, logits) == Closeness(0.0, 0.0, 1.0)


def test_a_tensor_that_is_not_in_the_folder_is_refused(model: PreTrainedModel, tmp_path: Path) -> None:
    state = model.state_dict()
    del state["model.layers.1.mlp.up_proj.weight"]
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(UserError, match=r"1 missing keys, the first is model\.layers\.1\.mlp\.up_proj\.weight"):
        read_back(tmp_path, "float32", False)


@pytest.mark.parametrize("difference", [0.0011, math.nan])
def test_logits_that_differ_too_much_are_refused(difference: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"more than export\.tolerance=0\.001"):
        check_close(difference, 1e-3, "after the merge from the trained model's", tmp_path)


@pytest.mark.parametrize("kl", [0.11, math.nan])
def test_a_cast_that_changes_the_model_is_refused(kl: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"use export\.dtype=float32"):
        check_cast(Closeness(1.0, kl, 0.5), "bfloat16", tmp_path)
