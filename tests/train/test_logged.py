"""Which steps are logged already, over the starts of a run: closed, killed, or of another training."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.logged import Logged, making_of


def first_start(file: Path) -> Logged:
    logged = Logged(file, "same", dict)
    for step in (2, 4, 6):
        logged.add("train", step)
    logged.add("sweep", 4)
    return logged


def new_steps(logged: Logged, kind: str = "train") -> list[int]:
    return [step for step in range(9) if logged.is_new(kind, step)]


def test_a_fresh_run_has_everything_to_log(tmp_path: Path) -> None:
    assert new_steps(Logged(tmp_path / "logged.json", "same", dict)) == list(range(9))


def test_a_start_after_one_that_was_closed_logs_what_comes_later(tmp_path: Path) -> None:
    first_start(tmp_path / "logged.json").close()
    again = Logged(tmp_path / "logged.json", "same", dict)
    assert (new_steps(again), new_steps(again, "sweep")) == ([7, 8], [5, 6, 7, 8])


def test_after_a_kill_what_did_not_survive_is_new(tmp_path: Path) -> None:
    first_start(tmp_path / "logged.json")
    again = Logged(tmp_path / "logged.json", "same", lambda: {"train": 2})
    assert (new_steps(again), new_steps(again, "sweep")) == ([3, 4, 5, 6, 7, 8], list(range(9)))


def test_a_kill_takes_nothing_of_the_start_before(tmp_path: Path) -> None:
    first_start(tmp_path / "logged.json").close()
    Logged(tmp_path / "logged.json", "same", dict).add("train", 8)
    assert new_steps(Logged(tmp_path / "logged.json", "same", dict)) == [7, 8]


def test_what_cannot_be_read_back_is_believed(tmp_path: Path) -> None:
    first_start(tmp_path / "logged.json")
    assert new_steps(Logged(tmp_path / "logged.json", "same", lambda: None)) == [7, 8]


def test_another_training_logs_its_own_numbers(tmp_path: Path) -> None:
    first_start(tmp_path / "logged.json").close()
    assert new_steps(Logged(tmp_path / "logged.json", "other", dict)) == list(range(9))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"making": "same", "last_step": {"train": 6}}'])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "logged.json").write_text(text)
    assert new_steps(Logged(tmp_path / "logged.json", "same", dict)) == list(range(9))


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"recipe": {"wandb": {"mode": "online"}, "seed": 1}}, True),
        ({"recipe": {"seed": 2}}, False),
        ({"ranks": 2}, False),
        ({"data": {"hash": "other"}}, False),
        ({"started": "later", "commit": "other"}, True),
    ],
)
def test_a_training_is_the_same_by_what_its_numbers_depend_on(changed: dict[str, object], same: bool) -> None:
    facts = {"recipe": {"seed": 1}, "ranks": 1, "data": {"hash": "d"}, "started": "now", "commit": "c"}
    assert (making_of({**facts, **changed}) == making_of(facts)) == same
