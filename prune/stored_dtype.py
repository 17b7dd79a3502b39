"""The dtype of a checkpoint: read from its headers, and restored in the model that was cut from it.

Scores and merges are computed in the recipe's dtype, or in the stored one if that is more precise; a layer that is not
merged is written bit for bit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from itertools import chain
from pathlib import Path

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from data_prep.contradictions import LAYER
from data_prep.fingerprint import fingerprint, local_folder
from data_prep.models import DTYPES
from data_prep.weight_files import read_tensors
from prune.plan import PrunePlan

HEADER_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

Stored = Mapping[str, torch.dtype]
"""tensor of a file -> its dtype"""


def dtypes_of(model: str, config: PreTrainedConfig) -> Stored:
    """`stored_dtypes` of a folder or Hub id; if its weights are not downloaded yet, the config's dtype for all."""
    folder = local_folder(model)
    if folder is not None and fingerprint(model):
        return stored_dtypes(folder)
    said = getattr(config.get_text_config(), "dtype", None)
    return {"": said} if isinstance(said, torch.dtype) and said in HEADER_DTYPES.values() else {}


def stored_dtypes(folder: Path) -> Stored:
    """The dtype of every floating-point tensor of a checkpoint, if a model can be computed in it."""
    dtypes = {name: HEADER_DTYPES.get(tensor.dtype) for name, tensor in read_tensors(folder).items()}
    return {name: dtype for name, dtype in dtypes.items() if dtype is not None}


def commonest(stored: Stored) -> torch.dtype:
    """The dtype of most tensors. `stored` must not be empty."""
    return Counter(stored.values()).most_common(1)[0][0]


def dtype_to_cut_in(stored: Stored, asked: str) -> str:
    """The recipe's dtype, or float32 if that would lose bits of what is stored."""
    return NAMES[reduce(torch.promote_types, set(stored.values()), DTYPES[asked])]


def give_back(model: PreTrainedModel, stored: Stored, plan: PrunePlan) -> None:
    """Casts every weight of the cut model to the dtype in which it was stored, in place.

    Weights that have another form in the file (experts are stored one by one, but transformers holds them as one
    tensor) take the commonest dtype.
    """
    if not stored:
        return
    usual, saved = commonest(stored), model.state_dict().keys()
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_floating_point() and name in saved:
            tensor.data = tensor.data.to(stored.get(_unpruned_name(name, plan), usual))


def _unpruned_name(name: str, plan: PrunePlan) -> str:
    """The name that a weight of the cut model had before the cut."""
    found = LAYER.match(name)
    return re.sub(r"\d+", str(plan.kept[int(found[1])]), name, count=1) if found else name
