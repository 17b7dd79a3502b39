"""The `wandb` section, and the trackers beside it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.tracking import WandbSection, other_trackers, report_to_fault


@pytest.mark.parametrize("tag", ["", "x" * 65])
def test_a_tag_that_wandb_would_not_take_is_refused(tag: str) -> None:
    with pytest.raises(ValidationError, match="at (least 1|most 64) character"):
        WandbSection(tags=[tag])


def test_nothing_is_uploaded_unless_the_recipe_says_so() -> None:
    assert WandbSection().artifacts == "none"


@pytest.mark.parametrize(
    ("report_to", "names"),
    [
        (None, []),
        ("none", []),
        ("wandb", []),
        ("mlflow", ["mlflow"]),
        (["wandb", "tensorboard", "trackio"], ["tensorboard", "trackio"]),
    ],
)
def test_the_trackers_beside_wandb(report_to: Any, names: list[str]) -> None:
    assert (other_trackers(report_to), report_to_fault(report_to)) == (names, None)


@pytest.mark.parametrize("report_to", ["all", "comet_ml", ["tensorboard", "all"]])
def test_a_tracker_that_is_not_offered_is_named_with_those_that_are(report_to: Any) -> None:
    assert str(report_to_fault(report_to)).startswith("allowed: tensorboard, trackio, mlflow or a list of them")
