"""A key/value cache of slots: each row has its own length, shrinks at no cost, and leaves without moving others."""

from __future__ import annotations

import torch
from transformers.cache_utils import Cache, CacheLayerMixin


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, [slots, heads, capacity, head size]; the owning `SlotCache` tells where to write.

    They start as zeros: a masked column still meets a weight of 0, and 0 times an uninitialised NaN is NaN.
    """

    def __init__(self, owner: SlotCache) -> None:
        super().__init__()
        self.owner = owner

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        shape = (self.owner.slots, key_states.shape[1], self.owner.capacity)
        self.keys = key_states.new_zeros((*shape, key_states.shape[3]))
        self.values = value_states.new_zeros((*shape, value_states.shape[3]))
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
               ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        if self.owner.first_slot is not None:
            first, (rows, _, tokens, _) = self.owner.first_slot, key_states.shape
            self.keys[first:first + rows, :, :tokens] = key_states
            self.values[first:first + rows, :, :tokens] = value_states
            return key_states, value_states
        rows, width = len(self.owner.positions), self.owner.width
        self.keys[self.owner.rows, :, self.owner.positions] = key_states[:, :, 0]
        self.values[self.owner.rows, :, self.owner.positions] = value_states[:, :, 0]
        return self.keys[:rows, :, :width], self.values[:rows, :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.owner.width, 0

    def get_seq_length(self) -> int:
        return self.owner.width

    def get_max_length(self) -> int:
        return self.owner.capacity


class SlotCache(Cache):
    """`slots` rows of at most `capacity` tokens. Rows in use are kept at the front, so a step reads a plain slice."""

    def __init__(self, layers: int, slots: int, capacity: int) -> None:
        super().__init__(layers=[SlotLayer(self) for _ in range(layers)])
        self.slots, self.capacity = slots, capacity
        self.first_slot: int | None = None
        self.positions = torch.empty(0, dtype=torch.long)
        self.rows = torch.empty(0, dtype=torch.long)
        self.width = 0

    def for_prefill(self, first_slot: int) -> None:
        """The next forward fills fresh slots from `first_slot` on, from position 0."""
        self.first_slot, self.width = first_slot, 0

    def for_step(self, positions: torch.Tensor) -> None:
        """The next forward writes one token a row at `positions` [rows] and reads up to the farthest."""
        self.first_slot, self.positions = None, positions
        self.rows = torch.arange(len(positions), device=positions.device)
        self.width = int(positions.max()) + 1

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one slot over another."""
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            for states in (layer.keys, layer.values):
                assert states is not None
                states[target, :, :length] = states[source, :, :length]
