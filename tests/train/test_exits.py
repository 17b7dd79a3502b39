"""How the processes of a run leave: exit codes and messages; signals are in the scenarios."""

from __future__ import annotations

import errno
import os

import pytest

from recipes.errors import UserError
from runtime.pulse import PULSE, ToLeave
from tests.runtime.threads import failing
from train.exits import SIGNALS, Stopped, disk_fault, in_training, leave_if_asked, leaving, parting, training_begins


def test_the_code_of_work_that_ends_well_is_its_own() -> None:
    assert leaving(lambda: 0) == 0


@pytest.mark.parametrize(
    ("fault", "code", "stream", "said"),
    [
        (Stopped("the loss is nan"), 1, "err", "the loss is nan"),
        (ToLeave(), 75, "out", "the same command"),
        (SystemExit(75), 75, "out", "the same command"),
    ],
)
def test_how_a_stop_is_said(
    fault: BaseException, code: int, stream: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leaving(failing(fault)) == code  # type: ignore[arg-type]
    assert said in getattr(capsys.readouterr(), stream)


def test_any_other_fault_passes_through() -> None:
    with pytest.raises(KeyError):
        leaving(failing(KeyError("broken")))


def test_a_parting_changes_neither_code_nor_mistake() -> None:
    assert parting(lambda: 75) == 75
    with pytest.raises(UserError, match="mine"):
        parting(failing(UserError("mine")))


def test_in_training_a_signal_waits_and_silence_counts() -> None:
    with in_training():
        training_begins()
        during = (SIGNALS.at_once, PULSE.watched)
    assert (during, (SIGNALS.at_once, PULSE.watched)) == ((False, True), (True, False))


def test_who_was_asked_leaves_when_it_may() -> None:
    leave_if_asked()
    PULSE.asked = True
    try:
        with pytest.raises(ToLeave):
            leave_if_asked()
    finally:
        PULSE.asked = False


def caused_by(cause: BaseException) -> BaseException:
    fault = RuntimeError("saving failed")
    fault.__cause__ = cause
    return fault


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        caused_by(OSError(errno.EFBIG, os.strerror(errno.EFBIG))),
        RuntimeError("SafetensorError: I/O error: No space left on device (os error 28)"),
        RuntimeError("PytorchStreamWriter failed writing file data/0"),
    ],
)
def test_a_full_disk_is_known_by_what_the_libraries_make_of_it(fault: BaseException) -> None:
    assert disk_fault(fault)


@pytest.mark.parametrize("fault", [OSError(errno.EACCES, "denied"), ValueError("wrong"), KeyError("x")])
def test_other_faults_are_not_of_the_disk(fault: BaseException) -> None:
    assert disk_fault(fault) is None
