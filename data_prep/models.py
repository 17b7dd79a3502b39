"""Loading a checkpoint: tokenizer, config and weights from a folder or the Hub, by the recipe's model section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.import_utils import is_flash_attn_2_available

from recipes.errors import UserError
from recipes.paths import find_path
from recipes.schema import ModelSection
from runtime.hub import did_you_mean, find_model

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
UNLIMITED_TOKENS = 10**9


def load_tokenizer(path: str, section: ModelSection) -> PreTrainedTokenizerBase:
    """The tokenizer of the checkpoint at `path`, with a chat template; UserError if either is missing."""
    place = find_model(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=section.trust_remote_code)
    except (OSError, ValueError) as error:
        raise _nothing("tokenizer", path, error) from None
    if tokenizer.chat_template is None:
        raise UserError(
            f"model: the tokenizer at {path!r} has no chat template, so a prompt cannot be rendered; "
            "use an instruct model"
        )
    return tokenizer


def load_config(path: str, section: ModelSection) -> Any:
    """The config of the checkpoint at `path`; UserError if there is none."""
    place = find_model(path)
    try:
        return AutoConfig.from_pretrained(place, trust_remote_code=section.trust_remote_code)
    except (OSError, ValueError) as error:
        raise _nothing("model", path, error) from None


def context_tokens(path: str, section: ModelSection) -> int:
    """The longest sequence that the model at `path` was made for; `UNLIMITED_TOKENS` if its config names none."""
    return int(getattr(load_config(path, section), "max_position_embeddings", UNLIMITED_TOKENS))


def load_model(path: str, section: ModelSection, **more: Any) -> PreTrainedModel:
    """The weights at `path` in the section's dtype and attention, from safetensors only; `more` goes to transformers.

    UserError if they cannot be loaded.
    """
    config = load_config(path, section)
    try:
        return AutoModelForCausalLM.from_pretrained(
            find_model(path),
            dtype=DTYPES[section.dtype],
            trust_remote_code=section.trust_remote_code,
            use_safetensors=True,
            **{"attn_implementation": attention(section.attention, config), **more},
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"model: the weights at {path!r} cannot be loaded: {_first_line(error)}") from None


def attention(name: str, config: Any) -> str | None:
    """The attention implementation; None leaves it to transformers (SDPA if the model has it, else eager).

    `auto` is None, except for families with a soft cap, which SDPA lacks: these use FlashAttention 2 if it is installed
    and there is a GPU. Packed rows use torch's own kernel of that kind (`train.varlen`).
    """
    if name != "auto":
        return name
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None
    return "flash_attention_2" if capped and torch.cuda.is_available() and is_flash_attn_2_available() else None


def _nothing(what: str, path: str, error: Exception) -> UserError:
    similar = "" if Path(find_path(path)).exists() else did_you_mean(path)
    why = "; ".join(filter(None, [_first_line(error), similar]))
    return UserError(
        f"model: no {what} at {path!r} ({why}); name a folder of a Hugging Face checkpoint or a Hub id (owner/name)"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
