"""Run folders that were never trained, with numbers that are easy to find again."""

import json

from eval.comparing.finished import read_run
from tests.eval.show.made_rows import made_rows

RECIPE = {
    "keep_best": None,
    "adapter": {"method": "lora", "r": 8},
    "trainer": {"learning_rate": 0.001, "max_steps": 10},
}
PLAN = {"method": "tail", "layers": 8, "removed": [6, 7]}


def made_run(folder, record=None, **how):
    """A run that was swept as `made_rows` says and has trained 5,000 tokens in 7 seconds; `record`: its run.json."""
    folder.mkdir(parents=True)
    (folder / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made_rows(**how)))
    (folder / "metrics.jsonl").write_text('{"step": 1, "tokens": 5000, "seconds": 7, "sweep_seconds": 3}\n')
    if record is not None:
        (folder / "run.json").write_text(json.dumps(record))
    return folder


def read_made(folder, record=None, **how):
    return read_run(made_run(folder, record, **how))


def made_samples(folder, right, step=10, problems=60, group=lambda p: {}):
    """The thoughts of a sweep at 8 and 16 tokens; `right`: how many of the problems are right at each; `group`: what
    the row of a problem says of it."""
    file = folder / "samples/chain" / f"run-{step:06d}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    header = {"model": "run", "step": step, "suite": "chain", "budgets": [8, 16], "protocol": "hash"}
    rows = [made_thought(p, [p < count for count in right], **group(p)) for p in range(problems)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))
    return file


def made_thought(problem, correct, sample=0, thinking="so", **more):
    """A row of a samples file whose answers at 8 and 16 tokens are `correct` or not."""
    answers = [
        {
            "budgets": [budget],
            "thinking_tokens": budget,
            "answer_tokens": 1,
            "finished": True,
            "looping": False,
            "text": "7",
            "correct": right,
            "extracted": "7",
            "reason": "equal",
        }
        for budget, right in zip((8, 16), correct, strict=True)
    ]
    return {
        "problem": f"p{problem}",
        "sample": sample,
        "stop": "close",
        "extensions": 0,
        "thinking": thinking,
        "answers": answers,
        "failure": "",
        **more,
    }
