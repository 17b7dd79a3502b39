"""The engine in process on a model of 109 M parameters (Qwen3 shape, random weights): `python -m tests.bench.middle`.

Tokens a second against the two rivals that transformers has, at equal settings and in turns (medians of the rounds):
  engine      chainmend's engine in process, one budget
  generate    `model.generate` at its best batch size
  continuous  `model.generate_batch`, transformers' continuous batching
`even`: greedy, every thought goes to the budget. `uneven`: sampled, thoughts end by chance after 64 tokens on average,
as real ones do at different lengths; continuous batching knows one end token only and has no part in it.
Then its linear layers as the engine runs them against torch's own, the cost of a sweep as in `tests.bench.sweep`, and
its peak memory against the limit it was given.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from data_prep.tokens.prompts import ThinkFormat
from eval.engines.cpu_linear import onednn_linears
from eval.engines.hf import HFEngine
from eval.engines.memory import GIGABYTE, PeakMemory, lay_out_slots
from eval.protocol import Protocol
from eval.quiet import quiet
from eval.types import Request, Thought
from tests.bench.sweep import by_generate, generate
from tests.eval.scripted import make_protocol

ROUNDS, ROWS, TOKENS, ENDS, REPEATS = 3, 32, 64, 256, 20
VOCABULARY = 16_384
BATCH_SIZES = (16, 32)
FORMAT = ThinkFormat(
    open="<t>",
    close="</t>",
    cue="",
    wait="w",
    stop="<eos>",
    close_mark=((7,),),
    forced_close_ids=(7,),
    own_close_ids=(7,),
    wait_ids=(11,),
    banned_ids=(6, 7),
    stop_ids=(3,),
)


def middle_model() -> PreTrainedModel:
    """The same random weights every time."""
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=768,
            num_hidden_layers=14,
            num_attention_heads=12,
            num_key_value_heads=4,
            head_dim=64,
            intermediate_size=2304,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
    ).eval()


def prompts() -> list[Request]:
    """Prompts of 16 to 128 tokens."""
    draw = random.Random(0)
    return [Request(str(i), 0, tuple(draw.choices(range(8, VOCABULARY), k=draw.randint(16, 128)))) for i in range(ROWS)]


def protocols() -> dict[str, Protocol]:
    even = make_protocol([TOKENS], FORMAT, answer_tokens=1, vocabulary_size=VOCABULARY)
    ends = replace(FORMAT, stop_ids=tuple(range(3, 3 + ENDS)))
    return {"even": even, "uneven": replace(even, format=ends, temperature=1.0, budgets=(4 * TOKENS,))}


def by_engine(model: PreTrainedModel, requests: Sequence[Request], protocol: Protocol) -> int:
    """Thinking tokens that came."""
    with quiet(model):
        thoughts = [one for one in HFEngine(model, protocol, ROWS).think(requests) if isinstance(one, Thought)]
    return sum(len(thought.thinking_ids) for thought in thoughts)


def generated(model: PreTrainedModel, requests: Sequence[Request], protocol: Protocol, batch_size: int) -> int:
    """Tokens that `generate` brought, without those after an end token."""
    greedy = protocol.temperature == 0
    config = GenerationConfig(
        max_new_tokens=protocol.budgets[0],
        eos_token_id=list(protocol.format.stop_ids),
        pad_token_id=0,
        do_sample=not greedy,
        top_k=None if greedy else 0,
    )
    with torch.inference_mode():
        rows = generate(model, [r.prompt_ids for r in requests], config, batch_size)
    return sum(map(len, rows))


def continuous(model: PreTrainedModel, requests: Sequence[Request], protocol: Protocol) -> int:
    """Tokens that transformers' continuous batching brought."""
    config = GenerationConfig(max_new_tokens=protocol.budgets[0], eos_token_id=-1, pad_token_id=0, do_sample=False)
    before = model.config._attn_implementation
    found = model.generate_batch(
        [list(r.prompt_ids) for r in requests],
        generation_config=config,
        progress_bar=False,
        continuous_batching_config=ContinuousBatchingConfig(max_batch_tokens=ROWS),
    )
    model.set_attn_implementation(before)
    return sum(len(output.generated_tokens) for output in found.values())


def in_turns(ways: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Median tokens (or what else a way counts) a second of each way over the rounds, after a warm-up."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for measured in range(-1, ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            tokens = way()
            if measured >= 0:
                speeds[name].append(tokens / (time.perf_counter() - started))
    return {name: statistics.median(found) for name, found in speeds.items()}


def throughput(model: PreTrainedModel) -> None:
    requests = prompts()
    for name, protocol in protocols().items():
        ways: dict[str, Callable[[], int]] = {"engine": lambda p=protocol: by_engine(model, requests, p)}  # type: ignore[misc]
        ways |= {
            f"generate, batch {size}": lambda p=protocol, s=size: generated(model, requests, p, s)  # type: ignore[misc]
            for size in BATCH_SIZES
        }
        if name == "even":
            ways["continuous batching"] = lambda p=protocol: continuous(model, requests, p)  # type: ignore[misc]
        speeds = in_turns(ways)
        print(f"\n109 M parameters, {ROWS} prompts of 16 to 128 tokens, {name} thoughts: tokens a second")
        for way, speed in speeds.items():
            print(f"  {way:22} {speed:7.1f}")
        best = max(speed for way, speed in speeds.items() if way != "engine")
        print(f"  engine / the better rival {speeds['engine'] / best:.2f}   (at least 1.2)", flush=True)


def products(model: PreTrainedModel) -> None:
    """The widest linear layer of every block at 32 rows, as `onednn_linears` runs it and as torch does, in turns."""
    layers = [block.mlp.up_proj for block in model.model.layers]
    states = torch.randn(ROWS, layers[0].in_features)
    multiplications = sum(ROWS * layer.weight.numel() for layer in layers)

    def run() -> int:
        for _ in range(REPEATS):
            for layer in layers:
                layer(states)
        return 2 * REPEATS * multiplications

    def run_by_onednn() -> int:
        with onednn_linears(model):
            return run()

    with torch.inference_mode():
        speeds = in_turns({"by the engine": run_by_onednn, "by torch": run})
    print(
        f"\nlinear layers of {tuple(layers[0].weight.shape)} at {ROWS} rows: "
        + ", ".join(f"{way} {speed / 1e9:.0f} GFLOP/s" for way, speed in speeds.items()),
        flush=True,
    )


def sweep_cost(model: PreTrainedModel) -> None:
    requests = prompts()[:16]
    protocol = make_protocol([4, 8, 16, 32, 64], FORMAT, answer_tokens=8, vocabulary_size=VOCABULARY)
    alone = replace(protocol, budgets=protocol.budgets[-1:])
    rival = replace(protocol, format=replace(FORMAT, stop_ids=(3,)))
    seconds: dict[str, list[float]] = {}
    for measured in range(-1, ROUNDS):
        for name, way in (
            ("sweep", lambda: by_engine(model, requests, protocol)),
            ("largest", lambda: by_engine(model, requests, alone)),
            ("generate", lambda: len(by_generate(model, requests, rival, len(requests)))),
        ):
            started = time.perf_counter()
            way()
            if measured >= 0:
                seconds.setdefault(name, []).append(time.perf_counter() - started)
    sweep, largest, rivals = (statistics.median(seconds[name]) for name in ("sweep", "largest", "generate"))
    print(f"\n109 M parameters, {len(requests)} prompts, budgets {protocol.budgets}, 8 answer tokens")
    print(f"  sweep / largest budget alone      {sweep / largest:.2f}")
    print(f"  generate a budget / sweep         {rivals / sweep:.2f}", flush=True)


def peak_memory(limit_gb: float) -> None:
    """The peak of a sweep under a limit, in a process of its own: planned and measured."""
    model, requests, protocol = middle_model(), prompts() * 4, protocols()["even"]
    limit = int(limit_gb * GIGABYTE)
    requests = [replace(request, sample=i) for i, request in enumerate(requests)]
    by_engine(model, requests[:2], replace(protocol, budgets=(2,)))
    capacity = max(len(r.prompt_ids) for r in requests) + TOKENS + 2
    plan = lay_out_slots(model, protocol, capacity, len(requests), limit)
    memory = PeakMemory()
    with quiet(model):
        list(HFEngine(model, protocol, len(requests), limit).think(requests))
    print(
        f"  limit {limit_gb:.2f} GB: {plan.slots:3d} of {len(requests)} thoughts side by side, planned "
        f"{plan.bytes / GIGABYTE:.2f} GB, measured {memory.bytes() / GIGABYTE:.2f} GB",
        flush=True,
    )


def main() -> None:
    model = middle_model()
    throughput(model)
    products(model)
    sweep_cost(model)
    print("\npeak memory of a sweep beside the weights, 109 M parameters")
    for limit_gb in (0.5, 1.0, 4.0):
        subprocess.run([sys.executable, "-m", "tests.bench.middle", str(limit_gb)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak_memory(float(sys.argv[1]))
    else:
        main()
