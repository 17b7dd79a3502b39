"""Opens the engine that a recipe names: one table from recipe sections to constructors and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from eval.engines.completions import CompletionEngine
from eval.engines.hf import HFEngine, by_device, hf_version, without_graphs
from eval.engines.memory import GIGABYTE
from eval.engines.server import ServerCompleter, server_version
from eval.engines.vllm import VllmCompleter, vllm_version
from eval.http_calls import silence_of
from eval.protocol import Protocol
from eval.types import Engine, Weights
from recipes.engines import EngineSection, ServerEngine, VllmEngine
from recipes.engines import HFEngine as HFSection
from recipes.errors import UserError
from recipes.section import Section


@contextmanager
def _open_hf(
    section: HFSection, protocol: Protocol, tokenizer: PreTrainedTokenizerBase, weights: Weights
) -> Iterator[Engine]:
    assert weights.model is not None, "the in-process engine needs a loaded model"
    limit_bytes, make_steps = int(section.memory_gb * GIGABYTE), by_device if section.cuda_graphs else without_graphs
    yield HFEngine(weights.model, protocol, section.batch_size, limit_bytes, make_steps)


@contextmanager
def _open_server(
    section: ServerEngine, protocol: Protocol, tokenizer: PreTrainedTokenizerBase, weights: Weights
) -> Iterator[Engine]:
    if why := silence_of(section):
        raise UserError(
            f"sweep.engine.url={section.url}: no server answers there ({why}); start it, or correct the address"
        )
    with closing(ServerCompleter(section, protocol, tokenizer)) as completer:
        yield CompletionEngine(completer, protocol)


@contextmanager
def _open_vllm(
    section: VllmEngine, protocol: Protocol, tokenizer: PreTrainedTokenizerBase, weights: Weights
) -> Iterator[Engine]:
    with closing(VllmCompleter(section, protocol, weights)) as completer:
        yield CompletionEngine(completer, protocol)


@dataclass(frozen=True)
class EngineKind:
    """What the sweep needs from an engine.

    open: a context manager that opens the engine for (section, protocol, tokenizer, weights); version: the engine's
    part of a protocol hash, from the section alone; raises UserError if the engine is not installed.
    """

    open: Callable[[Any, Protocol, PreTrainedTokenizerBase, Weights], AbstractContextManager[Engine]]
    version: Callable[[Any], str]


KINDS: dict[type[Section], EngineKind] = {
    HFSection: EngineKind(_open_hf, lambda section: hf_version()),
    ServerEngine: EngineKind(_open_server, server_version),
    VllmEngine: EngineKind(_open_vllm, vllm_version),
}


def open_engine(
    section: EngineSection, protocol: Protocol, tokenizer: PreTrainedTokenizerBase, weights: Weights
) -> AbstractContextManager[Engine]:
    """An engine for `protocol` on `weights`; processes and threads that it started end with the context."""
    return _kind(section).open(section, protocol, tokenizer, weights)


def version_of(section: EngineSection) -> str:
    """The engine's part of a protocol hash."""
    return _kind(section).version(section)


def _kind(section: Section) -> EngineKind:
    kind = KINDS.get(type(section))
    if kind is None:
        raise TypeError(f"{type(section).__name__} has no engine; add it to eval.engines.choose.KINDS")
    return kind
