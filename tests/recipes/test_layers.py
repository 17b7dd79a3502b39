"""Layers of a recipe laid over one another: mappings, lists, variants, spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from recipes.layers import holds, nest
from recipes.schema import LoraAdapter, NoAdapter, Recipe

Load = Callable[..., Recipe]


def test_a_list_is_replaced(load_small: Load) -> None:
    assert load_small("sweep.budgets=[8]").sweep.budgets == [8]


def test_an_element_of_a_list_is_changed_by_its_index(load_small: Load) -> None:
    assert [suite.size for suite in load_small("sweep.suites.1.size=64").sweep.suites] == [8, 64]


def test_another_variant_drops_the_keys_it_does_not_have(load_small: Load) -> None:
    assert load_small("adapter.method=none").adapter == NoAdapter()


def test_another_variant_keeps_the_keys_both_have(load_small: Load) -> None:
    assert load_small("prune.method=shortgpt").prune.layers == 2


def test_a_tag_of_the_same_variant_keeps_all_keys(load_small: Load) -> None:
    assert load_small("adapter.method=dora").adapter == LoraAdapter(method="dora", r=4)


def test_an_element_of_a_list_changes_its_variant(load_small: Load) -> None:
    suite = load_small("sweep.suites.0.source=jsonl", "sweep.suites.0.path=a.jsonl").sweep.suites[0]
    assert (suite.source, suite.name) == ("jsonl", "chain")


def test_a_mapping_may_be_one_argument(load_small: Load) -> None:
    assert load_small("prune={method: layers, remove: [3]}").prune.remove == [3]


@pytest.mark.parametrize("pairs", [[("seed", 1), ("seed", 2)], [("zero", None), ("zero.stage", 1)]])
def test_a_key_that_is_given_twice_is_a_fault(pairs: list[tuple[str, Any]]) -> None:
    _, faults = nest(pairs)
    assert faults == [f"{pairs[1][0]}: given twice, or together with a key above or below it; write it once"]


def test_dotted_keys_become_one_mapping() -> None:
    assert nest([("a.b", 1), ("a.c.d", 2), ("e", 3)]) == ({"a": {"b": 1, "c": {"d": 2}}, "e": 3}, [])


@pytest.mark.parametrize(("dotted", "is_there"), [("a", True), ("a.b", True), ("a.b.c", False), ("c", False)])
def test_whether_a_layer_holds_a_key(dotted: str, is_there: bool) -> None:
    assert holds({"a": {"b": None}}, dotted) is is_there
