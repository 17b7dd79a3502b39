"""How a teacher is loaded."""

from __future__ import annotations

import torch

from recipes.loss import TeacherSection
from recipes.schema import ModelSection
from tests.train.runs import MODEL
from train.teachers import inference_config, open_teacher

SECTION = ModelSection(unpruned=str(MODEL), pruned=str(MODEL))


def test_a_whole_teacher_is_the_unpruned_model_frozen_in_evaluation_mode() -> None:
    teacher = open_teacher(TeacherSection(), SECTION)(torch.device("cpu"))
    assert not teacher.model.training and teacher.offloaded_from is None and teacher.wrapper is None
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())


def test_an_engine_that_only_reads_has_no_optimizer() -> None:
    training = {
        "optimizer": {"type": "AdamW"},
        "scheduler": {},
        "bf16": {"enabled": True},
        "train_micro_batch_size_per_gpu": 8,
        "zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu"}, "offload_param": {"device": "cpu"}},
    }
    assert inference_config(training) == {
        "train_micro_batch_size_per_gpu": 1,
        "bf16": {"enabled": True},
        "zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}},
    }
