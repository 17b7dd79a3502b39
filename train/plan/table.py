"""A plan as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from eval.engines.memory import GIGABYTE
from train.plan.estimate import Plan


def table(plan: Plan) -> str:
    """Parameters, steps, memory by part and moment, sweeps, FLOPs, disk; then what does not fit and what would."""
    return "\n".join([*_run(plan), *_memory(plan), *_cost(plan), *_verdict(plan)])


def size(count: float) -> str:
    """Bytes as GiB, or MiB where there are few."""
    return f"{count / GIGABYTE:.2f} GiB" if count >= GIGABYTE / 10 else f"{count / (1 << 20):.1f} MiB"


def _run(plan: Plan) -> Iterator[str]:
    sizes, setup = plan.estimate.sizes, plan.estimate.setup
    yield (
        f"model       {sizes.total:,} parameters in {sizes.layers} layers (unpruned {sizes.unpruned:,}), "
        f"{sizes.trainable:,} trainable"
    )
    yield (
        f"machine     {plan.machine.ranks} {'GPUs' if setup.device == 'cuda' else 'processes on CPUs'}, "
        f"ZeRO stage {setup.stage}{'' if setup.deepspeed else ' (without DeepSpeed)'}"
    )
    yield f"traces      {plan.traces.traces:,} with {plan.traces.tokens:,} tokens ({plan.traces.origin})"
    yield "batch       " + str(plan.batch).replace("\n", "\n            ")


def _memory(plan: Plan) -> Iterator[str]:
    peak = plan.estimate.peak
    yield f"\nmemory of a rank, at its peak ({peak.name}); base {plan.machine.base_origin}"
    for name, count in peak.parts.items():
        if count:
            yield f"  {name:28} {size(count):>12}"
    yield f"  {'in all':28} {size(peak.total):>12}"
    yield "other moments: " + ", ".join(
        f"{each.name} {size(each.total)}" for each in plan.estimate.moments if each is not peak
    )
    if plan.estimate.host:
        parts = ", ".join(f"{name} {size(count)}" for name, count in plan.estimate.host.items())
        whole = sum(plan.estimate.host.values()) * plan.machine.ranks_per_node
        yield f"main memory of a rank: {parts}; of a machine with {plan.machine.ranks_per_node} ranks {size(whole)}"


def _cost(plan: Plan) -> Iterator[str]:
    sweep = plan.sweep
    problems = ", ".join(f"{name} {count or '?'}" for name, count in sweep.problems.items())
    yield (
        f"\nsweeps      {sweep.sweeps} in training and {sweep.references} of references; problems: {problems}; "
        f"each at most {sweep.tokens:,} tokens"
    )
    if sweep.note:
        yield f"            {sweep.note}"
    yield (
        f"compute     training {plan.flops:.3g} FLOPs, a sweep at most {plan.sweep_flops:.3g}; "
        f"sweeps in training are at most {plan.sweep_share:.0%} of the run"
    )
    if plan.hours is None:
        yield "hours       give tokens_per_second=N or flops_per_second=N, measured on your machine"
    else:
        yield f"hours       {plan.hours:.2f} of training at the speed that you give, without sweeps"
    yield "disk        " + ", ".join(f"{name} {size(count)}" for name, count in plan.disk.items() if count)


def _verdict(plan: Plan) -> Iterator[str]:
    if not plan.misfits:
        limit = plan.machine.rank_bytes
        share = f" ({plan.estimate.peak.total / limit:.0%} of {size(limit)})" if limit else "; no limit was given"
        yield f"\nit fits{share}" if limit else f"\nwhether it fits is not said{share}: give gpu_memory_gb=N"
        return
    yield "\nDOES NOT FIT: " + "; ".join(plan.misfits)
    for each in plan.remedies:
        yield f"  with {' '.join(each.keys)}: {size(each.peak_bytes)} a rank, {'fits' if each.fits else 'does not fit'}"
