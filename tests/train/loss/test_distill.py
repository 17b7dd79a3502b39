"""The divergence of a teacher against the plain formula on whole logits: values, gradients, weights of tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from recipes.loss import DistillLoss
from tests.prune.models import TOKENS, build
from tests.train.loss.losses import LABELLED, LABELS, gradients, worst
from train.loss.base import inside_forward
from train.loss.choose import likelihood_of
from train.loss.distill import Distillation
from train.loss.positions import TOKEN_WEIGHTS
from train.loss.teacher import Teacher

BATCH = {"input_ids": TOKENS, "labels": LABELS}


def section(**keys: Any) -> DistillLoss:
    return DistillLoss(name="distill", **keys)


def pair(family: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    """(student, teacher): a teacher that thinks nearly as its student does."""
    student, teacher = build(family), build(family)
    generator = torch.Generator().manual_seed(1)
    near = {
        name: tensor + 0.05 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in student.state_dict().items()
    }
    teacher.load_state_dict(near)
    return student.eval(), teacher.eval().requires_grad_(False)


def plain(divergence: str, own: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """[positions], from log-probabilities [positions, vocabulary] of student and teacher."""
    if divergence == "forward_kl":
        return (taught.exp() * (taught - own)).sum(-1)
    if divergence == "reverse_kl":
        return (own.exp() * (own - taught)).sum(-1)
    middle = ((own.exp() + taught.exp()) / 2).log()
    return ((own.exp() * (own - middle)).sum(-1) + (taught.exp() * (taught - middle)).sum(-1)) / 2


def plain_loss(student: PreTrainedModel, teacher: PreTrainedModel, section: DistillLoss) -> torch.Tensor:
    wanted = LABELS[:, 1:] != -100
    own, taught = (
        model(input_ids=TOKENS, use_cache=False).logits[:, :-1][wanted] for model in (student, teacher)
    )  # each [labelled, vocabulary]
    heated = [(logits / section.temperature).log_softmax(-1) for logits in (own, taught)]
    likelihood = cross_entropy(own, LABELS[:, 1:][wanted], reduction="sum")
    divergence = plain(section.divergence, *heated).sum()
    return section.weight * section.temperature**2 * divergence + section.nll_weight * likelihood


def taken(loss: Distillation, model: PreTrainedModel, **more: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    return inside_forward(model, model, loss, {**BATCH, **more})


@pytest.mark.parametrize("family", ["qwen3", "gemma2"])  # a plain head, and one with a soft cap
@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "jsd"])
def test_loss_and_gradient_are_those_of_the_plain_formula(family: str, divergence: str) -> None:
    student, teacher = pair(family)
    wanted = section(divergence=divergence, temperature=2.0, weight=0.7, nll_weight=0.3)
    loss, _ = taken(Distillation(wanted, Teacher(teacher), likelihood_of(student, torch.device("cpu"))), student)
    loss.backward()
    found = gradients(student)
    expected = plain_loss(student, teacher, wanted)
    expected.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert worst(found, gradients(student)) < 1e-5


@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "jsd"])
def test_a_teacher_that_is_the_student_has_nothing_to_say(divergence: str) -> None:
    student = build("qwen3").eval()
    loss, _ = taken(Distillation(section(divergence=divergence), Teacher(student), None), student)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)


def test_tokens_count_by_their_weights() -> None:
    student, teacher = pair("qwen3")
    loss = Distillation(section(), Teacher(teacher), None)
    one_by_one = [taken(loss, student, **{TOKEN_WEIGHTS: weights})[0].detach() for weights in torch.eye(LABELLED)]
    weights = torch.arange(LABELLED) / 3
    together = taken(loss, student, **{TOKEN_WEIGHTS: weights})[0].detach()
    assert float(together) == pytest.approx(float((torch.stack(one_by_one) * weights).sum()), rel=1e-5)


def test_what_is_logged_is_the_divergence_as_it_is_without_weights() -> None:
    student, teacher = pair("qwen3")
    loss = Distillation(section(weight=5.0), Teacher(teacher), None)
    _, metrics = taken(loss, student, **{TOKEN_WEIGHTS: torch.zeros(LABELLED)})
    expected = plain_loss(student, teacher, section()).detach()
    assert float(metrics["divergence"]) == pytest.approx(float(expected), rel=1e-5)
    assert int(metrics["labelled"]) == LABELLED


def test_the_teacher_gets_no_gradient_and_does_not_change() -> None:
    student, teacher = pair("qwen3")
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    taken(Distillation(section(), Teacher(teacher), None), student)[0].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_a_batch_without_labels_gives_no_loss_and_no_gradient() -> None:
    student, teacher = pair("qwen3")
    batch = {"input_ids": TOKENS, "labels": torch.full_like(LABELS, -100)}
    loss, _ = inside_forward(student, student, Distillation(section(), Teacher(teacher), None), batch)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not any(bool(gradient.any()) for gradient in gradients(student).values())
