"""Names that become names of files: what is a path, hidden, reserved or too long is none."""

from __future__ import annotations

import pytest

from recipes.file_names import name_fault, same_file

# fmt: off
FAULTS = {
    "": "must not be empty",
    "  ": "must not be empty",
    "..": "must not begin or end with a dot",
    ".": "must not begin or end with a dot",
    ".hidden": "must not begin or end with a dot",
    "ends.": "must not begin or end with a dot",
    "../up": "must be a name, not a path: it contains /",
    "/etc": "must be a name, not a path: it contains /",
    "a/b": "must be a name, not a path: it contains /",
    "a\\b": "must be a name, not a path: it contains \\",
    " a": "must not begin or end with a space",
    "a\u3000": "must not begin or end with a space",
    "a\0b": "contains an invisible character (U+0000)",
    "a\nb": "contains an invisible character (U+000A)",
    "a\x1b[31m": "contains an invisible character (U+001B)",
    "a\x9bm": "contains an invisible character (U+009B)",
    "a\u202etxt": "contains an invisible character (U+202E)",
    "a\u200bb": "contains an invisible character (U+200B)",
    "a\u2028b": "contains an invisible character (U+2028)",
    "a\ud800": "contains an invisible character (U+D800)",
    "NUL": "is the name of a device on Windows",
    "com1.tar": "is the name of a device on Windows",
    "a" * 101: "is too long: at most 100 bytes, got 101",
    "語" * 34: "is too long: at most 100 bytes, got 102",
}
# fmt: on


@pytest.mark.parametrize(("text", "fault"), FAULTS.items(), ids=ascii)
def test_what_is_no_name_is_told(text: str, fault: str) -> None:
    assert name_fault(text) == fault


@pytest.mark.parametrize("text", ["math500", "AIME 2024", "gsm8k-test_v1.1", "数学", "Größe", "a..b", "a" * 100, "com"])
def test_what_is_a_name_passes(text: str) -> None:
    assert name_fault(text) is None


def test_names_are_one_file_whatever_their_case_and_composition() -> None:
    assert same_file("Größe") == same_file("gro\u0308ße".upper())
    assert same_file("chain") != same_file("chains")
