"""What a user reads who made a mistake: the dotted key, the value, what is allowed, what was probably meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Refusal = Callable[..., str]

UNKNOWN = {
    "adapter.rr=8": "adapter.r",
    "adaptor.r=8": "adapter.r",
    "lora.r=8": "adapter.r",
    "lora_r=8": "adapter.r",
    "lora_alpha=8": "adapter.alpha",
    "lora_dropout=0": "adapter.dropout",
    "learning_rate=1": "trainer.learning_rate",
    "sequence_len=8": "data.max_length_tokens",
    "cutoff_len=8": "data.max_length_tokens",
    "max_length=8": "data.max_length_tokens",
    "base_model=x": "model.unpruned",
    "model_name_or_path=x": "model.unpruned",
    "micro_batch_size=1": "trainer.per_device_train_batch_size",
    "wandb_project=x": "wandb.project",
    "num_epochs=1": "trainer.num_train_epochs",
    "gradient_accumulation_steps=1": "trainer.gradient_accumulation_steps",
    "deepspeed=x": "zero.config",
    "output_dir=x": "run.dir",
    "sweep.budget=[1]": "sweep.budgets",
    "budgets=[1]": "sweep.budgets",
    "weight_decay=0": "trainer.weight_decay",
    "sweep.suites.1.siz=3": "sweep.suites.1.size",
    "run.directory=x": "run.dir",
    "template=qwen3": "data.format.name",
    "zero.offload_optimiser=cpu": "zero.offload_optimizer",
}


@pytest.mark.parametrize(("argument", "meant"), UNKNOWN.items())
def test_an_unknown_key_is_answered_with_the_key_that_was_meant(refusal: Refusal, argument: str, meant: str) -> None:
    assert refusal(argument) == f"{argument}: unknown key; did you mean {meant}?"


# fmt: off
REFUSED = {
    "zero.stage=7": "zero.stage=7: allowed: 0, 1, 2, 3",
    "model.dtype=float": "model.dtype=float: allowed: float32, bfloat16; did you mean float32?",
    "adapter.method=lorra": "adapter.method=lorra: allowed: none, lora, dora, qlora; did you mean lora?",
    "adapter=dora": "adapter=dora: must be a section of keys; did you mean adapter.method=dora?",
    "adapter.r=0": "adapter.r=0: must be at least 1",
    "adapter.r=many": "adapter.r=many: must be a whole number",
    "data.format.date=soon": "data.format.date=soon: must be a day, such as 2026-07-31",
    "data.format.date=20260731": "data.format.date=20260731: must be a day, such as 2026-07-31",
    "adapter.dropout=1": "adapter.dropout=1: must be less than 1",
    "adapter.dropout=a": "adapter.dropout=a: must be a number",
    "adapter.bias=none":
        "adapter.bias=none: not supported: biases stay frozen under an adapter (PEFT's bias=none); remove it",
    "adapter.targets=3": "adapter.targets=3: must be text (put a number in quotes), or a list, such as [1, 2]",
    "model.trust_remote_code=maybe": "model.trust_remote_code=maybe: must be true or false",
    "wandb.project=3": "wandb.project=3: must be text (put a number in quotes)",
    "sweep.budgets=[]": "sweep.budgets=[]: needs at least 1 element",
    "sweep.budgets=[32, 16]":
        "sweep.budgets: must be positive and strictly increasing (a first 0: thinking off), got [32, 16]",
    "sweep.budgets=[8, 0]":
        "sweep.budgets: must be positive and strictly increasing (a first 0: thinking off), got [8, 0]",
    "sweep.budgets=[0, 0, 8]":
        "sweep.budgets: must be positive and strictly increasing (a first 0: thinking off), got [0, 0, 8]",
    "sweep.budgets=[-1, 8]":
        "sweep.budgets: must be positive and strictly increasing (a first 0: thinking off), got [-1, 8]",
    "sweep.min_p=1.5": "sweep.min_p=1.5: must be at most 1",
    "sweep.stop_loops=often": "sweep.stop_loops=often: must be true or false",
    "data.format.name=qwen":
        "data.format.name=qwen: allowed: auto, qwen3, qwq, deepseek_r1, s1, think, custom; did you mean qwen3?",
    "sweep.suites.0.method=likelihood":
        "sweep.suites.0.method=likelihood: not a key of the chosen variant; it belongs to "
        "sweep.suites.N.source=jsonl or hub or named",
    "sweep.samples=2": "sweep: samples=2 with temperature=0 would repeat one thought; set a temperature or samples=1",
    "sweep.suites.5.size=1": "sweep.suites.5: the list has 2 elements, write an index from 0 to 1",
    "sweep.suites.0.family=chian":
        "sweep.suites.0.family=chian: allowed: knowledge, shallow, chain, ways; did you mean chain?",
    "data.traces.shares.foo=1": "data.traces.shares.foo: unknown key; allowed: knowledge, shallow, chain",
    "zero.offload_parameters=cpu": "zero: offload_parameters=cpu needs stage=3, got stage=2",
    "model.pruned=x": "give either model.pruned (a ready model) or a prune section (make one), got both; "
                      "write prune=null to use model.pruned",
    "prune=null": "give either model.pruned (a ready model) or a prune section (make one), got neither",
    "trainer.output_dir=x": "trainer.output_dir=x: chainmend sets this field; use run.dir",
    "trainer.lora_r=8": "trainer.lora_r=8: not a field of TRL's SFTConfig; did you mean adapter.r?",
    "--seed=1": "--seed=1: flags are not known; write recipe=FILE and key=value, without dashes",
    "seed": "seed: must be key=value, such as recipe=lora_recovery.yaml or trainer.max_steps=10",
    "a..b=1": "a..b=1: must be key=value, such as recipe=lora_recovery.yaml or trainer.max_steps=10",
}
# fmt: on


@pytest.mark.parametrize(("argument", "message"), REFUSED.items())
def test_a_wrong_argument_is_refused_in_one_line(refusal: Refusal, argument: str, message: str) -> None:
    assert refusal(argument) == message


def test_a_key_of_another_variant_names_that_variant(refusal: Refusal) -> None:
    assert refusal("adapter.method=none", "adapter.r=8") == (
        "adapter.r=8: not a key of the chosen variant; it belongs to adapter.method=lora or dora or qlora"
    )


def test_a_missing_key_is_named_with_its_meaning(refusal: Refusal) -> None:
    assert refusal("prune.method=layers") == "prune.remove: missing (0-based indices in the unpruned model)"


def test_a_missing_variant_is_named_with_the_choices(refusal: Refusal) -> None:
    assert refusal("sweep.suites=[{name: a}]") == (
        "sweep.suites.0.source: missing; allowed: nano, jsonl, hub, named, reasoning_gym"
    )


def test_an_unknown_key_like_nothing_lists_the_keys_of_its_section(refusal: Refusal) -> None:
    keys = "artifacts, entity, group, mode, name, notes, project, tags"
    assert refusal("wandb.qqq=1") == f"wandb.qqq=1: unknown key; keys of wandb: {keys}"


def test_an_argument_that_is_no_yaml_is_refused(refusal: Refusal) -> None:
    assert refusal("sweep.budgets=[1").startswith("sweep.budgets=[1: not a YAML value (")


def test_all_faults_are_reported_at_once(refusal: Refusal) -> None:
    lines = refusal("--foo", "lora_r=1", "zero.stage=7", "trainer.nonsense_field=1").split("\n")
    keys = [line.split(":")[0].split("=")[0] for line in lines]
    assert keys == ["--foo", "trainer.nonsense_field", "zero.stage", "lora_r"]


def test_a_long_list_of_faults_is_cut_and_counted(refusal: Refusal) -> None:
    lines = refusal(*[f"qqq{index}=1" for index in range(20)]).split("\n")
    assert (len(lines), lines[-1]) == (16, "and 5 more faults")


def test_a_fault_names_the_file_that_holds_it(small: Path, refusal: Refusal) -> None:
    small.write_text(small.read_text() + "lora_r: 8\n")
    assert refusal() == "lora_r=8: unknown key; did you mean adapter.r? [small.yaml]"


def test_no_message_uses_pydantics_words(refusal: Refusal) -> None:
    assert "pydantic" not in refusal("adapter.r=a", "model=3", "qqq=1").lower()
