"""What the libraries still say in the terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import datasets
import pytest
import transformers

from runtime.libraries import calm_libraries


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    level = transformers.logging.get_verbosity()
    with warnings.catch_warnings():
        yield
    transformers.logging.set_verbosity(level)


@pytest.mark.parametrize(("rank", "level"), [(0, logging.WARNING), (1, logging.ERROR)])
def test_only_the_first_rank_warns(rank: int, level: int) -> None:
    calm_libraries(rank)
    assert (transformers.logging.get_verbosity(), logging.getLogger("deepspeed").level) == (level, level)


def test_no_bars_but_our_own() -> None:
    calm_libraries(0)
    assert datasets.are_progress_bars_disabled()
    assert not transformers.logging.is_progress_bar_enabled()


def test_deprecations_between_libraries_are_not_shown() -> None:
    calm_libraries(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn_explicit("x is deprecated", FutureWarning, "a.py", 1, module="transformers.modeling_utils")
    assert caught == []
