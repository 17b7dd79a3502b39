"""Keys under the names of PEFT and vLLM: the same recipe, to the byte, and no doubt about what counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import pytest
from peft import LoraConfig

from recipes.aliases import in_own_names
from recipes.help import help_text
from recipes.json_schema import text
from recipes.keys import Model, element_of, sections_in
from recipes.loader import load_recipe, to_yaml
from recipes.schema import LoraAdapter, Recipe
from recipes.section import Section

Load = Callable[..., Recipe]
VLLM = ("sweep.engine.name=vllm",)


def sections_below(section: Model) -> Iterator[Model]:
    yield section
    for field in section.model_fields.values():
        for inside in (*sections_in(field.annotation), *sections_in(element_of(field.annotation))):
            yield from sections_below(inside)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["adapter.lora_alpha=8"], ["adapter.alpha=8"]),
        (["adapter.lora_dropout=0.1"], ["adapter.dropout=0.1"]),
        (["adapter.target_modules=[q_proj, v_proj]"], ["adapter.targets=[q_proj, v_proj]"]),
        (["adapter.use_rslora=true"], ["adapter.rank_stabilised=true"]),
        (["adapter.rank_stabilized=true"], ["adapter.rank_stabilised=true"]),
        (["adapter.use_dora=true"], ["adapter.method=dora"]),
        (["adapter.method=dora", "adapter.use_dora=true"], ["adapter.method=dora"]),
        (["adapter.use_dora=false"], ["adapter.method=lora"]),
        (["adapter.method=qlora", "adapter.use_dora=false"], ["adapter.method=qlora"]),
        (["adapter={method: lora, r: 8, lora_alpha: 16, use_dora: false}"], ["adapter.r=8", "adapter.alpha=16"]),
        ([*VLLM, "sweep.engine.tensor_parallel_size=4"], [*VLLM, "sweep.engine.tensor_parallel=4"]),
        ([*VLLM, "sweep.engine.gpu_memory_utilization=0.5"], [*VLLM, "sweep.engine.gpu_memory_share=0.5"]),
        ([*VLLM, "sweep.engine.max_model_len=4096"], [*VLLM, "sweep.engine.context_tokens=4096"]),
        ([*VLLM, "sweep.engine.max_num_seqs=8"], [*VLLM, "sweep.engine.max_sequences=8"]),
    ],
    ids=lambda keys: keys[-1],
)
def test_a_recipe_in_their_names_is_the_one_in_ours(load_small: Load, theirs: list[str], ours: list[str]) -> None:
    assert to_yaml(load_small(*theirs)) == to_yaml(load_small(*ours))


def test_what_a_layer_says_stands_above_another_name_in_a_layer_below(small: Path) -> None:
    child, grandchild = small.parent / "child.yaml", small.parent / "grandchild.yaml"
    child.write_text("extends: small.yaml\nadapter: {method: dora, lora_alpha: 8, rank_stabilised: true}\n")
    grandchild.write_text("extends: child.yaml\nadapter: {alpha: 4, use_dora: false}\n")
    adapter = load_recipe(
        [f"recipe={grandchild}", "adapter.rank_stabilized=false", "adapter.target_modules=[up]"]
    ).recipe
    assert adapter.adapter == LoraAdapter(method="lora", r=4, alpha=4, targets=["up"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["adapter.alpha=8", "adapter.lora_alpha=16"],
            "adapter.lora_alpha=16 and adapter.alpha=8: two names of one key (adapter.alpha) with different values; "
            "write one",
        ),
        (
            ["adapter.use_rslora=true", "adapter.rank_stabilized=false"],
            "adapter.rank_stabilized=false and adapter.use_rslora=true: two names of one key (adapter.rank_stabilised) "
            "with different values; write one",
        ),
        (
            ["adapter.method=lora", "adapter.use_dora=true"],
            "adapter.use_dora=true (method=dora) and adapter.method=lora: two names of one key (adapter.method) with "
            "different values; write one",
        ),
        (["adapter.use_dora=1"], "adapter.use_dora=1: must be true or false"),
        (["adapter.lora_alpha=0"], "adapter.alpha=0: must be more than 0"),
        (
            ["adapter.method=none", "adapter.lora_alpha=8"],
            "adapter.alpha=8: not a key of the chosen variant; it belongs to adapter.method=lora or dora or qlora",
        ),
        (["data.lora_alpha=8"], "data.lora_alpha=8: unknown key; did you mean adapter.alpha?"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused(refusal: Callable[..., str], arguments: list[str], said: str) -> None:
    assert refusal(*arguments) == said


def test_a_fault_of_a_file_names_it(small: Path, refusal: Callable[..., str]) -> None:
    small.write_text(small.read_text().replace("r: 4", "alpha: 4, lora_alpha: 8"))
    assert refusal().endswith("write one [small.yaml]")


class Element(Section):
    aliases: ClassVar[Mapping[str, str]] = {"other": "own"}
    own: int = 0


class Several(Section):
    elements: list[Element]


def test_names_in_elements_of_a_list_are_read_too() -> None:
    faults: list[str] = []
    below = {"elements": [{"own": 1}, {"own": 2}]}
    assert in_own_names({"elements": [{"other": 3}]}, below, Several, faults) == {"elements": [{"own": 3}]}
    assert in_own_names({"elements": {"1": {"other": 3}}}, below, Several, faults) == {"elements": {"1": {"own": 3}}}
    in_own_names({"elements": {"0": {"other": 3, "own": 4}}}, below, Several, faults)
    assert faults == [
        "elements.0.other=3 and elements.0.own=4: two names of one key (elements.0.own) with different values; "
        "write one"
    ]


def test_every_name_leads_to_a_key_of_its_section_and_is_none_itself() -> None:
    for section in sections_below(Recipe):
        assert issubclass(section, Section)
        others = {**section.aliases, **{name: key for name, (key, _, _) in section.switches.items()}}
        assert set(others.values()) <= set(section.model_fields), section
        assert not set(others) & set(section.model_fields), section


def test_the_names_of_an_adapter_are_those_of_peft() -> None:
    names = {*LoraAdapter.aliases, *LoraAdapter.switches} - {"rank_stabilized"}
    assert names <= {field.name for field in fields(LoraConfig)}


@pytest.mark.parametrize("name", ["lora_alpha", "use_dora=true for dora", "use_rslora", "tensor_parallel_size"])
def test_help_says_the_other_names(name: str) -> None:
    lines = help_text(Recipe, ["adapter", "sweep"]).splitlines()
    assert any(name in line.partition("(also: ")[2] for line in lines)


def test_editors_know_the_other_names() -> None:
    sections: dict[str, Any] = json.loads(text())["$defs"]
    adapter, engine = sections["LoraAdapter"]["properties"], sections["VllmEngine"]["properties"]
    assert adapter["use_dora"] == {"type": "boolean", "description": "true: another name of method=dora"}
    assert engine["tensor_parallel_size"] == {
        "description": "another name of tensor_parallel",
        "minimum": 1,
        "title": "Tensor Parallel",
        "type": "integer",
    }
