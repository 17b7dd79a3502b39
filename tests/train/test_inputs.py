"""What is read and checked before anything is loaded: the fault is named by its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_recipe
from runtime.ranks import ALONE
from tests.train.runs import small
from train.inputs import Inputs, read_inputs


def read(folder: Path, *overrides: str) -> Inputs:
    return read_inputs(load_recipe(small("lora", folder, folder, "zero.stage=0", *overrides)).recipe, ALONE)


REFUSED = {
    "data.max_length_tokens=9999": "data.max_length_tokens=9999: the model's context has",
    "model.attention=flash_attention_2": "model.attention=flash_attention_2 needs a GPU",
    "model.dtype=bfloat16": "zero.stage=0 with model.dtype=bfloat16: without DeepSpeed",
    "trainer.save_strategy=no": "trainer.save_strategy=no: the export is made from the last checkpoint",
    "sweep.budgets=[16,9999]": "sweep.budgets: 9999 thinking tokens",
    "prune.layers=8": "prune: 8 of 8 layers would be removed",
}


@pytest.mark.parametrize(("override", "said"), REFUSED.items())
def test_what_cannot_work_is_refused(override: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        read(tmp_path, override)
    assert str(refusal.value).startswith(said)


def test_the_lines_shown_before_loading_name_data_batch_format_and_sweep(tmp_path: Path) -> None:
    lines = read(tmp_path).describe().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["data", "batch", "format", "sweep"]
    assert lines[-3] == ("sweep  budgets 16, 32, 64, 96, 128 tokens; problems: knowledge 8, shallow 8, chain 13")
    assert lines[-2].startswith("       chain, 13 problems x 1: a run that is whole has level share 1 ± ")
    assert "TOO FEW" in lines[-2]
    assert lines[-1].startswith("       answers may take up to 4 tokens, 25% of the smallest budget (16)")


def test_the_steps_follow_from_what_was_prepared(tmp_path: Path) -> None:
    inputs = read(tmp_path, "trainer.max_steps=-1", "trainer.num_train_epochs=2")
    assert inputs.arithmetic.steps == 2 * -(-len(inputs.prepared.rows) // 8)
