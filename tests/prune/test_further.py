"""A model that is cut further: what it must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.fingerprint import fingerprint
from data_prep.models import load_config, load_model, load_tokenizer
from prune.further import cut_model, earlier_plan, in_cut_model
from prune.plan import FILE_NAME, PrunePlan
from prune.surgery import apply_plan, save_pruned
from recipes.errors import UserError
from recipes.prune import LayersPrune, TailPrune
from recipes.schema import ModelSection
from tests.prune.models import LAYERS


def section(cut_from: Path | str | None) -> TailPrune:
    return TailPrune(method="tail", layers=1, cut_from=None if cut_from is None else str(cut_from))


@pytest.fixture(scope="module")
def model(unpruned: Path) -> ModelSection:
    return ModelSection(unpruned=str(unpruned))


@pytest.fixture
def pruned(model: ModelSection, tmp_path: Path) -> Path:
    """A model without layers 1 and 4."""
    plan = PrunePlan(method="layers", layers=LAYERS, removed=(1, 4), source=fingerprint(model.unpruned), unpruned="it")
    cut = apply_plan(load_model(model.unpruned, model), plan)
    save_pruned(cut, load_tokenizer(model.unpruned, model), plan, tmp_path / "pruned")
    return tmp_path / "pruned"


def test_without_the_key_the_unpruned_model_is_cut(model: ModelSection) -> None:
    assert (cut_model(section(None), model), earlier_plan(section(None), model)) == (model.unpruned, None)


def test_the_plan_of_the_named_folder_is_the_earlier_one(model: ModelSection, pruned: Path) -> None:
    plan = earlier_plan(section(pruned), model)
    assert plan is not None and plan.removed == (1, 4)
    assert load_config(cut_model(section(pruned), model), model).num_hidden_layers == 4


def test_a_folder_without_a_plan_is_refused(model: ModelSection) -> None:
    with pytest.raises(UserError, match="has no prune plan.*name it as model.unpruned"):
        earlier_plan(section(model.unpruned), model)


def test_a_folder_that_is_not_there_is_refused(model: ModelSection) -> None:
    with pytest.raises(UserError, match="prune.cut_from=nowhere/at/all: no such folder"):
        earlier_plan(section("nowhere/at/all"), model)


def test_a_folder_that_was_cut_from_another_model_is_refused(model: ModelSection, pruned: Path) -> None:
    text = (pruned / FILE_NAME).read_text().replace(fingerprint(model.unpruned), "sha256:other")
    (pruned / FILE_NAME).write_text(text)
    with pytest.raises(UserError, match=r"was made for another unpruned model \(it\) than model.unpruned="):
        earlier_plan(section(pruned), model)


EARLIER = PrunePlan(method="layers", layers=6, removed=(1, 4))


def test_named_layers_are_counted_in_the_unpruned_model() -> None:
    """Layers 0, 2, 3, 5 are left: 3 and 5 are the third and the fourth."""
    named = LayersPrune(method="layers", remove=[5, 3], cut_from="it")
    assert in_cut_model(named, EARLIER) == named.changed(remove=[3, 2])


@pytest.mark.parametrize("gone", [4, 6, -1])
def test_a_named_layer_that_is_not_left_is_refused(gone: int) -> None:
    with pytest.raises(
        UserError, match=rf"layers \[{gone}\] are not in it, which has layers 0, 2, 3, 5 of the unpruned"
    ):
        in_cut_model(LayersPrune(method="layers", remove=[0, gone], cut_from="it"), EARLIER)


def test_a_number_of_layers_is_the_same_in_both() -> None:
    assert in_cut_model(section("it"), EARLIER) == section("it")
