"""The sweep in process on a GPU: `python -m tests.bench.gpu_sweep [SECONDS] [quick]` prints rows of JSON.

Random Qwen3 shapes in bfloat16, prompts of 64 to 200 tokens, thoughts that all go to their budget. In one process and
in turns: chainmend's engine (and the same without CUDA graphs), `model.generate`, transformers' continuous batching.
Then the first sweep against the second, five doubling budgets against the largest alone, the thoughts that differ from
`generate`'s (beside those that differ between two batch sizes of `generate`), and a large shape against what its memory
traffic allows. What there is no time for is a row without a value.

A row: {"name", "value", "unit", "target", "rival", "ratio"} and, where there is more to say, "note".
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from data_prep.tokens.prompts import ThinkFormat
from eval.engines.hf import HFEngine, by_device, without_graphs
from eval.engines.memory import GIGABYTE, PeakMemory
from eval.protocol import Protocol
from eval.quiet import quiet
from eval.types import Request, Thought
from tests.eval.scripted import make_protocol

BYTES_PER_SECOND = 3.0e12
"""what an H100 copies (measured); a step must read the weights once and the cache of every row"""
COMPARED_TOKENS = 128
SHORTEST_PROMPT, LONGEST_PROMPT = 64, 200
NO_TIME = "no time was left for it"
Row = dict[str, Any]
Tokens = dict[str, tuple[int, ...]]
"""problem to the tokens of its thought"""


@dataclass(frozen=True)
class Case:
    """A Qwen3 shape, and the thoughts that it writes."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    tied: bool
    rows: int
    tokens: int
    vocabulary: int = 151_936
    head: int = 128
    limit_gb: float = 40.0


SMALL = Case("0.6B", 1024, 28, 16, 8, 3072, True, rows=128, tokens=1024)
LARGE = Case("8B", 4096, 36, 32, 8, 12_288, False, rows=64, tokens=2048)
SECONDS = 170.0


def model_of(case: Case, device: str) -> PreTrainedModel:
    """The same random weights every time."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen3ForCausalLM(
                Qwen3Config(
                    vocab_size=case.vocabulary,
                    hidden_size=case.hidden,
                    num_hidden_layers=case.layers,
                    num_attention_heads=case.heads,
                    num_key_value_heads=case.kv_heads,
                    head_dim=case.head,
                    intermediate_size=case.intermediate,
                    max_position_embeddings=40_960,
                    tie_word_embeddings=case.tied,
                    bos_token_id=None,
                    eos_token_id=None,
                    pad_token_id=0,
                )
            )
    finally:
        torch.set_default_dtype(before)
    return model.eval()


def requests_of(case: Case) -> list[Request]:
    draw = random.Random(0)
    words = range(8, case.vocabulary - 8)
    return [
        Request(str(i), 0, tuple(draw.choices(words, k=draw.randint(SHORTEST_PROMPT, LONGEST_PROMPT))))
        for i in range(case.rows)
    ]


def protocol_of(case: Case, budgets: Sequence[int]) -> Protocol:
    """One in which random weights hardly ever close: the marks are the last two of the vocabulary."""
    close, stop = case.vocabulary - 1, case.vocabulary - 2
    fmt = ThinkFormat(
        open="<t>",
        close="</t>",
        cue="",
        wait="",
        stop="<eos>",
        close_mark=((close,),),
        forced_close_ids=(close,),
        own_close_ids=(close,),
        wait_ids=(),
        banned_ids=(close,),
        stop_ids=(stop,),
    )
    return make_protocol(budgets, fmt, answer_tokens=4, vocabulary_size=case.vocabulary)


class Ways:
    """The ways to the same thoughts on one model."""

    def __init__(self, case: Case, device: str) -> None:
        self.case, self.model, self.requests = case, model_of(case, device), requests_of(case)
        # On a GPU the rival runs at its own settings. On a CPU it would take most of the main memory for its cache.
        small = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=256)
        self.batching = small if device == "cpu" else None

    def engine(self, budgets: Sequence[int], graphs: bool = True) -> Tokens:
        limit, make_steps = int(self.case.limit_gb * GIGABYTE), by_device if graphs else without_graphs
        with quiet(self.model):
            engine = HFEngine(self.model, protocol_of(self.case, budgets), self.case.rows, limit, make_steps)
            thoughts = [one for one in engine.think(self.requests) if isinstance(one, Thought)]
        return {thought.problem: thought.thinking_ids for thought in thoughts}

    @torch.inference_mode()
    def generate(self, tokens: int, batch_size: int) -> Tokens:
        found: Tokens = {}
        for start in range(0, len(self.requests), batch_size):
            chosen = self.requests[start : start + batch_size]
            longest = max(len(request.prompt_ids) for request in chosen)
            gaps = [longest - len(request.prompt_ids) for request in chosen]
            ids = [[0] * gap + list(request.prompt_ids) for gap, request in zip(gaps, chosen, strict=True)]
            mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
            output = self.model.generate(
                input_ids=torch.tensor(ids, device=self.model.device),
                attention_mask=torch.tensor(mask, device=self.model.device),
                generation_config=GenerationConfig(max_new_tokens=tokens, do_sample=False, pad_token_id=0),
            )
            for request, row in zip(chosen, output[:, longest:].tolist(), strict=True):
                found[request.problem] = tuple(row)
        return found

    def continuous(self, tokens: int) -> Tokens:
        before = self.model.config._attn_implementation
        config = GenerationConfig(max_new_tokens=tokens, eos_token_id=-1, pad_token_id=0, do_sample=False)
        prompts = [list(request.prompt_ids) for request in self.requests]
        try:
            found = self.model.generate_batch(
                prompts, generation_config=config, progress_bar=False, continuous_batching_config=self.batching
            )
        finally:
            self.model.set_attn_implementation(before)
        return {str(i): tuple(output.generated_tokens) for i, output in enumerate(found.values())}


def run(case: Case, large: Case, seconds: float, device: str) -> Iterator[Row]:
    """All rows, within about so many seconds."""
    end = time.monotonic() + seconds
    ways = Ways(case, device)
    yield from _speeds(ways, end)
    yield from _differences(ways, end)
    del ways
    if device == "cuda":
        torch.cuda.empty_cache()
    yield from _large(large, end, device)


def _timed(way: Callable[[], Tokens]) -> tuple[float, Tokens]:
    """Seconds, and what came."""
    started = time.perf_counter()
    found = way()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, found


def _speed(timed: tuple[float, Tokens]) -> float:
    return sum(map(len, timed[1].values())) / timed[0]


def _speeds(ways: Ways, end: float) -> Iterator[Row]:
    case, what = ways.case, f"{ways.case.name}, {ways.case.rows} thoughts of {ways.case.tokens}"
    alone = [case.tokens]
    memory = PeakMemory()
    first = _timed(lambda: ways.engine(alone))
    second = _timed(lambda: ways.engine(alone))
    yield _row(f"{what}: memory beside the weights", memory.bytes() / GIGABYTE, "GiB", f"at most {case.limit_gb:g}")
    yield _row(f"{what}: first sweep / second", first[0] / second[0], "", "at most 1.2")
    doubling = sorted({max(1, case.tokens >> shift) for shift in range(5)})
    five = _timed(lambda: ways.engine(doubling))
    yield _row(f"{what}: {len(doubling)} doubling budgets / the largest alone", five[0] / second[0], "", "at most 1.15")
    rivals: dict[str, tuple[Callable[[], Tokens], str | None]] = {
        "generate": (lambda: ways.generate(case.tokens, case.rows), "at least 3"),
        "continuous batching": (lambda: ways.continuous(case.tokens), "at least 1.5"),
        "without CUDA graphs": (lambda: ways.engine(alone, graphs=False), None),
    }
    mine = [_speed(second)]
    for name, (way, target) in rivals.items():
        if time.monotonic() > end:
            yield _not_measured(f"{what}: / {name}", NO_TIME)
            continue
        try:
            speed = _speed(_timed(way))
        except Exception as fault:  # a rival that fails is a line of the page, not its end
            yield _not_measured(f"{what}: / {name}", f"{type(fault).__name__}: {str(fault)[:200]}")
            continue
        mine.append(_speed(_timed(lambda: ways.engine(alone))))
        yield _row(f"{what}: chainmend / {name}", mine[-1] / speed, "", target)
        yield _row(f"{what}: chainmend and {name}", mine[-1], "thinking tokens/s", None, speed)
    yield _row(f"{what}: chainmend", statistics.median(mine), "thinking tokens/s", "at least 12,000")


def _differences(ways: Ways, end: float) -> Iterator[Row]:
    """How many thoughts differ within their first tokens, where rounding sends them apart."""
    case = ways.case
    name, tokens = f"{case.name}: thoughts that differ from generate's", min(COMPARED_TOKENS, case.tokens)
    if time.monotonic() > end:
        yield _not_measured(name, NO_TIME)
        return
    mine, theirs = ways.engine([tokens]), ways.generate(tokens, case.rows)
    others = ways.generate(tokens, max(1, case.rows // 2))
    differ, apart = (sum(found[key] != theirs[key] for key in theirs) / len(theirs) for found in (mine, others))
    note = f"of the first {tokens} tokens; the rival is generate at half the batch size"
    yield _row(name, differ, "share", f"at most {apart:.3f}", apart) | {"note": note}
    eager = ways.engine([tokens], graphs=False)
    changed = sum(eager[key] != mine[key] for key in mine) / len(mine)
    yield _row(f"{case.name}: thoughts that differ without CUDA graphs", changed, "share", "at most 0")


def _large(case: Case, end: float, device: str) -> Iterator[Row]:
    """Against what the chip's memory allows: the weights once a step, and the cache of every row."""
    name = f"{case.name}, {case.rows} thoughts of {case.tokens}"
    if time.monotonic() > end:
        yield _not_measured(name, NO_TIME)
        return
    ways = Ways(case, device)
    ways.engine([min(16, case.tokens)])
    speed = _speed(_timed(lambda: ways.engine([case.tokens])))
    size = ways.model.dtype.itemsize
    held = statistics.mean(len(request.prompt_ids) for request in ways.requests) + case.tokens / 2
    cache = case.rows * held * 2 * case.layers * case.kv_heads * case.head * size
    weights = sum(parameter.numel() for parameter in ways.model.parameters()) * size
    limit = case.rows * BYTES_PER_SECOND / (weights + cache)
    note = f"the rival is the limit at {BYTES_PER_SECOND / 1e12:g} TB/s"
    yield _row(f"{name}: chainmend", speed, "thinking tokens/s", f"at least {limit / 2:,.0f}", limit) | {"note": note}


def _row(name: str, value: float, unit: str, target: str | None, rival: float | None = None) -> Row:
    ratio = value / rival if rival else None
    return {"name": name, "value": value, "unit": unit, "target": target, "rival": rival, "ratio": ratio}


def _not_measured(name: str, why: str) -> Row:
    return {"name": name, "value": None, "unit": "", "target": None, "rival": None, "ratio": None, "note": why}


def main(words: Sequence[str]) -> None:
    seconds = next((float(word) for word in words if word.replace(".", "").isdigit()), SECONDS)
    if not torch.cuda.is_available():
        print(json.dumps(_not_measured("sweep in process", "no GPU")))
        return
    small = replace(SMALL, tokens=256) if "quick" in words else SMALL
    large = replace(LARGE, tokens=256) if "quick" in words else LARGE
    for row in run(small, large, seconds, "cuda"):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
