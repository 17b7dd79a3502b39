"""The repair of a cut, against a Llama written out in numpy and its lstsq."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3MoeConfig

from prune.gaps import RIDGE, check_gaps, check_repair, gaps_of, repair_gaps
from prune.methods.method import Batches
from recipes.errors import UserError
from recipes.prune import LaCoPrune, LayersPrune, PruneSection, ShortGPTPrune, TailPrune
from tests.prune.models import SHAPE, build

Array = NDArray[np.float64]

# one head, so that the attention below is short
LLAMA = LlamaConfig(**{**SHAPE, "num_attention_heads": 1, "head_dim": 16, "attention_bias": False})
REMOVED = (1, 4, 5)
LENGTHS = (11, 7, 9)


def llama() -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(LLAMA).eval()


def texts() -> list[list[int]]:
    """Enough tokens to determine a map: 3 lengths, 12 times."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(4, 53, (length,), generator=generator).tolist() for length in LENGTHS * 12]


def batches() -> Batches:
    """The texts in threes, right-padded with a token that would matter."""
    found = []
    for start in range(0, len(texts()), 3):
        rows = texts()[start : start + 3]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [7] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        found.append({"input_ids": ids, "attention_mask": mask, "labels": ids})
    return found


class Written:
    """A Llama of one head, from its equations, in float64."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def of(self, layer: int, name: str) -> Array:
        return self.weights[f"model.layers.{layer}.{name}.weight"]

    def norm(self, x: Array, layer: int, name: str) -> Array:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + LLAMA.rms_norm_eps) * self.of(layer, name)

    def attention(self, x: Array, layer: int) -> Array:
        q, k, v = (x @ self.of(layer, f"self_attn.{name}_proj").T for name in "qkv")
        scores = rotated(q) @ rotated(k).T / np.sqrt(16)
        scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        return shares / shares.sum(-1, keepdims=True) @ v @ self.of(layer, "self_attn.o_proj").T

    def layer(self, x: Array, layer: int) -> tuple[Array, Array]:
        """Y and C: the stream without what the layer's MLP gives, and that."""
        x = x + self.attention(self.norm(x, layer, "input_layernorm"), layer)
        inner = self.norm(x, layer, "post_attention_layernorm")
        gate, up = (inner @ self.of(layer, f"mlp.{name}_proj").T for name in ("gate", "up"))
        return x, gate / (1 + np.exp(-gate)) * up @ self.of(layer, "mlp.down_proj").T

    def run(self, ids: list[int], layers: list[int]) -> tuple[Array, Array]:
        """Y and C of the last of `layers`."""
        without, given = np.zeros((1, 1)), self.weights["model.embed_tokens.weight"][ids]
        for layer in layers:
            without, given = self.layer(without + given, layer)
        return without, given


def rotated(x: Array) -> Array:
    angles = np.arange(len(x))[:, None] / 10000 ** (np.arange(0, 16, 2) / 16)[None]
    cos, sin, (first, second) = np.cos(angles), np.sin(angles), (x[:, :8], x[:, 8:])
    return np.hstack([first * cos - second * sin, second * cos + first * sin])


def by_hand() -> tuple[dict[int, Array], list[tuple[float, float]]]:
    """The down projections that a repair gives, and the errors before and after: gap (1,), then gap (4, 5)."""
    model, before, weights, errors = Written(llama()), Written(llama()), {}, []
    for kept, last in (([0], 1), ([0, 2, 3], 5)):
        ours = [model.run(ids, kept) for ids in texts()]
        without, given = (np.vstack(each) for each in zip(*ours, strict=True))
        state = np.vstack([sum(before.run(ids, list(range(last + 1)))) for ids in texts()])
        size = np.linalg.norm(state, axis=1, keepdims=True)
        without, given, state = without / size, given / size, state / size
        root = np.sqrt(RIDGE * (given**2).sum() / 16) * np.eye(16)
        linear_map = np.linalg.lstsq(np.vstack([given, root]), np.vstack([state - without, root]), rcond=None)[0]
        length = np.sqrt(len(state))
        errors.append(
            (
                float(np.linalg.norm(without + given - state) / length),
                float(np.linalg.norm(without + given @ linear_map - state) / length),
            )
        )
        name = f"model.layers.{kept[-1]}.mlp.down_proj.weight"
        weights[kept[-1]] = model.weights[name] = linear_map.T @ model.weights[name]
    return weights, errors


def test_the_weights_are_those_of_lstsq_on_a_model_written_out() -> None:
    model = llama()
    repair_gaps(model, REMOVED, batches())
    for layer, expected in by_hand()[0].items():
        found = model.model.layers[layer].mlp.down_proj.weight.detach().double().numpy()
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_plan_is_told_the_errors_of_each_gap() -> None:
    repairs = repair_gaps(llama(), REMOVED, batches())
    assert [(each.layer, each.removed, each.tokens) for each in repairs] == [(0, (1,), 324), (3, (4, 5), 324)]
    found = [(each.error_before, each.error_after) for each in repairs]
    assert np.allclose(found, by_hand()[1], rtol=1e-4)


def test_a_repair_brings_the_stream_nearer() -> None:
    assert all(each.error_after < each.error_before for each in repair_gaps(llama(), REMOVED, batches()))


def test_only_the_projections_before_the_gaps_change() -> None:
    model, before = llama(), llama().state_dict()
    repair_gaps(model, REMOVED, batches())
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == [f"model.layers.{i}.mlp.down_proj.weight" for i in (0, 3)]


def test_a_gap_at_the_first_layer_is_refused() -> None:
    with pytest.raises(UserError, match=r"layers \[0, 1\] are removed, and there is no MLP before layer 0"):
        check_gaps((1, 0, 4))


def test_a_gap_that_a_method_chose_at_the_first_layer_is_refused() -> None:
    with pytest.raises(UserError, match="keep layer 0 or set prune.repair=none"):
        repair_gaps(llama(), (0,), batches())


def test_what_only_running_the_layer_tells_is_refused() -> None:
    model = llama()
    model.model.layers[1].mlp.register_forward_hook(lambda _mlp, _arguments, output: output / output.norm())
    with pytest.raises(UserError, match="'llama': its MLP's output does not reach the residual stream unchanged"):
        repair_gaps(model, (2,), batches())


@pytest.mark.parametrize(
    ("removed", "gaps"),
    [((5, 2, 6), [(2,), (5, 6)]), ((3,), [(3,)]), ((), []), (range(2, 5), [(2, 3, 4)])],
)
def test_neighbours_are_one_gap(removed: tuple[int, ...], gaps: list[tuple[int, ...]]) -> None:
    assert gaps_of(removed) == gaps


EXPERTS = Qwen3MoeConfig(**SHAPE, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, mlp_only_layers=[2])
DENSE = Qwen3Config(**SHAPE)


@pytest.mark.parametrize(
    ("section", "config", "told"),
    [
        (TailPrune(method="tail", layers=2, repair="linear"), EXPERTS, "'qwen3_moe'.*mixture of experts"),
        (LayersPrune(method="layers", remove=[3, 5], repair="linear"), EXPERTS, "mixture of experts"),
        (TailPrune(method="tail", layers=2, repair="linear"), build("gemma3").config, "'gemma3_text'"),
        (ShortGPTPrune(method="shortgpt", layers=2, repair="linear"), build("gemma2").config, "'gemma2'"),
        (LayersPrune(method="layers", remove=[0], repair="linear"), DENSE, "before layer 0"),
    ],
)
def test_what_configs_tell_is_refused_before_weights(section: PruneSection, config: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_repair(section, config, trust_remote_code=False)


@pytest.mark.parametrize(
    ("section", "config"),
    [
        (LayersPrune(method="layers", remove=[3, 4], repair="linear"), EXPERTS),  # after the one dense layer
        (ShortGPTPrune(method="shortgpt", layers=2, repair="linear"), EXPERTS),  # which may choose so
        (TailPrune(method="tail", layers=2, repair="linear"), DENSE),
        (TailPrune(method="tail", layers=2), EXPERTS),
        (LaCoPrune(method="laco"), EXPERTS),
    ],
)
def test_what_may_fold_is_let_through(section: PruneSection, config: Any) -> None:
    check_repair(section, config, trust_remote_code=False)
