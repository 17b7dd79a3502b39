"""Linear layers of an evaluation by oneDNN: the same products, and nothing left behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eval.engines.cpu_linear import LARGE_WEIGHT, has_onednn, onednn_linears

needs_onednn = pytest.mark.skipif(not has_onednn(), reason="this torch has no oneDNN")


def products(layer: nn.Linear, states: torch.Tensor) -> tuple[torch.Tensor, list[str]]:
    """The layer's output inside the context, and the operators that made it."""
    with torch.no_grad(), onednn_linears(layer), torch.profiler.profile() as profile:
        output = layer(states)
    return output, [event.name for event in profile.events()]


def exact(layer: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    """The output in float64."""
    bias = 0 if layer.bias is None else layer.bias.double()
    return (states.double() @ layer.weight.double().T + bias).detach()


def large_layer(bias: bool = False) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(512, LARGE_WEIGHT // 512, bias=bias)


@needs_onednn
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 512), (3, 1, 512), (2, 7, 512)])
def test_a_large_weight_gives_the_exact_product(bias: bool, shape: tuple[int, ...]) -> None:
    layer, states = large_layer(bias), torch.randn(shape)
    torch.testing.assert_close(products(layer, states)[0].double(), exact(layer, states), rtol=1e-5, atol=1e-5)


@needs_onednn
def test_states_that_are_not_contiguous_give_the_exact_product() -> None:
    layer, states = large_layer(), torch.randn(4, 5, 512)[:, -1:]
    torch.testing.assert_close(products(layer, states)[0].double(), exact(layer, states), rtol=1e-5, atol=1e-5)


@needs_onednn
def test_a_weight_that_is_a_transposed_view_gives_the_exact_product() -> None:
    layer, states = large_layer(), torch.randn(4, 512)
    layer.weight = nn.Parameter(torch.randn(512, LARGE_WEIGHT // 512).T)
    torch.testing.assert_close(products(layer, states)[0].double(), exact(layer, states), rtol=1e-5, atol=1e-4)


@needs_onednn
def test_a_large_weight_goes_to_onednn() -> None:
    assert "mkldnn::_linear_pointwise" in products(large_layer(), torch.randn(1, 512))[1]


@needs_onednn
def test_many_rows_of_a_small_weight_go_to_onednn() -> None:
    assert "mkldnn::_linear_pointwise" in products(nn.Linear(64, 64), torch.randn(1024, 64))[1]


def test_few_rows_of_a_small_weight_stay() -> None:
    assert "mkldnn::_linear_pointwise" not in products(nn.Linear(64, 64), torch.randn(1023, 64))[1]


def test_other_dtypes_stay() -> None:
    layer = large_layer().to(torch.float64)
    assert "mkldnn::_linear_pointwise" not in products(layer, torch.randn(1, 512, dtype=torch.float64))[1]


def test_gradients_flow_where_they_are_wanted() -> None:
    layer, states = large_layer(), torch.randn(2, 512)
    with onednn_linears(layer):
        layer(states).sum().backward()
    torch.testing.assert_close(layer.weight.grad, states.sum(0).expand_as(layer.weight))


def test_weights_that_change_inside_are_read_anew() -> None:
    layer, states = large_layer(), torch.randn(2, 512)
    with torch.no_grad(), onednn_linears(layer):
        layer.weight.zero_()
        assert not layer(states).any()


def test_subclasses_keep_their_own_forward() -> None:
    class Doubled(nn.Linear):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(states)

    layer, states = Doubled(512, LARGE_WEIGHT // 512, bias=False), torch.ones(1, 512)
    with torch.no_grad(), onednn_linears(layer):
        torch.testing.assert_close(layer(states)[0], 2 * layer.weight.sum(1), rtol=1e-4, atol=1e-4)


def test_a_forward_that_something_else_replaced_is_left_as_it_is() -> None:
    layer = large_layer()
    layer.forward = lambda states: states  # type: ignore[method-assign]
    states = torch.randn(1, 512)
    with onednn_linears(layer):
        assert layer(states) is states


@pytest.mark.parametrize("fault", [None, RuntimeError])
def test_the_layers_own_forward_comes_back(fault: type[Exception] | None) -> None:
    layer = large_layer()
    try:
        with onednn_linears(layer):
            if fault:
                raise fault
    except RuntimeError:
        pass
    assert "forward" not in vars(layer)
