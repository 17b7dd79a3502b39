"""The shipped reasoner of the second world: its own sweep rises with the budget, and a cut takes that away."""

from __future__ import annotations

import pytest

from eval.__main__ import main
from prune.__main__ import main as prune
from runtime.files import read_rows

SUITE = "{source: nano, name: ways, family: ways, size: 64}"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Accuracy at 16, 64 and 224 tokens, on 64 problems: of the unpruned model, and without its last two layers."""
    folder = tmp_path_factory.mktemp("second")
    prune(["recipe=ways_recovery.yaml", f"output={folder / 'cut'}"])
    keys = ["sweep.budgets=[16,64,224]", "sweep.samples=1", f"sweep.suites=[{SUITE}]"]
    main(["recipe=ways_recovery.yaml", f"model=data_prep/nano_ways_model,{folder / 'cut'}", f"out={folder}", *keys])
    return {
        path.parent.name: [row["accuracy"] for row in read_rows(path) if row["budget"] is not None]
        for path in folder.rglob("sweeps.jsonl")
    }


def test_longer_thoughts_help_the_unpruned_model(curves: dict[str, list[float]]) -> None:
    short, middle, long = curves["nano_ways_model"]
    assert short < middle < long


def test_longer_thoughts_help_the_model_without_its_last_layers_less(curves: dict[str, list[float]]) -> None:
    gains = {name: accuracies[-1] - accuracies[0] for name, accuracies in curves.items()}
    assert gains["cut"] < gains["nano_ways_model"] / 2
