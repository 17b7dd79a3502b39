"""The first word of `python -m data_prep` names the command."""

from __future__ import annotations

import pytest

from data_prep.__main__ import main
from recipes.errors import UserError
from recipes.help import HelpAsked


@pytest.mark.parametrize("words", [[], ["mega"]])
def test_the_command_names_its_first_word(words: list[str]) -> None:
    with pytest.raises(UserError, match="the first word must be .*nano"):
        main(words)


def test_help_lists_the_commands_and_a_commands_keys() -> None:
    with pytest.raises(HelpAsked, match="(?s)data_prep check .*data_prep nano .*eval.generate recipe"):
        main(["--help"])
    with pytest.raises(HelpAsked, match=r"(?s)^traces=\.\.\.: a trace file.*data\.filters\.loop_rounds"):
        main(["check", "--help"])
