"""The slot cache of a hybrid: keys and values in some layers, in the others a state that every token overwrites.

Such a state (linear attention, Mamba, a short convolution) cannot be shortened to an earlier token as keys and values
can. `eval.engines.state_steps` keeps copies of it at the points to which a thought may have to return.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin, LinearAttentionCacheLayerMixin

from eval.engines.slot_cache import SlotCache, SlotLayer

STATE_KINDS = {"linear_attention", "conv"}
"""kinds of layers, as transformers names them, that keep a state"""

FLOAT32_BYTES = 4

States = list[Tensor]
"""the states of one row, of all layers"""


class StateLayer(LinearAttentionCacheLayerMixin):
    """The states of one layer, [slots, …] each. A step reads and writes those of the rows in use, which come first; a
    prefill of one row starts without a state and writes into its slot."""

    def __init__(self, owner: SlotCache) -> None:
        super().__init__()
        self.owner = owner
        self.kept: dict[str, Tensor] = {}

    def lazy_initialization(self, *args: object, **kwargs: object) -> None:
        """States are created when they are first written."""

    def for_rows(self, rows: slice, is_fresh: bool) -> None:
        """Prepares the next forward for these rows; fresh rows have no state yet."""
        self.rows = rows
        self.has_previous_state[0] = bool(self.kept) and not is_fresh
        self.conv_states[0] = self.kept["conv"][rows] if "conv" in self.kept else None
        self.recurrent_states[0] = self.kept["recurrent"][rows] if "recurrent" in self.kept else None

    def update_conv_state(
        self, conv_states: Tensor, state_idx: int = 0, conv_kernel_size: int | None = None, **kwargs: object
    ) -> Tensor:
        """conv_states [rows, channels, tokens]; the inputs that the convolution needs, those before them included."""
        size = conv_kernel_size or conv_states.shape[-1]
        before = self.conv_states[0] if self.has_previous_state[0] else None
        whole = conv_states if before is None else torch.cat([before, conv_states], dim=-1)
        last = torch.nn.functional.pad(whole, (max(0, size - whole.shape[-1]), 0))[..., -size:]
        self._keep("conv", last)
        self.has_previous_state[0] = True
        return whole

    def update_recurrent_state(self, recurrent_states: Tensor, state_idx: int = 0, **kwargs: object) -> Tensor:
        """recurrent_states [rows, heads, …]."""
        self._keep("recurrent", recurrent_states)
        return self.kept["recurrent"][self.rows]

    def _keep(self, name: str, states: Tensor) -> None:
        if name not in self.kept:
            self.kept[name] = states.new_zeros(self.owner.slots, *states.shape[1:])
        self.kept[name][self.rows] = states


class StateCache(SlotCache):
    """A slot cache with `StateLayer` where a layer keeps a state."""

    def __init__(self, kinds: list[str], slots: int, capacity: int) -> None:
        super().__init__(len(kinds), slots, capacity)
        layers: list[Any] = [StateLayer(self) if kind in STATE_KINDS else SlotLayer(self) for kind in kinds]
        self.layers: list[Any] = layers

    def for_prefill(self, first_slot: int, tokens: int) -> None:
        super().for_prefill(first_slot, tokens)
        for layer in self._state_layers():
            layer.for_rows(slice(first_slot, first_slot + 1), is_fresh=True)

    def for_step(self, positions: Tensor, width: int) -> None:
        super().for_step(positions, width)
        for layer in self._state_layers():
            layer.for_rows(slice(0, len(positions)), is_fresh=False)

    def move(self, source: int, target: int, length: int) -> None:
        for layer in self.layers:
            if isinstance(layer, CacheLayerMixin):
                for states in (layer.keys, layer.values):
                    assert states is not None
                    states[target, :, :length] = states[source, :, :length]
        for kept in self._kept():
            kept[target] = kept[source]

    def states(self, slot: int) -> States:
        """A copy of a row's states in all layers."""
        return [kept[slot].clone() for kept in self._kept()]

    def put(self, slot: int, states: States | None) -> None:
        """Sets the states of a row; None: those of a row that has read nothing."""
        for index, kept in enumerate(self._kept()):
            kept[slot] = 0 if states is None else states[index]

    def _state_layers(self) -> Iterator[StateLayer]:
        return (layer for layer in self.layers if isinstance(layer, StateLayer))

    def _kept(self) -> Iterator[Tensor]:
        return (kept for layer in self._state_layers() for kept in layer.kept.values())


def layer_kinds(config: Any) -> list[str]:
    """The kind of each layer, for a model with layers that keep a state; [] for one with only keys and values."""
    kinds = list(getattr(config, "layer_types", None) or [])
    return kinds if STATE_KINDS & set(kinds) else []


def state_bytes(config: Any) -> int:
    """Bytes of the states of one row in all layers, in float32: the convolution's most recent inputs, and each head's
    matrix."""
    count = sum(kind in STATE_KINDS for kind in layer_kinds(config))
    return FLOAT32_BYTES * count * (_convolved(config) + _recurrent(config)) if count else 0


def _convolved(config: Any) -> int:
    if hasattr(config, "linear_num_value_heads"):
        keys = config.linear_num_key_heads * config.linear_key_head_dim
        values = config.linear_num_value_heads * config.linear_value_head_dim
        return int((2 * keys + values) * config.linear_conv_kernel_dim)
    if hasattr(config, "mamba_n_heads"):
        inner = config.mamba_n_heads * config.mamba_d_head
        return int((inner + 2 * config.mamba_n_groups * config.mamba_d_state) * config.mamba_d_conv)
    return int(config.hidden_size * getattr(config, "conv_L_cache", 0))


def _recurrent(config: Any) -> int:
    if hasattr(config, "linear_num_value_heads"):
        return int(config.linear_num_value_heads * config.linear_key_head_dim * config.linear_value_head_dim)
    if hasattr(config, "mamba_n_heads"):
        return int(config.mamba_n_heads * config.mamba_d_head * config.mamba_d_state)
    return 0


def make_cache(config: Any, slots: int, capacity: int) -> SlotCache:
    """The cache of a model of this config."""
    kinds = layer_kinds(config)
    return StateCache(kinds, slots, capacity) if kinds else SlotCache(config.num_hidden_layers, slots, capacity)
