"""The keys in which recipes differ, and no others."""

from eval.comparing.recipe_keys import ABSENT, differing, flattened


def test_only_keys_that_differ():
    one = {"run": {"dir": "runs/one"}, "seed": 1, "trainer": {"learning_rate": 0.1, "max_steps": 5}, "prune": None}
    two = {"run": {"dir": "runs/two"}, "seed": 1, "trainer": {"learning_rate": 0.2, "max_steps": 5}, "prune": None}
    assert differing({"one": one, "two": two}) == {"trainer.learning_rate": {"one": 0.1, "two": 0.2}}


def test_a_key_of_one_variant_is_absent_in_the_other():
    found = differing({"lora": {"adapter": {"method": "lora", "r": 8}}, "full": {"adapter": {"method": "none"}}})
    assert found == {"adapter.method": {"lora": "lora", "full": "none"}, "adapter.r": {"lora": 8, "full": ABSENT}}


def test_sections_in_a_list_are_keyed_by_place_and_plain_lists_are_values():
    recipe = {"sweep": {"budgets": [8, 16], "suites": [{"name": "a"}, {"name": "b"}]}, "trainer": {}}
    assert dict(flattened(recipe)) == {
        "sweep.budgets": [8, 16],
        "sweep.suites.0.name": "a",
        "sweep.suites.1.name": "b",
        "trainer": {},
    }


def test_true_and_1_differ():
    assert differing({"a": {"x": True}, "b": {"x": 1}}) == {"x": {"a": True, "b": 1}}


def test_equal_recipes_and_one_recipe_differ_in_nothing():
    assert differing({"a": {"x": [1, {"y": 2}]}, "b": {"x": [1, {"y": 2}]}}) == differing({"a": {"x": 1}}) == {}
