"""Results of a study with planted truths: one arm recovers, one does not, and of one it cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recipes.study import StudyRecipe
from train.study.results import Answers, ArmResult, Results, Trained

BUDGETS = (0, 8, 16, 32)
PROBLEMS = 400
UNPRUNED, PRUNED = (0.1, 0.3, 0.6, 0.9), (0.1, 0.1, 0.15, 0.2)
CURVES = {
    "back": (0.1, 0.3, 0.6, 0.9),  # all of it
    "not": PRUNED,
    "unsure": (0.1, 0.3, 0.5, 0.76),  # .8 of the loss of .7, as near to the claim's line as can be
}


def answers(curve: Sequence[float], seed: int = 0) -> Answers:
    """Problems in order of difficulty, so that a share of exactly `curve` is solved; `seed` shifts who they are."""
    places = (np.arange(PROBLEMS) + 7 * seed) % PROBLEMS
    correct = (places[:, None] < np.array(curve) * PROBLEMS - 1e-9).astype(float)
    return Answers(correct, correct[:, -1])


def summary_rows(levels: Sequence[float]) -> tuple[dict[str, Any], ...]:
    """Rows of sweeps.jsonl: a reference each, and the run after steps 10, 20, …, which ends as often as it is right."""
    rows: list[dict[str, Any]] = []
    swept = [("unpruned", 0, 0.9), ("pruned", 0, 0.2)]
    for model, step, level in [*swept, *(("run", 10 * (n + 1), level) for n, level in enumerate(levels))]:
        common = {"model": model, "step": step, "suite": "chain"}
        rows.append({**common, "budget": 32, "accuracy": level})
        rows.append(
            {
                **common,
                "budget": None,
                "base": 0.1,
                "level": level,
                "termination": level,
                "gain_per_doubling": level / 4,
            }
        )
    return tuple(rows)


def trained(curve: Sequence[float], seed: int, labelled_tokens: float = 1000.0) -> Trained:
    before, after = PRUNED[-1], curve[-1]
    return Trained(
        seed=seed,
        answers={"run": answers(curve, seed), "unpruned": answers(UNPRUNED), "pruned": answers(PRUNED)},
        tokens=2 * labelled_tokens,
        labelled_tokens=labelled_tokens,
        seconds=12.0,
        sweep_seconds=3.0,
        rows=summary_rows([before, after]),
        way=((0.0, before), (labelled_tokens, after)),
    )


def arm(name: str, seeds: Sequence[int] = (1, 2, 3), labelled_tokens: float = 1000.0) -> ArmResult:
    trainings = tuple(trained(CURVES[name], seed, labelled_tokens) for seed in seeds)
    return ArmResult(name, f"the arm that is {name}", trainings)


RESULTS = Results("chain", BUDGETS, PROBLEMS, tuple(arm(name) for name in CURVES))

STUDY = StudyRecipe.model_validate(
    {
        "question": "Does <it> come back?",
        "base": "full_recovery.yaml",
        "arms": {name: {"title": f"the arm that is {name}"} for name in (*CURVES, "gone")},
        "pairs": [["back", "not"], ["back", "unsure"], ["back", "gone"]],
        "claims": {
            "comes": {"kind": "back", "arm": "back", "number": "level", "share": 0.8, "expected": "above"},
            "sham": {"kind": "back", "arm": "not", "number": "level", "share": 0.2, "expected": "above"},
            "open": {"kind": "back", "arm": "unsure", "number": "level", "share": 0.8, "expected": "above"},
            "more": {"kind": "difference", "arm": "back", "against": "not", "number": "gain", "expected": "above"},
            "off": {
                "kind": "difference",
                "arm": "back",
                "against": "pruned",
                "number": "thinking_off",
                "expected": "above",
            },
            "gone": {"kind": "difference", "arm": "gone", "against": "back", "number": "level", "expected": "below"},
        },
    }
)
