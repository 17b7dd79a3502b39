"""The figure of a prepared set's lengths, from its manifest."""

from __future__ import annotations

from pathlib import Path

from data_prep.prepared.manifest import Manifest


def draw_lengths(manifest: Manifest, path: Path) -> None:
    """A PNG: traces by length in tokens, with the limit of the recipe and the context that loses 5 %."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lengths, limit = manifest["lengths"], manifest["max_length_tokens"]
    width, traces = lengths["histogram"]["width_tokens"], lengths["histogram"]["traces"]
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.bar([i * width for i in range(len(traces))], traces, width=width, align="edge", color="tab:blue", alpha=0.7)
    axes.axvline(limit, color="tab:red", label=f"max_length_tokens {limit:,}")
    axes.axvline(
        lengths["context_losing"]["5"],
        color="grey",
        linestyle="--",
        label=f"loses 5 %: {lengths['context_losing']['5']:,}",
    )
    axes.set_xlabel("tokens per trace (prompt, thinking, answer)")
    axes.set_ylabel("traces")
    axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(str(path))
