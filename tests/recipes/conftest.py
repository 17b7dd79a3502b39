"""A small recipe on disk and two ways to load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import Recipe

SMALL = """
model: {unpruned: some/model}
prune: {method: tail, layers: 2}
adapter: {method: lora, r: 4}
data: {traces: {source: nano, size: 10}, max_length_tokens: 64}
trainer: {learning_rate: 5e-4, max_steps: 7}
sweep:
  budgets: [16, 32]
  every_steps: 10
  answer_tokens: 4
  suites:
    - {source: nano, name: chain, family: chain, size: 8}
    - {source: nano, name: knowledge, family: knowledge, size: 8}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def load_small(small: Path) -> Callable[..., Recipe]:
    return lambda *arguments: load_recipe([f"recipe={small}", *arguments]).recipe


@pytest.fixture
def refusal(small: Path) -> Callable[..., str]:
    """The message with which the small recipe and the arguments are refused."""

    def message(*arguments: str) -> str:
        with pytest.raises(UserError) as caught:
            load_recipe([f"recipe={small}", *arguments])
        return str(caught.value)

    return message
