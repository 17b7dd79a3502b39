"""Rows as sweeps.jsonl and samples files have them, with numbers that are easy to find again."""

import json


def made_style(repetition, marks=2.25):
    """The style of a sweep as `eval.numbers.style.style_row` gives it."""
    kinds = ("verification", "backtracking", "subgoals")
    return {
        "thoughts": 80,
        "words": 412.4,
        "ngram_repetition": repetition,
        "ngram_repetition_thoughts": 80,
        "self_bleu": 0.4,
        "self_bleu_thoughts": 79,
        "reflection": {kind: {"per_1000_words": marks, "share": 0.5} for kind in kinds},
    }


def made_rows(suite="chain", protocol="hash", run_steps=(0, 10), budgets=(8, 16, 32, 64, 128)):
    """Rows as sweeps.jsonl has them: unpruned and pruned at step 0 and the run at `run_steps`."""
    found = []
    for model, step in [("unpruned", 0), ("pruned", 0), *(("run", step) for step in run_steps)]:
        top = {"unpruned": 0.95, "pruned": 0.2, "run": 0.2 + 0.05 * step}[model]
        common = {
            "step": step,
            "model": model,
            "suite": suite,
            "problems": 40,
            "groups": None,
            "samples": 2,
            "protocol": protocol,
            "method": "generate",
            "chance": None,
        }
        for k, budget in enumerate(budgets):
            accuracy = top * (k + 1) / len(budgets)
            found.append(
                common
                | {
                    "budget": budget,
                    "accuracy": accuracy,
                    "low": max(0, accuracy - 0.06),
                    "high": min(1, accuracy + 0.06),
                    "tokens_spent": budget * 0.8,
                    "answer_tokens": 0.5,
                    "total_tokens": budget * 0.8 + 0.5,
                    "closed": 0.7,
                    "cut": 0.1,
                    "looping": 0.05,
                }
            )
        found.append(
            common
            | {
                "budget": None,
                "level": top,
                "base": top / len(budgets),
                "gain_per_doubling": top / 5,
                "gain_low": top / 5 - 0.02,
                "gain_high": top / 5 + 0.02,
                "total_gain": top * 0.8,
                "termination": 0.7,
                "total_low": top * 0.8 - 0.05,
                "total_high": top * 0.8 + 0.05,
                "maj_at_n": 0.8,
                "pass_at_k": [{"k": 1, "value": 0.7}, {"k": 2, "value": 0.8}],
                "verdict": "PARTIAL" if model == "run" else None,
                "verdict_line": "PARTIAL: gain <b>" if model == "run" else None,
                "verdict_reasons": ["because"] if model == "run" else None,
                "verdict_at_least": False if model == "run" else None,
                "level_share": {"fraction": 0.67, "low": 0.55, "high": 0.8} if model == "run" else None,
                "gain_share": {"fraction": 0.74, "low": 0.6, "high": None} if model == "run" else None,
                "token_factor": [
                    {"budget": b, "factor": 1.5, "low": 1.2, "high": None, "at_most": False} for b in budgets if b
                ]
                if model == "run"
                else None,
                "problems_needed": None,
                "verdict_error": 0.025 if model == "run" else None,
                "paired": 40 if model == "run" else None,
                "recovered_fraction": [
                    {"budget": b, "fraction": None if b == 8 else 0.5, "low": 0.4, "high": 0.6} for b in budgets
                ],
                "style": made_style(0.31 if model == "pruned" else 0.02),
            }
        )
    return found


def made_thought(problem, grades, thinking="so it is 4", budgets=(8, 16)):
    """A row of a samples file: one answer at each budget, right where `grades` has a 1."""
    answers = [
        {
            "budgets": [budget],
            "thinking_tokens": budget,
            "answer_tokens": 1,
            "finished": True,
            "looping": False,
            "text": f"answer {grade}",
            "correct": grade == "1",
            "extracted": grade,
            "reason": "equal",
        }
        for budget, grade in zip(budgets, grades, strict=True)
    ]
    common = {"sample": 0, "stop": "close", "extensions": 0, "failure": "", "judged": None}
    return {"problem": problem, "thinking": thinking, "answers": answers, **common}


def write_thoughts(folder, model, step, thoughts, budgets=(8, 16)):
    """The samples file of a sweep of the suite `chain` in the run folder `folder`."""
    file = folder / "samples/chain" / f"{model}-{step:06d}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"model": model, "step": step, "suite": "chain", "budgets": list(budgets)}, *thoughts]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def made_judged(missing):
    """What a judge counted, as `eval.numbers.style.judged_row` gives it."""
    marks = {kind: {"per_1000_words": 12.5, "share": 0.4} for kind in ("verification", "backtracking", "subgoals")}
    return {"judge": "wise", "thoughts": 98, "missing": missing, "failure": "HTTP 503", "cut": 0, "reflection": marks}


def by_likelihood(suite="mmlu"):
    """The rows of a suite of choices that was asked by likelihood."""
    asked = {"method": "likelihood", "chance": 0.25}
    return [row | asked for row in made_rows(suite, budgets=(0,))]
