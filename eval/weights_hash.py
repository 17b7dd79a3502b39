"""A hash that identifies the weights in memory, quick enough to compute before every sweep."""

from __future__ import annotations

import hashlib

import torch
from transformers import PreTrainedModel

CHUNK = 1 << 24  # elements summed at once, so that the int64 copies stay small
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def weights_hash(model: PreTrainedModel) -> str:
    """16 hex digits over the names, shapes, dtypes and bits of all parameters.

    The bits enter as two integer sums, one of them weighted by position: equal weights have equal hashes on any device,
    and a training step that changes a bit changes the hash.
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype} {_sums(parameter)}\n".encode())
    return digest.hexdigest()[:16]


def _sums(parameter: torch.Tensor) -> tuple[int, int]:
    plain = weighted = 0
    for chunk in parameter.detach().reshape(-1).view(INTEGERS[parameter.element_size()]).split(CHUNK):
        bits = chunk.long()
        # Integer sums do not depend on their order, as float sums do on a GPU; an overflow does no harm.
        places = torch.arange(1, len(bits) + 1, device=bits.device) % 65_521
        plain, weighted = plain + int(bits.sum()), weighted * 31 + int((bits * places).sum())
    return plain, weighted
