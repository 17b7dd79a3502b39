"""What DeepSpeed would refuse or ignore in a user's own JSON is named, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from train.own_zero import faults


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"zero_optimisation": {}}, ["zero_optimisation is not a key of DeepSpeed", "did you mean zero_optimization?"]),
        (
            {"zero_optimization": {"reduce_bucket": 7}},
            ["zero_optimization.reduce_bucket is not a key of DeepSpeed", "did you mean reduce_bucket_size?"],
        ),
        ({"zero_optimization": {"overlap_comm": 7}}, ["zero_optimization.overlap_comm=7", "bool"]),
        ({"optimizer": {"type": "AdamWW"}}, ["optimizer.type=AdamWW is neither", "AdamW"]),
        ({"optimizer": {}}, ["optimizer.type=null must name an optimizer"]),
        ({"aio": 5}, ["aio=5 must be a JSON object"]),
    ],
)
def test_what_deepspeed_would_refuse_or_ignore_is_named(config: dict[str, Any], words: list[str]) -> None:
    (fault,) = faults(config)
    assert [word for word in words if word not in fault] == []


@pytest.mark.parametrize(
    "config",
    [
        {"_remark": "ours", "optimizer": {"type": "adamw"}},
        {"optimizer": {"type": "NAdam"}},
        {"zero_optimization": {"stage": "auto"}},
    ],
)
def test_remarks_and_the_optimizers_of_torch_and_deepspeed_pass(config: dict[str, Any]) -> None:
    assert list(faults(config)) == []


def test_every_fault_is_named_at_once() -> None:
    assert len(list(faults({"aio": 5, "seeed": 1, "optimizer": {"type": 3}}))) == 3
