"""What a name of a model or data set means, and how long a Hub that does not answer is waited for. No real network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import config as datasets_config
from huggingface_hub import constants

from recipes.errors import UserError
from runtime.hub import check_data_set, did_you_mean, find_model, hub_silence
from tests.runtime.hubs import hub_at, put_into_cache
from tests.runtime.servers import CLOSED, empty_hub, silent_server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model in it."""
    (tmp_path / "my_model").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """A Hub that takes every connection and never answers; gives the folder of the local cache."""
    with silent_server() as address, hub_at(address, tmp_path / "cache"):
        yield tmp_path / "cache"


def refused(name: str) -> str:
    with pytest.raises(UserError) as caught:
        find_model(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_itself(here: Path) -> None:
    assert find_model("my_model") == "my_model"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["my_modle", "./my_modle", "a/b/c", "/no/where"])
def test_what_is_no_folder_and_has_no_owner_is_refused_and_the_hub_is_not_asked(name: str, tmp_path: Path) -> None:
    with empty_hub() as address, hub_at(address, tmp_path / "cache"):
        assert f"no model at '{name}' (there is no such folder" in refused(name)
        assert hub_silence.cache_info().misses == 0


@pytest.mark.usefixtures("here")
def test_a_mistyped_folder_is_told_of_a_similar_one() -> None:
    assert "(there is no such folder; did you mean my_model?)" in refused("my_modle")


def test_similar_folders_are_looked_for_where_the_name_points(here: Path) -> None:
    (here / "runs" / "mine").mkdir(parents=True)
    assert did_you_mean("runs/mien") == "did you mean runs/mine?"
    assert did_you_mean("gone/mien") == ""


def test_a_model_that_the_hub_may_have_is_left_to_the_library(tmp_path: Path) -> None:
    with empty_hub() as address, hub_at(address, tmp_path / "cache", seconds=5):
        assert find_model("owner/name") == "owner/name"
        assert not constants.is_offline_mode()


@pytest.mark.usefixtures("silent")
def test_a_model_that_only_a_silent_hub_has_is_refused_with_the_reason() -> None:
    assert re.search(r"'owner/name' \(.* the Hub cannot be asked: no answer within 0\.05 s\)", refused("owner/name"))


def test_a_hub_that_refuses_connections_is_the_reason(tmp_path: Path) -> None:
    with hub_at(CLOSED, tmp_path):
        assert "the Hub cannot be asked: ConnectError" in refused("owner/name")


def test_of_a_process_that_is_offline_the_variable_is_the_reason(tmp_path: Path) -> None:
    with hub_at(CLOSED, tmp_path), pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert "the Hub cannot be asked: HF_HUB_OFFLINE is set" in refused("owner/name")


@pytest.mark.parametrize("name", ["owner/name", "name"])
def test_a_copy_in_the_cache_is_taken_with_a_silent_hub(silent: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    put_into_cache(silent, name, tmp_path)
    assert find_model(name) == name


@pytest.mark.usefixtures("silent")
def test_a_silent_hub_is_asked_once_and_then_no_library_asks_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert hub_silence() == hub_silence() == "no answer within 0.05 s"
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be reached (no answer within 0.05 s); only copies in the local cache are used" in line
    assert constants.is_offline_mode() and datasets_config.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.usefixtures("here")
def test_a_data_set_without_an_owner_is_refused_and_the_hub_is_not_asked(tmp_path: Path) -> None:
    with empty_hub() as address, hub_at(address, tmp_path / "cache"):
        with pytest.raises(
            UserError, match=r"^data\.traces\.id: no data set 'my_modle' \(there is no such folder; did"
        ):
            check_data_set("my_modle", "data.traces.id")
        assert hub_silence.cache_info().misses == 0


def test_a_data_set_in_a_folder_or_in_the_cache_is_accepted(silent: Path, here: Path) -> None:
    (here / "README.md").write_text("")
    put_into_cache(silent, "legacy", here, "datasets")
    for name in ("my_model", "legacy", "owner/name"):
        check_data_set(name, "data.traces.id")
