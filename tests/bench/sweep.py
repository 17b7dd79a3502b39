"""The cost of a sweep: `python -m tests.bench.sweep`.

Four ways to the same answers on the embedded model, run in turns, medians of the rounds:
  sweep      one thought a problem, answers forked at every budget (what chainmend does)
  largest    the largest budget alone, by the same engine
  generate   transformers' `model.generate`, one run a budget (the rival)
  generate1  transformers' `model.generate`, the largest budget alone
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from data_prep.models import load_model, load_tokenizer
from eval.engines.hf import HFEngine
from eval.protocol import Protocol
from eval.quiet import quiet
from eval.sweep import SweepSpec, make_sweep_spec, suite_requests
from eval.types import Request
from recipes.loader import load_recipe

ROUNDS = 5
Answers = dict[tuple[str, int], tuple[int, ...]]


def by_engine(model: PreTrainedModel, requests: Sequence[Request], protocol: Protocol, batch_size: int) -> Answers:
    """(problem, budget) to answer ids, by the sweep's engine."""
    with quiet(model):
        thoughts = list(HFEngine(model, protocol, batch_size).think(requests))
    return {(t.problem, budget): a.answer_ids for t in thoughts for a in t.answers for budget in a.budgets}


def generate(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], config: GenerationConfig, batch_size: int
) -> list[list[int]]:
    """Continuations of left-padded batches, prompts of similar length together, cut after the first end token."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        longest = max(len(prompts[i]) for i in chosen)
        ids = torch.tensor([[0] * (longest - len(prompts[i])) + list(prompts[i]) for i in chosen])
        mask = torch.tensor([[0] * (longest - len(prompts[i])) + [1] * len(prompts[i]) for i in chosen])
        output = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)[:, longest:].tolist()
        for i, row in zip(chosen, output, strict=True):
            ends = [at for at, token in enumerate(row) if token in config.eos_token_id]
            found[i] = row[: ends[0] + 1] if ends else row
    return [found[i] for i in range(len(prompts))]


@torch.inference_mode()
def by_generate(model: PreTrainedModel, requests: Sequence[Request], protocol: Protocol, batch_size: int) -> Answers:
    """The same answers by one thinking run and one answering run a budget."""
    fmt, answers = protocol.format, {}
    close, stops = fmt.close_tag_ids[0], list(fmt.stop_ids)
    for budget in protocol.budgets:
        common = {"do_sample": False, "pad_token_id": 0}
        think = GenerationConfig(max_new_tokens=budget, eos_token_id=[close, *stops], **common)
        thoughts = generate(model, [r.prompt_ids for r in requests], think, batch_size)
        kept = [t[:-1] if t[-1] in (close, *stops) else t for t in thoughts]
        prompts = [[*r.prompt_ids, *k, *fmt.forced_close_ids] for r, k in zip(requests, kept, strict=True)]
        answer = GenerationConfig(
            max_new_tokens=protocol.answer_tokens, eos_token_id=stops, suppress_tokens=list(fmt.banned_ids), **common
        )
        found = generate(model, prompts, answer, batch_size)
        for request, ids in zip(requests, found, strict=True):
            answers[request.problem, budget] = tuple(ids[:-1] if ids and ids[-1] in stops else ids)
    return answers


def measure(ways: dict[str, Callable[[], Answers]]) -> tuple[dict[str, float], dict[str, Answers]]:
    """Median seconds of each way over the rounds, run in turns after a warm-up, and the answers of the last round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, Answers] = {}
    for measured in range(-1, ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            answers[name] = way()
            if measured >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}, answers


def best_batch_size(model: PreTrainedModel, requests: Sequence[Request], protocol: Protocol) -> int:
    """The batch size at which the rival is fastest here."""

    def seconds(batch_size: int) -> float:
        started = time.perf_counter()
        by_generate(model, requests, protocol, batch_size)
        return time.perf_counter() - started

    return min((64, 128, 256), key=seconds)


def chain_plan(tokenizer: PreTrainedTokenizerBase, budgets: Sequence[int]) -> SweepSpec:
    """The shipped recipe's chain suite at other budgets."""
    recipe = load_recipe(["recipe=full_recovery.yaml", f"sweep.budgets={list(budgets)}"]).recipe
    return make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)


def main() -> None:
    recipe = load_recipe(["recipe=full_recovery.yaml"]).recipe
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    model = load_model(recipe.model.unpruned, recipe.model)
    for budgets, most, least in (([16, 32, 64, 128, 256], 1.15, 5), ([13 * i for i in range(1, 11)], 1.25, 12)):
        plan = chain_plan(tokenizer, budgets)
        requests, protocol = suite_requests(plan.suites[-1], plan), plan.protocol
        alone = replace(protocol, budgets=protocol.budgets[-1:])
        batch_size = best_batch_size(model, requests, alone)
        seconds, answers = measure(
            {
                "sweep": lambda p=protocol, r=requests, b=recipe.sweep.engine.batch_size: by_engine(model, r, p, b),  # type: ignore[misc]
                "largest": lambda p=alone, r=requests, b=recipe.sweep.engine.batch_size: by_engine(model, r, p, b),  # type: ignore[misc]
                "generate": lambda p=protocol, r=requests, b=batch_size: by_generate(model, r, p, b),  # type: ignore[misc]
                "generate1": lambda p=alone, r=requests, b=batch_size: by_generate(model, r, p, b),
            }
        )  # type: ignore[misc]
        different = sum(answers["generate"][key] != answer for key, answer in answers["sweep"].items())
        print(
            f"\n{len(requests)} problems, budgets {', '.join(map(str, budgets))}; medians of {ROUNDS} rounds, "
            f"generate at batch {batch_size}"
        )
        for name, value in seconds.items():
            print(f"  {name:10} {value:7.2f} s")
        print(f"  sweep / largest budget alone      {seconds['sweep'] / seconds['largest']:.2f}   (at most {most})")
        print(f"  sweep / generate, largest alone   {seconds['sweep'] / seconds['generate1']:.2f}")
        print(f"  generate a budget / sweep         {seconds['generate'] / seconds['sweep']:.2f}   (at least {least})")
        print(f"  answers that differ               {different} of {len(answers['sweep'])}")


if __name__ == "__main__":
    main()
