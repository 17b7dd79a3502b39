"""Which loss is computed how."""

from __future__ import annotations

import pytest
import torch

from recipes.loss import DistillLoss
from tests.prune.models import build
from train.loss.choose import DistillationOfRun, NegativeLogLikelihoodOfRun, StoredDistillationOfRun
from train.loss.distill import Distillation
from train.loss.fused import FusedLoss
from train.loss.teacher import Teacher
from train.loss.tiled import TiledLoss


@pytest.mark.parametrize(
    ("family", "device", "kind"),
    [("qwen3", "cpu", TiledLoss), ("gemma2", "cpu", FusedLoss), ("qwen3", "cuda", FusedLoss)],
)
def test_a_plain_head_on_a_cpu_goes_by_tiles(family: str, device: str, kind: type) -> None:
    assert type(NegativeLogLikelihoodOfRun().for_model(build(family), torch.device(device))) is kind


def test_it_needs_no_second_model() -> None:
    assert NegativeLogLikelihoodOfRun().facts() == {"name": "nll"}


def test_a_teacher_reads_packed_rows_as_its_student_does() -> None:
    student, teacher = build("qwen3"), build("qwen3")
    student.set_attn_implementation("eager")
    of_run = DistillationOfRun(DistillLoss(name="distill"), lambda device: Teacher(teacher), "sha256:1")
    loss = of_run.for_model(student, torch.device("cpu"))
    assert isinstance(loss, Distillation) and teacher.config._attn_implementation == "eager"


@pytest.mark.parametrize(("weight", "kind"), [(0.0, type(None)), (0.5, TiledLoss)])
def test_the_likelihood_is_computed_where_it_counts(weight: float, kind: type) -> None:
    section = DistillLoss(name="distill", nll_weight=weight)
    loss = DistillationOfRun(section, lambda device: Teacher(build("qwen3")), "").for_model(
        build("qwen3"), torch.device("cpu")
    )
    assert isinstance(loss, Distillation) and type(loss.likelihood) is kind


def test_a_run_is_another_one_with_another_teacher_but_not_with_weights_elsewhere() -> None:
    sections = [DistillLoss.model_validate({"name": "distill", "teacher": {"offload": to}}) for to in ("none", "cpu")]
    facts = [DistillationOfRun(each, lambda device: Teacher(build("qwen3")), "sha256:1").facts() for each in sections]
    assert facts[0] == facts[1] and facts[0]["teacher"] == "sha256:1"
    assert StoredDistillationOfRun(sections[0], {"teacher": "sha256:1"}, {}).facts() != facts[0]
