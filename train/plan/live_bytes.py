"""Counts the bytes of live tensors while code runs, operation by operation.

It also works on fake tensors, which have shapes but no memory, so a laptop can count the activations of a model that
does not fit on it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts storages from their allocation until they are freed: `now` and `peak`, in bytes.

    present: tensors that already exist (weights); they and their views are not counted.
    """

    def __init__(self, present: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: dict[int, weakref.ref[Any]] = {}
        for tensor in present:
            self._see(tensor.untyped_storage(), 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                self._see(storage, storage.nbytes())
        return result

    def _see(self, storage: torch.UntypedStorage, size_bytes: int) -> None:
        key = storage._cdata  # the C++ storage: each call of untyped_storage() wraps it in a new Python object
        if key in self._seen:
            return
        # The reference dies with the storage, no matter whether autograd, a cache or a variable held it last.
        self._seen[key] = weakref.ref(storage, lambda _: self._forget(key, size_bytes))
        self.now += size_bytes
        self.peak = max(self.peak, self.now)

    def _forget(self, key: int, size_bytes: int) -> None:
        if self._seen.pop(key, None) is not None:
            self.now -= size_bytes
