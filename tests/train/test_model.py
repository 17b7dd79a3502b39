"""The models of a run: what is recorded of the pruned one, and the adapter."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune.channels import Channels
from prune.plan import PrunePlan, compose, save
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import LoraAdapter, NoAdapter, Recipe
from train.model import check_local, check_padding, peft_config, plan_facts


def test_a_ready_model_without_a_plan_has_no_facts(tmp_path: Path) -> None:
    assert plan_facts(str(tmp_path)) is None


def test_the_facts_are_those_of_the_plan(tmp_path: Path) -> None:
    save(PrunePlan(method="tail", layers=8, removed=(6, 7), unpruned="big", source="f00"), tmp_path)
    assert plan_facts(str(tmp_path)) == {
        "method": "tail",
        "layers": 8,
        "removed": [6, 7],
        "scores": [],
        "unpruned": "big",
        "source": "f00",
    }


def test_the_facts_of_channels_are_widths_and_of_ranks_all(tmp_path: Path) -> None:
    channels = Channels(width=4, kept=((0, 1, 3), (2,)))
    save(PrunePlan(method="by hand", layers=2, removed=(), channels=channels, ranks={"a": 8}), tmp_path)
    facts = plan_facts(str(tmp_path)) or {}
    assert (facts["channels"], facts["ranks"]) == ({"width": 4, "widths": [3, 1]}, {"a": 8})
    assert "stored padded with zeros" in facts["in words"] and "stored multiplied out" in facts["in words"]


def recipe_of(folder: Path, adapter: str, *kept: tuple[int, ...]) -> Recipe:
    """A recipe whose ready pruned model keeps these channels."""
    plan = PrunePlan(method="width", layers=2, removed=(), channels=Channels(width=4, kept=kept))
    save(plan, folder)
    values = (f"model.pruned={folder}", "prune=null", f"adapter.method={adapter}")
    return load_recipe(["recipe=lora_recovery.yaml", *values]).recipe


UNEVEN, EVEN = ((0, 1), (2,)), ((0, 1), (2, 3))


def test_dora_on_layers_padded_with_zeros_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="adapter.method=dora: .* use adapter.method=lora"):
        check_padding(recipe_of(tmp_path, "dora", *UNEVEN))


@pytest.mark.parametrize(("adapter", "kept"), [("lora", UNEVEN), ("dora", EVEN)])
def test_other_adapters_and_equal_widths_are_not(
    adapter: str, kept: tuple[tuple[int, ...], ...], tmp_path: Path
) -> None:
    check_padding(recipe_of(tmp_path, adapter, *kept))


def test_dora_is_refused_before_such_a_model_is_cut() -> None:
    prune = "prune={method: width, share: 0.5, widths: by_layer}"
    with pytest.raises(UserError, match="adapter.method=dora"):
        check_padding(load_recipe(["recipe=lora_recovery.yaml", "adapter.method=dora", prune]).recipe)


def test_the_facts_of_a_model_that_was_cut_twice_have_each_cut(tmp_path: Path) -> None:
    first = PrunePlan(method="shortgpt", layers=8, removed=(3,), source="f00", scores=(1.0,) * 8)
    second = PrunePlan(method="laco", layers=7, removed=(6,), merged=((5, 6),), source="f01")
    save(compose(first, second), tmp_path)
    facts = plan_facts(str(tmp_path)) or {}
    assert (facts["removed"], facts["cuts"]) == (
        [3, 7],
        [
            {"method": "shortgpt", "removed": [3], "source": "f00"},
            {"method": "laco", "removed": [7], "source": "f01", "merged": [[6, 7]]},
        ],
    )


def test_weights_that_are_not_there_are_refused_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=str(tmp_path)):
        check_local(str(tmp_path))


def test_a_model_of_the_hub_that_is_not_here_is_not_looked_at() -> None:
    check_local("nobody/nothing")


def test_without_an_adapter_every_parameter_trains() -> None:
    assert peft_config(NoAdapter()) is None


@pytest.mark.parametrize(
    ("method", "dora", "rank_stabilised"), [("lora", False, False), ("dora", True, False), ("lora", False, True)]
)
def test_the_adapter_is_what_the_recipe_says(method: str, dora: bool, rank_stabilised: bool) -> None:
    section = LoraAdapter.model_validate({"method": method, "r": 4, "alpha": 9, "rank_stabilised": rank_stabilised})
    config = peft_config(section)
    assert config is not None
    assert (config.r, config.lora_alpha, config.use_dora, config.use_rslora) == (4, 9, dora, rank_stabilised)
