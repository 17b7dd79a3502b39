"""An estimate as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from eval.engines.memory import GIGABYTE
from train.plan.estimate import Estimate
from train.plan.measure import STEPS


def table(estimate: Estimate) -> str:
    """Parameters, steps, memory by part and moment, sweeps, FLOPs, disk; then misfits and remedies."""
    return "\n".join([*_run(estimate), *_memory(estimate), *_cost(estimate), *_verdict(estimate)])


def size(count: float) -> str:
    """Bytes as GiB, or as MiB below 0.1 GiB."""
    return f"{count / GIGABYTE:.2f} GiB" if count >= GIGABYTE / 10 else f"{count / (1 << 20):.1f} MiB"


def _run(estimate: Estimate) -> Iterator[str]:
    sizes, setup = estimate.memory.sizes, estimate.memory.setup
    yield (
        f"model       {sizes.total:,} parameters in {sizes.layers} layers (unpruned {sizes.unpruned:,}), "
        f"{sizes.trainable:,} trainable"
    )
    yield (
        f"machine     {estimate.machine.ranks} {'GPUs' if setup.device == 'cuda' else 'processes on CPUs'}, "
        f"ZeRO stage {setup.stage}{'' if setup.deepspeed else ' (without DeepSpeed)'}"
    )
    yield f"traces      {estimate.traces.traces:,} with {estimate.traces.tokens:,} tokens ({estimate.traces.origin})"
    yield "batch       " + str(estimate.batches).replace("\n", "\n            ")


def _memory(estimate: Estimate) -> Iterator[str]:
    memory, machine = estimate.memory, estimate.machine
    peak = memory.peak
    yield f"\nmemory of a rank at its peak ({peak.name}); base {machine.base_origin}"
    for name, count in {**peak.parts, "total": peak.total}.items():
        if count:
            yield f"  {name:28} {size(count):>12}"
    if machine.device == "cuda":
        yield f"  of that, torch reserves {size(peak.reserved)}, of which tensors take {size(peak.allocated)}"
    others = ", ".join(f"{moment.name} {size(moment.total)}" for moment in memory.moments if moment is not peak)
    yield f"other moments: {others}"
    if memory.host:
        parts = ", ".join(f"{name} {size(count)}" for name, count in memory.host.items())
        of_machine = size(sum(memory.host.values()) * machine.ranks_per_node)
        yield f"main memory of a rank: {parts}; of a machine with {machine.ranks_per_node} ranks {of_machine}"


def _cost(estimate: Estimate) -> Iterator[str]:
    sweep = estimate.sweep
    problems = ", ".join(f"{name} {count or '?'}" for name, count in sweep.problems.items())
    yield (
        f"\nsweeps      {sweep.sweeps} in training and {sweep.references} of references; problems: {problems}; "
        f"each at most {sweep.tokens:,} tokens"
    )
    if estimate.foresight:
        yield f"verdict     {estimate.foresight}"
    if sweep.confirm_problems:
        yield (
            f"confirm     {sweep.confirm_problems} problems that no sweep sees, once: the kept checkpoint and both "
            f"references, each at most {sweep.confirm_tokens:,} tokens, together {estimate.confirm_share:.0%} of the "
            "FLOPs of training"
        )
    if estimate.confirm_foresight:
        yield f"            {estimate.confirm_foresight}"
    if estimate.thoughts.count:
        yield (
            f"thoughts    {estimate.thoughts.count:,} generated to train on, at most {estimate.thoughts.tokens:,} "
            f"tokens, {estimate.thinking_flops / estimate.flops:.0%} of the FLOPs of training"
        )
    if sweep.note:
        yield f"            {sweep.note}"
    yield (
        f"compute     training {estimate.flops:.3g} FLOPs, each sweep at most {estimate.sweep_flops:.3g}; "
        f"sweeps in training are at most {estimate.sweep_share:.0%} of the run"
    )
    yield from _hours(estimate)
    yield "disk        " + ", ".join(f"{name} {size(count)}" for name, count in estimate.disk.items() if count)


def _hours(estimate: Estimate) -> Iterator[str]:
    hours, seen = estimate.hours, estimate.measured
    if seen is not None:
        reserved = f"; torch reserved {size(seen.reserved_bytes)} in a step" if seen.reserved_bytes else ""
        yield (
            f"measured    {seen.tokens_per_second:,.0f} tokens/s in {STEPS} steps, {seen.sweep_tokens_per_second:,.0f} "
            f"in a small sweep, on {seen.place}; {seen.seconds:.0f} s including start and references{reserved}"
        )
    if hours.training is None:
        yield f"hours       {hours.origin}"
        return
    yield f"hours       {hours.training:.2f} of training without sweeps, {hours.origin}"
    if hours.sweeps is not None:
        yield f"            at most {hours.sweeps:.2f} for all sweeps and references, at the small sweep's speed"


def _verdict(estimate: Estimate) -> Iterator[str]:
    limit, needed = estimate.machine.rank_bytes, estimate.memory.peak.total
    if estimate.misfits:
        yield "\nDOES NOT FIT: " + "; ".join(estimate.misfits)
        for remedy in estimate.remedies:
            fits = "fits" if remedy.fits else "does not fit"
            yield f"  with {' '.join(remedy.keys)}: {size(remedy.peak_bytes)} per rank, {fits}"
    elif limit:
        yield f"\nit fits ({needed / limit:.0%} of {size(limit)})"
    else:
        yield "\nno limit was given, so the fit was not checked: give gpu_memory_gb=N"
