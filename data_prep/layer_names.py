"""Layers that lack tensors which similar layers have: for checkpoints whose tensors are renamed or joined on loading.

The names in such files cannot be compared with those of the model, so the layers are compared with each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.contradictions import LAYER, Tensors

EXPERTS = ".experts."


def uneven_layers(folder: Path, config: Any, tensors: Tensors) -> Iterator[str]:
    """One line per layer without a tensor that most layers of its kind have. A kind is the type in `layer_types`, with
    or without experts."""
    names: defaultdict[int, set[str]] = defaultdict(set)
    for name in tensors:
        if match := LAYER.match(name):
            names[int(match[1])].add(name[match.end() :])
    kinds: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
    types = getattr(config, "layer_types", None) or [""] * len(names)
    for layer, held in sorted(names.items()):
        kinds[types[layer], any(EXPERTS in f".{name}" for name in held)].append(layer)
    for layers in kinds.values():
        counts = Counter(name for layer in layers for name in names[layer])
        usual = {name for name, count in counts.items() if 2 * count > len(layers)}
        for layer in layers:
            if missing := sorted(usual - names[layer]):
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                yield (
                    f"{folder}: the weights lack model.layers.{layer}.{missing[0]}{more}, which other layers of its "
                    "kind have (it would be initialised at random); copy the checkpoint again or cut it again"
                )
