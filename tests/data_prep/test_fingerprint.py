"""The fingerprint of a checkpoint: other weights, another print; another folder, the same."""

from __future__ import annotations

from pathlib import Path

from data_prep.fingerprint import fingerprint
from tests.prune.models import build


def test_fingerprint_tells_trained_weights_of_equal_shape_apart(tmp_path: Path) -> None:
    model = build("llama")
    model.save_pretrained(tmp_path / "a")
    model.model.layers[3].mlp.up_proj.weight.data += 0.01
    model.save_pretrained(tmp_path / "b")
    assert fingerprint(str(tmp_path / "a")) != fingerprint(str(tmp_path / "b"))


def test_fingerprint_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    build("llama").save_pretrained(tmp_path / "a")
    build("llama").save_pretrained(tmp_path / "b")
    assert fingerprint(str(tmp_path / "a")) == fingerprint(str(tmp_path / "b")) != ""


def test_model_that_is_not_on_this_machine_has_no_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(str(tmp_path / "nowhere")) == ""


def test_a_config_without_weights_has_no_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert fingerprint(str(tmp_path)) == ""
