"""`python -m train.plan recipe=FILE gpus=8 gpu_memory_gb=80 [key=value …]`: estimates a run before its launch.

No weights are loaded, except by `measure=true`, which runs the recipe for a few steps: the model is built from its
config on the meta device. A model on the Hub is looked up as in a run. Traces are read if they are on this machine;
otherwise give their counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.reading import parse_value
from recipes.schema import Recipe
from runtime.files import writing_fault

OWN = {
    "gpus": "GPUs of the run, one rank each; without it the run uses the CPUs of this machine",
    "card": "name of the GPUs, such as H100, to look up known figures; default: this machine's",
    "measure": "true: run three steps and a small sweep on this machine, with as many ranks as gpus or ranks",
    "gpu_memory_gb": "memory of one GPU in GiB; without it nothing is checked for fit",
    "gpus_per_node": "GPUs of one machine; default: 8, or all if there are fewer",
    "ranks": "processes of a run on CPUs; default 1",
    "host_memory_gb": "main memory of one machine in GiB; default: this machine's for a run on CPUs, else not checked",
    "disk_gb": "free disk in GiB for the run folder; default: not checked",
    "base_gb": "memory of a rank before a model is loaded, in GiB; default: measured on CPUs and on a local GPU, "
    "else assumed by card",
    "traces": "number of traces, if they cannot be read here (with tokens)",
    "tokens": "their total tokens (with traces)",
    "flops_per_second": "FLOPs per second of one rank, as you measured; gives hours of training",
    "tokens_per_second": "training tokens per second of the whole run, as you measured; gives hours of training",
    "json": "file for the estimate as JSON; json=- prints it instead of the table",
}
WORDS = ("json", "card", "measure")
WHOLE = ("gpus", "gpus_per_node", "ranks", "traces", "tokens")


def main(arguments: list[str]) -> None:
    texts, rest = split(["json=-" if word == "--json" else word for word in arguments], OWN, Recipe)
    numbers = {key: _number(key, text) for key, text in texts.items() if key not in WORDS}
    _check_pairs(numbers)
    _check_words(texts)
    asked = _asks_to_measure(texts.get("measure", "false"))
    load_recipe(rest)  # here too, so that mistakes are found before torch and DeepSpeed are loaded
    from runtime.libraries import calm_libraries
    from train.plan.estimate import estimate_run  # torch and DeepSpeed are loaded only if the arguments are valid
    from train.plan.measure import measure
    from train.plan.table import table

    calm_libraries(rank=0)
    measured = measure(rest, int(numbers.get("gpus", numbers.get("ranks", 1)))) if asked else None
    estimate = estimate_run(rest, numbers, texts.get("card", ""), measured)
    facts = json.dumps(estimate.facts(), indent=2) + "\n"
    if texts.get("json") == "-":
        print(facts, end="")
        return
    if "json" in texts:
        _write(Path(texts["json"]), facts)
    print(table(estimate))


def _number(key: str, text: str) -> float:
    """The number above 0 in `text`. UserError if there is none."""
    try:
        value = parse_value(text)
    except ValueError:
        value = text
    expected = "a whole number" if key in WHOLE else "a number"
    kinds = (int,) if key in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < math.inf:
        raise UserError(f"{key}={text}: must be {expected} above 0 ({OWN[key]})")
    return value


def _asks_to_measure(text: str) -> bool:
    if text not in ("true", "false"):
        raise UserError(f"measure={text}: must be true or false ({OWN['measure']})")
    return text == "true"


def _check_pairs(numbers: Mapping[str, float]) -> None:
    if ("traces" in numbers) != ("tokens" in numbers):
        raise UserError("traces and tokens go together: the number of traces, and their total tokens")
    if "ranks" in numbers and "gpus" in numbers:
        raise UserError("ranks is for a run on CPUs and gpus for one on GPUs; give one of them")
    for key in ("gpu_memory_gb", "gpus_per_node"):
        if key in numbers and "gpus" not in numbers:
            raise UserError(f"{key} needs gpus=N, the GPUs of the run")


def _check_words(texts: Mapping[str, str]) -> None:
    """UserError before anything is estimated or measured, which may take minutes."""
    for key in WORDS:
        if texts.get(key) == "":
            raise UserError(f"{key}= is empty: give a value, or leave it out ({OWN[key]})")
    file = Path(texts.get("json", "-"))
    if file.is_dir():
        raise UserError(f"json={file}: is a folder; name a file in it")
    if texts.get("json", "-") != "-" and (fault := writing_fault(file.parent)):
        raise UserError(f"json={file}: cannot be written ({fault})")


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise UserError(f"json={file}: cannot be written ({fault.strerror})") from None


if __name__ == "__main__":
    run(main)
