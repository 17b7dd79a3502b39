"""The model card of an export: lineage, loading, curve and figure, recipe. It claims no more than the verdict."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard

from eval.adapters import BASE
from eval.numbers.summary import Row, at_step, newest, steps, verdict_suite
from eval.show.tables import budget_name, cell
from prune.channels import describe_channels
from prune.plan import describe_merges, describe_ranks
from prune.repaired import describe_repairs
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder, step_of
from train.card_data import Licences, card_data, eval_results, licences, sources
from train.published import hub_id, publishable

SAYINGS = {
    "RETURNED": "On the suite below, its accuracy and its gain from longer thinking are shown to have returned.",
    "PARTIAL": "On the suite below, part of what pruning removed is shown to have returned.",
    "NOT RETURNED": "On the suite below, what pruning removed is shown not to have returned.",
    "NOTHING LOST": "The suite below shows no loss from pruning, so it cannot show recovery.",
    "NO SCALING HERE": "On the suite below, the unpruned model hardly gains from thinking either, so the suite says "
    "nothing about scaling.",
    "UNDECIDED": "The figures below do not decide whether its reasoning has returned.",
    None: "Whether its reasoning has returned was not tested.",
}
"""the second sentence of the card, by the verdict's word"""

IMPORTS = "from transformers import AutoModelForCausalLM, AutoTokenizer"
WHOLE = 'model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")'
ADAPTED = """\
base = AutoModelForCausalLM.from_pretrained("the pruned model", dtype="auto")  # see Lineage
model = PeftModel.from_pretrained(base, name)"""
LOADING = """\
```python
{imports}

name, budget = {name}, {budget}  # this repository or a local copy; maximum thinking tokens
tokenizer = AutoTokenizer.from_pretrained(name)
{load}

messages = [{{"role": "user", "content": {question}}}]
prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=True)
if prompt.rstrip().endswith({open_tag}):
    prompt = prompt.rstrip().removesuffix({open_tag})
prompt += {open}

def write(text, tokens):
    inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    written = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    return tokenizer.decode(written[0, inputs["input_ids"].shape[1] :])

thought = write(prompt, budget).split({close_tag})[0].split({stop})[0]
print(write(prompt + thought + {close} + {cue}, {answer_tokens}))
```"""


def model_card(
    folder: RunFolder,
    checkpoint: Path,
    difference: float | None,
    out: Path,
    note: str = "",
    confirmed: Sequence[Row] = (),
) -> None:
    """Writes README.md to `out`, and the figure if there is one.

    difference: between merged and trained model, in standard deviations of the logits; None for an adapter that is not
    merged. note: a caveat to print under the curve. confirmed: rows of this checkpoint's confirmation, shown first.
    Figures with a caveat appear only in the text, not in the metadata.
    """
    facts, step = folder.facts(), step_of(checkpoint)
    figure = folder.figures / "accuracy_by_budget.png"
    if figure.is_file():
        shutil.copy(figure, out)
    swept = read_rows(folder.sweeps)
    judged = confirmed or swept
    results = [] if note and not confirmed else eval_results(judged, step, facts["recipe"])
    data = card_data(facts["recipe"], facts["name"], results, "transformers" if difference is not None else "peft")
    lines = [
        f"---\n{data.to_yaml()}\n---",
        "",
        f"# {facts['name']}",
        "",
        f"A layer-pruned language model, trained on reasoning traces. {SAYINGS[_word(judged, step)]}",
        "",
        f"Step {step} of run `{facts['id']}`, made with chainmend (commit {facts.get('commit')}).",
        "",
        *_lineage(facts, difference),
        *_loading(facts, judged, data.library_name or ""),
        "## Accuracy by thinking budget",
        "",
        *(_confirmed(confirmed, step) if confirmed else []),
        *_curve(swept, step),
        "",
        *([note, ""] if note and not confirmed else []),
        *(["![accuracy against thinking budget](accuracy_by_budget.png)", ""] if figure.is_file() else []),
        *_recipe(folder.recipe),
    ]
    write_whole(out / "README.md", str(ModelCard("\n".join(lines))))


def _word(rows: Sequence[Row], step: int) -> str | None:
    """The verdict's word at `step`, or at the last sweep before it; None if there was no verdict."""
    at_sweep = _summary(rows, step) or {}
    word = at_sweep.get("verdict") or str(at_sweep.get("verdict_line") or "").partition(":")[0]
    return word if word in SAYINGS else None


def _summary(rows: Sequence[Row], step: int) -> Row | None:
    if not rows:
        return None
    suite = verdict_suite(rows)
    swept = [s for s in steps(rows, "run", suite) if s <= step]
    return at_step(rows, "run", suite, swept[-1])[1] if swept else None


def _lineage(facts: Mapping[str, Any], difference: float | None) -> list[str]:
    recipe, plan = facts["recipe"], facts.get("prune_plan") or {}
    merged = f"; merged: {describe_merges(plan['merged'])}" if plan.get("merged") else ""
    repaired = f"; {describe_repairs(plan['repairs'])}" if plan.get("repairs") else ""
    traces = (recipe.get("data") or {}).get("traces") or {}
    origins = ", ".join(dict.fromkeys(_origin(source) for source in sources(traces)))
    return [
        "## Lineage",
        "",
        f"- unpruned: {_named(recipe['model']['unpruned'])}",
        *([f"- pruned: {_named(recipe['model']['pruned'])}"] if recipe["model"].get("pruned") else []),
        f"- pruned by {plan['method']}: layers {plan['removed']} of {plan['layers']} removed{merged}{repaired}"
        f"{_narrowed(plan)}{_cuts(plan)}"
        if plan
        else "- pruning: done outside chainmend (no plan recorded)",
        f"- adapter: {recipe['adapter']['method']}; {_merged(difference)}",
        f"- data: {facts['data']['traces_kept']} traces, hash `{facts['data']['hash']}`"
        + (f", from {origins}" if origins else ""),
        f"- licence: {_licences(licences(recipe))}",
        "",
    ]


def _narrowed(plan: Mapping[str, Any]) -> str:
    """What a plan removes from layers that remain."""
    channels, ranks = plan.get("channels"), plan.get("ranks")
    return (f"; MLP channels: {describe_channels(channels['width'], channels['widths'])}" if channels else "") + (
        f"; low rank: {describe_ranks(ranks)}" if ranks else ""
    )


def _cuts(plan: Mapping[str, Any]) -> str:
    cuts = [f"{cut['method']} {cut['removed'] or cut.get('narrowed', '')}" for cut in plan.get("cuts") or ()]
    return f"; in {len(cuts)} cuts: {', then '.join(cuts)}" if cuts else ""


def _merged(difference: float | None) -> str:
    if difference is None:
        return f"not merged; fits only the pruned model whose fingerprint is in `{BASE}`"
    return f"merged in float32, largest logit difference to the trained model {difference:.1e} standard deviations"


def _named(model: str) -> str:
    """The name of a model for readers: its id on the Hub, or the last part of its folder's path."""
    return f"`{model}`" if hub_id(model) else f"a local folder, `{Path(model).name}`"


def _origin(source: Mapping[str, Any]) -> str:
    names = {
        "hub": f"`{source.get('id')}`",
        "nano": "the embedded world",
        "ways": "the second embedded world",
        "generate": "the unpruned model itself",
    }
    return names.get(source["source"], "a local file")


def _licences(stated: Licences) -> str:
    if not stated:
        return "unknown; the licences of the unpruned model and of the data apply"
    return "; ".join(f"`{name}`: {licence or 'unknown'}" for name, licence in stated.items())


def _loading(facts: Mapping[str, Any], rows: Sequence[Row], library: str) -> list[str]:
    """Code that loads the model and limits its thinking; empty if the run recorded no thinking format."""
    written = facts.get("format")
    if not written:
        return []
    budgets = [row["budget"] for row in rows if row["budget"]]
    sweep = facts["recipe"].get("sweep") or {}
    texts = {key: json.dumps(written[key]) for key in ("open", "close", "cue", "stop")}
    return [
        "## How to load the model and limit its thinking",
        "",
        LOADING.format(
            imports=IMPORTS if library == "transformers" else f"from peft import PeftModel\n{IMPORTS}",
            load=WHOLE if library == "transformers" else ADAPTED,
            name=json.dumps(facts["name"]),
            budget=max(budgets, default=1024),
            question=json.dumps("Your question"),
            open_tag=json.dumps(written["open"].strip()),
            close_tag=json.dumps(written["close"].strip()),
            answer_tokens=sweep.get("answer_tokens", 512),
            **texts,
        ),
        "",
        "The figures below were measured in this way, on token ids: thinking is cut and closed at the budget, then the "
        "model answers.",
        "",
    ]


def _recipe(file: Path) -> list[str]:
    """The recipe without the paths and addresses of the machine that it ran on."""
    values = publishable(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    return ["## Recipe", "", *_fenced(text.strip()), ""]


def _fenced(recipe: str) -> list[str]:
    """A YAML block with a fence longer than any run of backticks in the recipe, so that the recipe cannot close it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", recipe)), default=0))
    return [f"{fence}yaml", recipe, fence]


def _confirmed(rows: Sequence[Row], step: int) -> list[str]:
    """The curve on problems that no sweep saw, and the heading of the curve of the sweeps, which follows."""
    problems = newest(rows, "run", verdict_suite(rows))[0][-1]["problems"]
    return [
        f"Confirmed: on {problems} problems that no sweep of the run saw, measured once.",
        "",
        *_curve(rows, step),
        "",
        "Sweeps during training:",
        "",
    ]


def _curve(rows: Sequence[Row], step: int) -> list[str]:
    """A Markdown table of the verdict suite: unpruned, pruned, and the run at `step` or at the last sweep before it."""
    if not rows:
        return ["not measured"]
    suite = verdict_suite(rows)
    swept = [s for s in steps(rows, "run", suite) if s <= step]
    models: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None]] = {
        name: newest(rows, name, suite) for name in ("unpruned", "pruned")
    }
    if swept:
        models[f"step {swept[-1]}"] = at_step(rows, "run", suite, swept[-1])
    budgets = [row["budget"] for row in models["unpruned"][0]]
    table = [f"| {suite} | " + " | ".join(map(budget_name, budgets)) + " |", "|---" * (len(budgets) + 1) + "|"]
    table += [
        f"| {name} | " + " | ".join(map(cell, at_budgets)) + " |"
        for name, (at_budgets, _) in models.items()
        if at_budgets
    ]
    verdict = models.get(f"step {swept[-1]}" if swept else "", ([], None))[1]
    return [*table, "", (verdict or {}).get("verdict_line") or "no verdict"]
