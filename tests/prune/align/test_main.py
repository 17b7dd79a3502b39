"""`python -m prune.align`: what it prints and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune.align.__main__ import main
from recipes.errors import UserError
from recipes.help import HelpAsked
from tests.prune.models import build


def test_the_report_of_a_model_ends_with_its_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build("llama").save_pretrained(tmp_path)
    assert main([str(tmp_path)]) is None
    assert capsys.readouterr().out.splitlines()[-1].startswith("verdict    not aligned: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage"),
        (["a", "b"], "usage"),
        (["--profile"], "usage"),
        (["a", "profil=true"], "usage"),
        (["a", "profile=yes"], "profile=yes: write true or false"),
        (["a", "table=t.json"], "nothing is measured without profile=true"),
        (["nowhere"], "nowhere is not a folder"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(arguments)


def test_help_lists_the_keys() -> None:
    with pytest.raises(HelpAsked, match="profile=.*\ntable=.*"):
        main(["--help"])
