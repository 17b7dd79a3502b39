"""A key/value cache of slots: each row has its own length, shrinks at no cost, and is freed without moving others.

Nothing is ever removed from it: the mask hides columns beyond a row's length, and later tokens overwrite them.
"""

from __future__ import annotations

import torch
from transformers.cache_utils import Cache, CacheLayerMixin


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, [slots, heads, capacity, head size]; the owning `SlotCache` says where to write."""

    def __init__(self, owner: SlotCache) -> None:
        super().__init__()
        self.owner = owner

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        slots, heads, capacity = self.owner.slots, key_states.shape[1], self.owner.capacity
        # Zeros, not empty: a masked column has a weight of 0, and 0 times an uninitialised NaN is NaN.
        # On a CPU the columns of the keys are contiguous in memory: the product with a query takes 0.7 of the time.
        if key_states.device.type == "cpu":
            self.keys = key_states.new_zeros(slots, heads, key_states.shape[3], capacity).transpose(2, 3)
        else:
            self.keys = key_states.new_zeros(slots, heads, capacity, key_states.shape[3])
        self.values = value_states.new_zeros(slots, heads, capacity, value_states.shape[3])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        if self.owner.first_slot is not None:
            first, (rows, _, tokens, _) = self.owner.first_slot, key_states.shape
            self.keys[first : first + rows, :, :tokens] = key_states
            self.values[first : first + rows, :, :tokens] = value_states
            return key_states, value_states  # a prompt attends only to itself, so the cache need not be read
        for states, fresh in ((self.keys, key_states), (self.values, value_states)):
            states[self.owner.rows, :, self.owner.positions] = fresh[:, :, 0]  # [rows, heads, head size]
        return (
            self.keys[: len(key_states), :, : self.owner.width],
            self.values[: len(value_states), :, : self.owner.width],
        )

    # the rest of CacheLayerMixin's interface; the engine supplies masks, so transformers does not use these for masks
    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.owner.width, 0

    def get_seq_length(self) -> int:
        return self.owner.width if self.owner.first_slot is None else 0

    def get_max_length(self) -> int:
        return self.owner.capacity


class SlotCache(Cache):
    """`slots` rows of at most `capacity` tokens. Rows in use come first, so that a step reads a plain slice."""

    def __init__(self, layers: int, slots: int, capacity: int) -> None:
        super().__init__(layers=[SlotLayer(self) for _ in range(layers)])
        self.slots, self.capacity = slots, capacity
        self.first_slot: int | None = None  # of a prefill; None in a step
        self.positions = torch.empty(0, dtype=torch.long)
        self.rows = torch.empty(0, dtype=torch.long)
        self.width = 0

    def for_prefill(self, first_slot: int, tokens: int) -> None:
        """The next forward fills fresh slots from `first_slot` on, `tokens` columns from position 0."""
        self.first_slot, self.width = first_slot, tokens

    def for_step(self, positions: torch.Tensor, width: int) -> None:
        """The next forward writes one token per row at `positions` [rows] and reads the first `width` columns."""
        self.first_slot, self.positions, self.width = None, positions, width
        self.rows = torch.arange(len(positions), device=positions.device)

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one slot over another."""
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            for states in (layer.keys, layer.values):
                assert states is not None
                states[target, :, :length] = states[source, :, :length]
