"""Cuts of models whose layers differ in kind: experts in some layers only, and hybrids of attention and other states.

The cut model is held against the uncut one with the removed layers bypassed, which knows nothing of configs.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from prune.forward import measuring
from prune.inspect import check_folder
from prune.methods.perplexity import losses_without
from prune.plan import PrunePlan
from prune.surgery import apply_plan
from recipes.errors import UserError
from tests.prune.models import LAYERS, SHAPE, TOKENS

NO_HEAD_SIZE = {key: value for key, value in SHAPE.items() if key != "head_dim"}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "first_k_dense_replace": 2}
SHARED = {**EXPERTS, "shared_expert_intermediate_size": 8}
LATENT = {
    **NO_HEAD_SIZE,
    **ROUTED,
    **{"num_key_value_heads": 2, "q_lora_rank": 8, "kv_lora_rank": 8},
    **{"qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8},
}
LINEAR = {
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
    "layer_types": ["linear_attention", "full_attention"] * (LAYERS // 2),
}
MAMBA = {
    **{"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1},
    "layer_types": LINEAR["layer_types"],
}
LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 8}
CONV = ["conv", "full_attention"] * (LAYERS // 2)

Make = Callable[[], PreTrainedModel]
BUILDERS: dict[str, Make] = {
    "deepseek_v2": lambda: t.DeepseekV2ForCausalLM(t.DeepseekV2Config(**LATENT, n_shared_experts=1)),
    "deepseek_v3": lambda: t.DeepseekV3ForCausalLM(t.DeepseekV3Config(**LATENT, n_group=1, topk_group=1)),
    "glm4_moe": lambda: t.Glm4MoeForCausalLM(t.Glm4MoeConfig(**SHAPE, **ROUTED)),
    "qwen2_moe": lambda: t.Qwen2MoeForCausalLM(t.Qwen2MoeConfig(**NO_HEAD_SIZE, **SHARED, mlp_only_layers=[0])),
    "qwen3_moe": lambda: t.Qwen3MoeForCausalLM(t.Qwen3MoeConfig(**SHAPE, **EXPERTS, mlp_only_layers=[1, 4])),
    "qwen3_moe_by_step": lambda: t.Qwen3MoeForCausalLM(
        t.Qwen3MoeConfig(**SHAPE, **EXPERTS, decoder_sparse_step=2, mlp_only_layers=[3])
    ),
    "qwen3_next": lambda: t.Qwen3NextForCausalLM(t.Qwen3NextConfig(**SHAPE, **SHARED, **LINEAR, mlp_only_layers=[2])),
    "qwen3_5": lambda: t.Qwen3_5ForCausalLM(t.Qwen3_5TextConfig(**SHAPE, **LINEAR)),
    "lfm2": lambda: t.Lfm2ForCausalLM(t.Lfm2Config(**NO_HEAD_SIZE, full_attn_idxs=[1, 4])),
    "lfm2_moe": lambda: t.Lfm2MoeForCausalLM(
        t.Lfm2MoeConfig(**NO_HEAD_SIZE, **EXPERTS, num_dense_layers=2, layer_types=CONV)
    ),
    "granite_hybrid": lambda: t.GraniteMoeHybridForCausalLM(t.GraniteMoeHybridConfig(**NO_HEAD_SIZE, **LOCAL, **MAMBA)),
    "olmo_hybrid": lambda: t.OlmoHybridForCausalLM(t.OlmoHybridConfig(**SHAPE, layer_types=LINEAR["layer_types"])),
}


@pytest.fixture(scope="module", params=list(BUILDERS))
def uncut(request: pytest.FixtureRequest) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BUILDERS[request.param]().eval()


def without(uncut: PreTrainedModel, removed: tuple[int, ...]) -> PreTrainedModel:
    return apply_plan(deepcopy(uncut), PrunePlan(method="by hand", layers=LAYERS, removed=removed))


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        out: torch.Tensor = model(input_ids=TOKENS, use_cache=False).logits
    return out


def bypassed(uncut: PreTrainedModel, removed: tuple[int, ...]) -> torch.Tensor:
    """Logits of the uncut model, in which the removed layers give back what they are given."""

    def as_given(module: Any, given: Any, named: Any, out: Any) -> Any:
        hidden = given[0] if given else named["hidden_states"]
        return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

    handles = [uncut.model.layers[i].register_forward_hook(as_given, with_kwargs=True) for i in removed]
    try:
        return logits(uncut)
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("removed", [(4, 5), (1, 3), (0,)])
def test_a_cut_is_the_uncut_model_with_the_layers_bypassed(uncut: PreTrainedModel, removed: tuple[int, ...]) -> None:
    assert torch.equal(logits(without(uncut, removed)), bypassed(uncut, removed))


def test_a_reload_is_the_cut_model(uncut: PreTrainedModel, tmp_path: Path) -> None:
    cut = without(uncut, (1, 2))
    cut.save_pretrained(tmp_path)
    check_folder(tmp_path)
    loaded, report = t.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    # where a matrix lies in memory moves a product's last bit
    torch.testing.assert_close(logits(loaded.eval()), logits(cut), rtol=0, atol=1e-5)


def test_the_cache_of_a_cut_model_follows_its_layers(uncut: PreTrainedModel) -> None:
    cut = without(uncut, (0, 3))
    with torch.inference_mode():
        first = cut(input_ids=TOKENS[:, :-1], use_cache=True)
        last = cut(input_ids=TOKENS[:, -1:], past_key_values=first.past_key_values, use_cache=True).logits[:, -1]
    torch.testing.assert_close(last, logits(cut)[:, -1], rtol=0, atol=1e-4)


def test_the_loss_without_a_layer_is_that_of_the_cut_model(uncut: PreTrainedModel) -> None:
    batch = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS), "labels": TOKENS}
    with measuring(uncut):
        losses = losses_without(uncut, [batch], [TOKENS[:, 1:]], removed=[], block=2)
        expected = cross_entropy(logits(without(uncut, (2, 3)))[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    assert losses[2, 3] == pytest.approx(float(expected), rel=1e-5)


def test_a_config_that_does_not_take_a_cut_is_a_mistake_in_words() -> None:
    config = t.BambaConfig(**NO_HEAD_SIZE, **{k: v for k, v in MAMBA.items() if k != "layer_types"})
    config.attn_layer_indices = [1, 4]
    model = t.BambaForCausalLM(config)
    with pytest.raises(UserError, match="'bamba' cannot be cut so"):
        apply_plan(model, PrunePlan(method="by hand", layers=LAYERS, removed=(5,)))
