"""The divergence from stored distributions: by hand, against autograd, and against the whole divergence."""

from __future__ import annotations

import math

import pytest
import torch

from train.loss.head import Head
from train.loss.stored import stored_divergence

POSITIONS, HIDDEN, VOCABULARY = 5, 6, 11


def states(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """hidden [5, 6], weight [11, 6], bias [11], all with gradients."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((POSITIONS, HIDDEN), (VOCABULARY, HIDDEN), (VOCABULARY,))
    return tuple(torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)  # type: ignore[return-value]


def stored(logs: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k likeliest tokens of log-probabilities, and their logarithms with that of all the others."""
    own, ids = logs.topk(k, -1)
    return ids.int(), torch.cat([own, (1 - own.exp().sum(-1, keepdim=True)).clamp(min=0).log()], -1)


def cells(logs: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    own = logs.gather(-1, ids.long())
    return torch.cat([own, torch.log1p(-own.exp().sum(-1, keepdim=True))], -1)


def test_two_stored_tokens_by_hand() -> None:
    """The student gives 1/2, 1/4, 1/8, 1/8; the teacher 1/4, 1/2 and 1/4 to the others."""
    hidden, weight = torch.tensor([[1.0]]), torch.tensor([[0.5], [0.25], [0.125], [0.125]]).log()
    taught = torch.tensor([[0.25, 0.5, 0.25]]).log()
    found = stored_divergence(hidden, Head(weight, None, None, 1.0), torch.tensor([[0, 1]]), taught, 1.0)
    assert float(found) == pytest.approx(0.25 * math.log(0.5) + 0.5 * math.log(2) + 0.25 * math.log(1))


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("k", [1, 4, VOCABULARY - 1])
def test_values_and_gradients_are_those_of_autograd(k: int, softcap: float | None) -> None:
    hidden, weight, bias = states()
    ids, taught = stored(
        torch.randn(POSITIONS, VOCABULARY, generator=torch.Generator().manual_seed(7)).log_softmax(-1), k
    )
    factors = torch.arange(POSITIONS) + 0.5
    found = stored_divergence(hidden, Head(weight, bias, softcap, 1.5), ids, taught, 2.0)
    (found * factors).sum().backward()
    ours = [tensor.grad.clone() for tensor in (hidden, weight, bias) if tensor.grad is not None]
    for tensor in (hidden, weight, bias):
        tensor.grad = None
    logits = (hidden @ weight.T + bias) * 1.5
    capped = logits if softcap is None else softcap * torch.tanh(logits / softcap)
    expected = (taught.exp() * (taught - cells((capped / 2.0).log_softmax(-1), ids))).sum(-1)
    (expected * factors).sum().backward()
    torch.testing.assert_close(found, expected)
    for one, tensor in zip(ours, (hidden, weight, bias), strict=True):
        torch.testing.assert_close(one, tensor.grad, rtol=1e-4, atol=1e-6)


def test_it_is_never_more_than_the_whole_divergence_and_all_of_it_where_all_is_stored() -> None:
    hidden, weight, bias = states()
    logs = (hidden @ weight.T + bias).log_softmax(-1).detach()
    taught = torch.randn(POSITIONS, VOCABULARY, generator=torch.Generator().manual_seed(7)).log_softmax(-1)
    whole = (taught.exp() * (taught - logs)).sum(-1)
    head = Head(weight, bias, None, 1.0)
    by_k = [stored_divergence(hidden, head, *stored(taught, k), 1.0).detach() for k in (2, 5, VOCABULARY - 1)]
    assert all(bool((found <= whole + 1e-5).all()) for found in by_k)
    torch.testing.assert_close(by_k[-1], whole)


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_sixty_four_tokens_of_a_large_vocabulary_give_nearly_the_whole_gradient(noise: float) -> None:
    """By logits: a Zipf-like teacher whose 64 likeliest tokens have nine tenths of the mass, a student beside it."""
    generator, size = torch.Generator().manual_seed(1), 151_936
    teacher = (-1.5 * torch.arange(1, size + 1).log()).log_softmax(-1)
    logits = (teacher + noise * torch.randn(size, generator=generator)).requires_grad_()
    ids, taught = stored(teacher[None], 64)
    head = Head(torch.zeros(size, 1), logits, None, 1.0)
    stored_divergence(torch.zeros(1, 1), head, ids, taught.half(), 1.0).sum().backward()
    whole = logits.detach().softmax(-1) - teacher.exp()
    assert logits.grad is not None and 0.9 < float(taught[0, :64].exp().sum()) < 0.91
    assert float(torch.cosine_similarity(logits.grad, whole, dim=0)) >= 0.999


def test_a_token_without_any_mass_adds_nothing() -> None:
    hidden, weight, bias = states()
    ids = torch.tensor([[0, 1]] * POSITIONS)
    taught = torch.tensor([[0.0, -math.inf, -math.inf]] * POSITIONS)  # all mass on token 0
    found = stored_divergence(hidden, Head(weight, bias, None, 1.0), ids, taught, 1.0)
    torch.testing.assert_close(found, -(hidden @ weight.T + bias).log_softmax(-1)[:, 0])
    found.sum().backward()
    assert hidden.grad is not None and bool(hidden.grad.isfinite().all())
