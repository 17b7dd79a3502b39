"""The tables of a comparison, made from its document, and the flat rows of its CSV files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.numbers.fractions import share_text
from eval.show.formats import Table
from eval.show.tables import budget_name, cell, gain_cell, gain_note

MOST_PAIRS = 45  # pairs written out in a table, those of ten runs; CSV and JSON hold all
MOST_NAMES = 3  # names shown of the runs that share a reference

IN_SEVERAL_COLUMNS = ("accuracy", "recovered_fraction", "pass_at_k", "maj_at_k", "level_share", "gain_share")

Document = Mapping[str, Any]
Cells = tuple[str, ...]


def tables(document: Document) -> list[Table]:
    """What was trained, the sweeps, the keys that differ, and the paired differences."""
    recorded = [run for run in document["runs"] if run["tokens"] is not None or run["recipe"]]
    found = [*([trained(document)] if recorded else []), sweeps(document)]
    some = 0 < len(document["without_recipe"]) < len(document["runs"])
    found += [differing_keys(document)] if document["differing_keys"] or some else []
    return [*found, *([] if len(document["runs"]) < 2 else [pair_table(document)])]


def trained(document: Document) -> Table:
    """One line per run: recipe, pruning, adapter, step, tokens and seconds."""
    heads = ("run", "recipe", "pruning", "adapter", "step", "tokens", "seconds", "with sweeps")
    lines = tuple(
        (
            run["run"],
            run["recipe"] or "-",
            _pruning(run),
            _adapter(run),
            _step(run),
            *(_whole(run[key]) for key in ("tokens", "seconds", "seconds_with_sweeps")),
        )
        for run in document["runs"]
    )
    return Table("what was trained (seconds: of training, without sweeps and with them)", heads, lines)


def _pruning(run: Mapping[str, Any]) -> str:
    removed = run["layers_removed"]
    layers = f", {removed} of {run['layers']} layers" if removed else ""
    return (run["pruning"] or "-") + layers


def _adapter(run: Mapping[str, Any]) -> str:
    rank = f" r={run['rank']}" if run["rank"] is not None else ""
    return (run["adapter"] or "-") + rank


def _step(run: Mapping[str, Any]) -> str:
    return f"{run['step']:,}" + (f" of {run['last_sweep_step']:,}" if run["step"] != run["last_sweep_step"] else "")


def _whole(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.0f}"


def sweeps(document: Document) -> Table:
    """One line per model, unpruned and pruned first: accuracy at each budget, gain, recovered fraction, verdict."""
    budgets = document["budgets"]
    largest = budget_name(budgets[-1])
    heads = (
        "model",
        *map(budget_name, budgets),
        "gain per doubling",
        f"recovered at {largest}",
        "verdict",
        "confirmed",
    )
    lines = [(_whose(each, document), *_measured(each, budgets), "-", "-", "-") for each in document["references"]]
    lines += [
        (run["run"], *_measured(run, budgets), _recovered(run), run["verdict"] or "-", run["standing"])
        for run in document["runs"]
    ]
    notes = {note: None for run in document["runs"] if (note := gain_note(run))}
    said = tuple(f"gain and recovered fraction of runs: {note}" for note in notes)
    title = f"{document['suite']}: accuracy by thinking budget, 95 % intervals"
    return Table(title, *_without_empty(heads, lines), said)


def _without_empty(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> tuple[Cells, tuple[Cells, ...]]:
    """The table without columns in which every line is empty."""
    kept = [column for column in range(len(heads)) if any(line[column] not in ("-", "") for line in lines)]
    return tuple(heads[column] for column in kept), tuple(tuple(line[column] for column in kept) for line in lines)


def _whose(reference: Mapping[str, Any], document: Document) -> str:
    of, model = reference["of"], str(reference["model"])
    if len(of) == len(document["runs"]):
        return model
    more = f" and {len(of) - MOST_NAMES} more" if len(of) > MOST_NAMES else ""
    return f"{model} of {', '.join(of[:MOST_NAMES])}{more}"


def _measured(model: Mapping[str, Any], budgets: Sequence[int]) -> tuple[str, ...]:
    cells = {row["budget"]: cell(row) for row in model["accuracy"]}
    return (*(cells.get(budget, "-") for budget in budgets), gain_cell(dict(model)))


def _recovered(run: Mapping[str, Any]) -> str:
    fractions = run["recovered_fraction"]
    if not fractions:
        return "-"
    return "undefined" if fractions[-1]["fraction"] is None else share_text(fractions[-1])


def differing_keys(document: Document) -> Table:
    """The recipe keys in which the runs differ, and no others: one line per run."""
    keys = document["differing_keys"]
    recorded = [run["run"] for run in document["runs"] if run["run"] not in document["without_recipe"]]
    lines = tuple((run, *(_value(keys[key], run) for key in keys)) for run in recorded)
    without = document["without_recipe"]
    notes = (f"without a recipe in run.json: {', '.join(without)}",) if without else ()
    return Table("recipe keys that differ", ("run", *keys), lines, notes)


def _value(of_runs: Mapping[str, Any], run: str) -> str:
    """As YAML would write it; `-` if the run's recipe has no such key."""
    value = of_runs.get(run, "-")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def pair_table(document: Document) -> Table:
    """One line per pair of runs and number, for at most MOST_PAIRS pairs; without pairs, only a title that says why."""
    pairs = document["pairs"]
    if pairs["why_none"]:
        return Table(f"no paired differences: {pairs['why_none']}", ("",), ())
    grouped = f" in {pairs['groups']} groups, by which intervals are clustered" if pairs["groups"] else ""
    names = list(dict.fromkeys((each["first"], each["second"]) for each in pairs["differences"]))
    shown = set(names[:MOST_PAIRS])
    lines = tuple(_line(each) for each in pairs["differences"] if (each["first"], each["second"]) in shown)
    pairs_of = "1 pair" if len(names) == 1 else f"{len(names)} pairs"
    notes = [f"p by Holm: corrected for {pairs_of}; accuracy at budgets also for the number of budgets"]
    if len(names) > MOST_PAIRS:
        notes.append(
            f"{len(names) - MOST_PAIRS} more pairs are not shown: format=csv and format=json have all, "
            "against=RUN compares with one run"
        )
    heads = ("paired difference", "", "first - second, 95 % interval", "p", "p by Holm")
    return Table(f"{pairs['problems']} problems that all runs have{grouped}", heads, lines, tuple(notes))


def _line(each: Mapping[str, Any]) -> tuple[str, ...]:
    where = "" if each["budget"] is None or each["what"] == "level" else f" at {budget_name(each['budget'])}"
    number = f"{each['estimate']:+.3f} [{each['low']:+.3f}, {each['high']:+.3f}]"
    pair = f"{each['first']} - {each['second']}"
    return pair, each["what"] + where, number, f"{each['p']:.2g}", f"{each['adjusted']:.2g}"


def flat_models(document: Document) -> Iterator[dict[str, Any]]:
    """One row per model for CSV, unrounded, references first; the differing keys as `recipe.<key>`."""
    for reference in document["references"]:
        yield {"model": reference["model"], "run": "; ".join(reference["of"]), **_flat(reference, ("model", "of"))}
    for run in document["runs"]:
        keys = {
            f"recipe.{key}": json.dumps(value) if isinstance(value := values.get(run["run"]), list | dict) else value
            for key, values in document["differing_keys"].items()
        }
        yield {"model": "run", "run": run["run"], **_flat(run, ("run",)), **keys}


def _flat(model: Mapping[str, Any], but: Sequence[str]) -> dict[str, Any]:
    """Plain values unchanged, and one column per budget, `NAME_<budget>`, for a sweep's values at each budget."""
    row = {key: value for key, value in model.items() if key not in (*IN_SEVERAL_COLUMNS, *but)}
    for at in model["accuracy"]:
        row |= {f"{key}_{at['budget']}": value for key, value in at.items() if key != "budget"}
    for at in model["recovered_fraction"] or []:
        row[f"recovered_{at['budget']}"] = at["fraction"]
        row |= {f"recovered_{end}_{at['budget']}": at[end] for end in ("low", "high")}
    for key in ("pass_at_k", "maj_at_k"):
        row |= {f"{key.removesuffix('k')}{at['k']}": at["value"] for at in model[key] or []}
    for key in ("level_share", "gain_share"):
        row |= {key if name == "fraction" else f"{key}_{name}": value for name, value in (model[key] or {}).items()}
    return row


def flat_pairs(document: Document) -> Iterator[dict[str, Any]]:
    """One row per pair of runs and number for CSV, unrounded."""
    for each in document["pairs"]["differences"]:
        yield {key: value for key, value in each.items() if key != "adjusted"} | {"p_holm": each["adjusted"]}
