"""The engine that a recipe names."""

from __future__ import annotations

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from eval.engines.completions import CompletionEngine
from eval.engines.hf import HFEngine, engine_version
from eval.engines.server import ServerCompleter, server_version
from eval.protocol import Protocol
from eval.types import Engine
from recipes.sweeps import EngineSection, ServerEngine


def make_engine(section: EngineSection, protocol: Protocol, tokenizer: PreTrainedTokenizerBase,
                model: PreTrainedModel | None) -> Engine:
    """An engine for `protocol`. `model` is the loaded one for the engine in process; a server has its own."""
    if isinstance(section, ServerEngine):
        return CompletionEngine(ServerCompleter(section, protocol, tokenizer), protocol)
    assert model is not None
    return HFEngine(model, protocol, section.batch_size)


def version_of(section: EngineSection) -> str:
    """What a protocol hash says of the engine."""
    return server_version(section) if isinstance(section, ServerEngine) else engine_version()
