"""The zero section: which stages and places go together."""

from __future__ import annotations

from typing import Any

import pytest

from recipes.zero import ZeroSection


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"stage": 2, "offload_optimizer": "nvme", "nvme_dir": "x"}, "offload_optimizer=nvme needs stage=3"),
        ({"stage": 3, "offload_optimizer": "nvme"}, "needs nvme_dir"),
        ({"stage": 2, "offload_parameters": "cpu"}, "offload_parameters=cpu needs stage=3, got stage=2"),
        ({"stage": 0, "offload_optimizer": "cpu"}, "offload_optimizer=cpu needs stage 1, 2 or 3"),
        ({"stage": 0, "config": "x.json"}, "config=x.json needs"),
    ],
)
def test_what_cannot_be_is_refused_in_the_recipe(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ZeroSection(**fields)


def test_all_of_it_may_lie_on_a_disk() -> None:
    section = ZeroSection(stage=3, offload_optimizer="nvme", offload_parameters="nvme", nvme_dir="disk")
    assert str(section.nvme_dir) == "disk"
