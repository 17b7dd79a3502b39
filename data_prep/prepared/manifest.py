"""The facts of a prepared set: what became of every row, tokens, lengths, and the effect of packing; also as a table.

All numbers follow from the rows, so repeating a preparation gives the same manifest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
LOSING_PERCENT = (0, 1, 5)
MOST_BARS = 40

Manifest = Mapping[str, Any]


def length_facts(lengths: Counter[int]) -> dict[str, Any]:
    """Lengths in tokens of all traces as read, before any was dropped or shortened: quantiles, bars, context lengths.

    `lengths` maps tokens to traces, at least one. A quantile is the smallest length that the given percentage of traces
    does not exceed; `context_losing` maps a percentage to the context length that at most so many traces exceed.
    """
    ordered = sorted(lengths.items())
    return {
        "traces": lengths.total(),
        "mean": round(_mean(lengths), 1),
        "quantiles": {str(percent): _quantile(ordered, percent) for percent in QUANTILES},
        "context_losing": {str(percent): _quantile(ordered, 100 - percent) for percent in LOSING_PERCENT},
        "histogram": _bars(ordered),
    }


def _mean(lengths: Counter[int]) -> float:
    return sum(length * count for length, count in lengths.items()) / lengths.total()


def _quantile(ordered: Sequence[tuple[int, int]], percent: int) -> int:
    rank = max(1, math.ceil(sum(count for _, count in ordered) * percent / 100))
    seen = 0
    for length, count in ordered:
        seen += count
        if seen >= rank:
            return length
    raise ValueError("no lengths")


def _bars(ordered: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """At most 40 bars, all of one round width in tokens: bar i counts lengths in [i x width, (i + 1) x width)."""
    width = _round_up(max(1.0, (ordered[-1][0] + 1) / MOST_BARS))
    traces = [0] * (ordered[-1][0] // width + 1)
    for length, count in ordered:
        traces[length // width] += count
    return {"width_tokens": width, "traces": traces}


def _round_up(number: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    power: int = 10 ** math.floor(math.log10(number))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= number)


def packing_facts(tokens: int, traces: int, longest: int, packed_rows: int, capacity: int) -> dict[str, Any]:
    """Real tokens per padded token: with traces packed into rows of `capacity`, and with each padded to the longest."""
    return {
        "rows": packed_rows,
        "capacity_tokens": capacity,
        "real_tokens_a_padded_token": round(tokens / (packed_rows * capacity), 4),
        "unpacked_real_tokens_a_padded_token": round(tokens / (traces * longest), 4),
    }


def describe(manifest: Manifest) -> str:
    """The manifest in a few lines: what became of the rows, labelled tokens, lengths."""
    rows, lengths, quantiles = manifest["rows"], manifest["lengths"], manifest["lengths"]["quantiles"]
    lost = "".join(f", {count:,} {reason}" for reason, count in sorted(rows["lost"].items()))
    changed = ", ".join(f"{count:,} {what}" for what, count in sorted(rows["changed"].items()))
    kept_text = f"{rows['kept']:,} kept" + (f"; on the way: {changed}" if changed else "")
    losing = lengths["context_losing"]
    keeping = " / ".join(f"{100 - int(percent)} %" for percent in losing)
    fitting = " / ".join(f"{length:,}" for length in losing.values())
    return (
        f"{rows['read']:,} traces read{lost or ', none lost'}; {kept_text}\n"
        f"{manifest['tokens']:,} tokens, {manifest['labelled_share']:.0%} of them labelled; "
        f"a trace has {quantiles['0']:,} to {quantiles['100']:,}, median {quantiles['50']:,}; "
        f"max length to keep {keeping} of traces: {fitting} tokens" + "".join(f"\n{note}" for note in rows["notes"])
    )


def table(manifest: Manifest) -> str:
    """The manifest for a terminal."""
    rows, lengths, packing = manifest["rows"], manifest["lengths"], manifest["packing"]
    lines = [("rows read", f"{rows['read']:,}")]
    lines += [(f"  lost: {reason}", f"{count:,}") for reason, count in sorted(rows["lost"].items())]
    lines += [("rows kept", f"{rows['kept']:,}")]
    lines += [(f"  on the way: {what}", f"{count:,}") for what, count in sorted(rows["changed"].items())]
    lines += [
        ("tokens", f"{manifest['tokens']:,}"),
        ("  of them labelled", f"{manifest['labelled_tokens']:,} ({manifest['labelled_share']:.1%})"),
        (
            "tokens per trace, as read",
            f"mean {lengths['mean']:,}; "
            + ", ".join(f"{percent} %: {length:,}" for percent, length in lengths["quantiles"].items()),
        ),
        (
            "context length that loses",
            ", ".join(f"{percent} %: {length:,}" for percent, length in lengths["context_losing"].items()),
        ),
        (
            "packed",
            f"{packing['rows']:,} rows of {packing['capacity_tokens']:,} tokens, "
            f"{packing['real_tokens_a_padded_token']:.3f} real tokens per padded token "
            f"(each alone, padded to the longest: {packing['unpacked_real_tokens_a_padded_token']:.3f})",
        ),
    ]
    width = max(len(name) for name, _ in lines)
    named = [f"{reason}: {row}" for reason, rows_named in rows["named"].items() for row in rows_named[:5]]
    return "\n".join([*(f"{name:<{width}}  {value}" for name, value in lines), *rows["notes"], *named])
