"""The engine that a recipe names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedTokenizerBase

from eval.engines.completions import Completer, CompletionEngine
from eval.engines.hf import HFEngine, engine_version
from eval.engines.memory import GIGABYTE
from eval.engines.server import ServerCompleter, server_version
from eval.engines.vllm import VllmCompleter, vllm_version
from eval.protocol import Protocol
from eval.types import Engine, Weights
from recipes.engines import EngineSection, ServerEngine, VllmEngine


@contextmanager
def open_engine(
    section: EngineSection, protocol: Protocol, tokenizer: PreTrainedTokenizerBase, weights: Weights
) -> Iterator[Engine]:
    """An engine for `protocol` on `weights`; what it has started (a process, a thread) ends with the context."""
    if not isinstance(section, ServerEngine | VllmEngine):
        assert weights.model is not None
        yield HFEngine(weights.model, protocol, section.batch_size, int(section.memory_gb * GIGABYTE))
        return
    completer: Completer = (
        VllmCompleter(section, protocol, weights)
        if isinstance(section, VllmEngine)
        else ServerCompleter(section, protocol, tokenizer)
    )
    try:
        yield CompletionEngine(completer, protocol)
    finally:
        completer.close()


def version_of(section: EngineSection) -> str:
    """What a protocol hash says of the engine."""
    if isinstance(section, VllmEngine):
        return vllm_version(section)
    return server_version(section) if isinstance(section, ServerEngine) else engine_version()
