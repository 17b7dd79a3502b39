"""The loss section: what goes together, and what a teacher may be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from recipes.loss import DistillLoss, LossSection, NllLoss, TeacherSection

SECTION: TypeAdapter[Any] = TypeAdapter(LossSection)


def test_the_name_decides_the_section() -> None:
    assert [type(SECTION.validate_python({"name": name})) for name in ("nll", "distill")] == [NllLoss, DistillLoss]


def test_unpruned_names_the_teacher_that_is_the_default() -> None:
    assert DistillLoss.model_validate({"name": "distill", "teacher": "unpruned"}).teacher == TeacherSection()


def test_a_fifth_of_the_tokens_count_where_no_share_is_given() -> None:
    assert DistillLoss(name="distill", tokens="entropy").entropy_share == 0.2


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"weight": 0}, "weight=0 leaves the likelihood alone, so nll_weight must be 1, got 0"),
        ({"share": 0.5}, "share=0.5 belongs to tokens=entropy, got tokens=all"),
        (
            {"teacher": {"logits": "d"}, "divergence": "jsd"},
            "divergence=jsd: stored logits hold only the teacher's likeliest",
        ),
        ({"teacher": {"logits": "d", "zero": True}}, "logits=d loads no teacher, so zero=true has no effect"),
        ({"teacher": {"offload": "cpu", "weights": "8bit"}}, "weights=8bit and offload=cpu do not go together"),
        ({"temperature": 0}, "greater than 0"),
        ({"teacher": "pruned"}, "valid dictionary"),
        ({"divergence": "kl"}, "'forward_kl', 'reverse_kl' or 'jsd'"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DistillLoss.model_validate({"name": "distill", **keys})
