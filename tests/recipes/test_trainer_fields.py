"""The `trainer:` section: the list of fields is TRL's own, and a wrong field is refused with what to write instead."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any

import pytest

from recipes.names import FOREIGN_NAMES
from recipes.trainer_fields import CHOICES, OWNED, TRAINER_FIELDS, check_trainer_fields, free_fields

ORDER = ["bool", "int", "float", "str", "list", "dict", "None"]


def plain_types(annotation: Any) -> set[str]:
    """The names of the plain types that an annotation takes."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(plain_types(member) for member in typing.get_args(annotation)))
    if origin is typing.Literal:
        return {type(value).__name__ for value in typing.get_args(annotation)}
    kind = origin or annotation
    if kind is types.NoneType:
        return {"None"}
    return {"str"} if issubclass(kind, enum.Enum) else {kind.__name__} & set(ORDER)


def test_the_list_is_that_of_the_installed_trl() -> None:
    from trl import SFTConfig

    hints = typing.get_type_hints(SFTConfig)
    installed = {
        field.name: "|".join(sorted(plain_types(hints[field.name]), key=ORDER.index))
        for field in dataclasses.fields(SFTConfig)
    }
    assert installed == TRAINER_FIELDS


def test_the_choices_are_those_of_the_installed_transformers() -> None:
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy, SchedulerType
    from transformers.training_args import OptimizerNames

    enums = {
        "lr_scheduler_type": SchedulerType,
        "logging_strategy": IntervalStrategy,
        "save_strategy": SaveStrategy,
        "optim": OptimizerNames,
    }
    assert {name: tuple(each.value for each in kind) for name, kind in enums.items()} == {
        name: CHOICES[name] for name in enums
    }


def test_the_words_of_other_choices_are_those_of_the_installed_libraries() -> None:
    from transformers.training_args import TrainingArguments, trainer_log_levels

    fields = TrainingArguments.__dataclass_fields__
    assert list(CHOICES["train_sampling_strategy"]) == fields["train_sampling_strategy"].metadata["choices"]
    assert set(CHOICES["log_level"]) == set(CHOICES["log_level_replica"]) == set(trainer_log_levels)


def test_every_owned_field_is_a_field() -> None:
    assert set(OWNED) <= set(TRAINER_FIELDS)


@pytest.mark.parametrize("prefix", ["eval_", "hub_", "fsdp", "trackio_"])
def test_no_field_of_a_refused_family_is_free(prefix: str) -> None:
    assert not [name for name in free_fields() if name.startswith(prefix)]


def test_no_foreign_name_leads_to_an_owned_field() -> None:
    assert not {meant for meant in FOREIGN_NAMES.values() if meant.removeprefix("trainer.") in OWNED} - {"seed"}


def test_a_number_in_text_becomes_a_number() -> None:
    assert check_trainer_fields({"learning_rate": "5e-4"}) == {"learning_rate": 0.0005}


def test_an_int_does_for_a_float() -> None:
    assert check_trainer_fields({"warmup_steps": 5}) == {"warmup_steps": 5}


def test_an_int_becomes_a_float_where_the_models_config_takes_no_other() -> None:
    fields = check_trainer_fields({"router_aux_loss_coef": 0})
    assert repr(fields["router_aux_loss_coef"]) == "0.0"


def test_a_whole_float_does_for_an_int() -> None:
    assert check_trainer_fields({"max_steps": 1e3}) == {"max_steps": 1000}


REFUSED: list[tuple[str, Any, str]] = [
    ("output_dir", "x", "chainmend sets this field; use run.dir"),
    ("deepspeed", "x", "chainmend sets this field; use zero.stage and the other zero keys"),
    ("bf16", True, "chainmend sets this field; use model.dtype=bfloat16"),
    ("max_length", 9, "chainmend sets this field; use data.max_length_tokens"),
    ("seed", 9, "chainmend sets this field; use seed"),
    ("resume_from_checkpoint", "x", "chainmend sets this field; use run.resume"),
    ("trust_remote_code", True, "chainmend sets this field; use model.trust_remote_code"),
    ("push_to_hub", True, "not supported; after the run: hf upload USER/NAME RUN/export"),
    ("hub_model_id", "me/model", "not supported; after the run: hf upload USER/NAME RUN/export"),
    ("learnin_rate", 1, "not a field of TRL's SFTConfig; did you mean trainer.learning_rate?"),
    ("cutoff_len", 1, "not a field of TRL's SFTConfig; did you mean data.max_length_tokens?"),
    ("qqq", 1, "not a field of TRL's SFTConfig; --help lists the fields"),
    ("max_steps", 1.5, "must be int"),
    ("max_steps", True, "must be int"),
    ("learning_rate", "fast", "must be float"),
    ("logging_first_step", "yes", "must be bool"),
    ("packing", True, "chainmend sets this field; use data.packing=true (best fit of whole traces)"),
    ("save_total_limit", "all", "must be int or null"),
    ("learning_rate", -1, "must be at least 0"),
    ("learning_rate", float("nan"), "must be at least 0"),
    ("per_device_train_batch_size", 0, "must be at least 1"),
    ("logging_steps", 0, "must be above 0"),
    ("save_steps", -1, "must be above 0"),
    ("label_smoothing_factor", 2, "must be at most 1"),
    ("pad_to_multiple_of", 0, "must be at least 1"),
    ("loss_type", "none", "allowed: nll, dft"),
    ("log_level", "loud", "allowed: detail, debug, info, warning, error, critical, passive"),
    ("max_steps", 0, "the run would have no steps; write the number of steps, or -1 for num_train_epochs"),
    (
        "lr_scheduler_type",
        "reduce_lr_on_plateau",
        "needs an evaluation inside TRL; use linear, cosine or another of fixed steps",
    ),
    ("logging_strategy", "step", "allowed: no, steps, epoch; did you mean steps?"),
]


@pytest.mark.parametrize(("name", "value", "reason"), REFUSED)
def test_a_wrong_field_is_refused(name: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_trainer_fields({name: value})
    assert str(caught.value) == f"trainer.{name}={value}: {reason}"


def test_all_wrong_fields_are_reported() -> None:
    with pytest.raises(ValueError) as caught:
        check_trainer_fields({"seed": 1, "disable_tqdm": True, "qqq": 1, "max_steps": None})
    assert [line.split("=")[0] for line in str(caught.value).split("\n")] == [
        "trainer.seed",
        "trainer.qqq",
        "trainer.max_steps",
    ]
