"""A package named vllm for tests without vLLM: its engine's interface, with the model `scripted.summing`.

The real worker script runs it in a real process. Environment variables make it misbehave: STAND_IN_DIES_AFTER (steps),
STAND_IN_SLEEPS_AFTER (steps), STAND_IN_REFUSES_TO_START (its words).
"""

from __future__ import annotations

from pathlib import Path

VERSION = "0.99.1"
METADATA = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}\n"
SAMPLING = """
from dataclasses import dataclass, field
from enum import Enum

class RequestOutputKind(Enum):
    DELTA = 1

@dataclass
class SamplingParams:
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    max_tokens: int
    logit_bias: dict
    ignore_eos: bool
    stop_token_ids: list
    detokenize: bool
    output_kind: RequestOutputKind
"""
ENGINE = f'''
import os, signal, sys, time
from types import SimpleNamespace as Space
from vllm.sampling_params import SamplingParams

__version__ = "{VERSION}"
CONTEXT, PADDED = 64, 128

class Engine:
    def __init__(self, sequences):
        self.model_config = Space(get_vocab_size=lambda: PADDED)
        self.sequences, self.running, self.steps = sequences, {{}}, 0

    def add_request(self, key, prompt, params, lora_request=None):
        ids = list(prompt["prompt_token_ids"])
        if len(ids) + params.max_tokens > CONTEXT:
            raise ValueError(f"{{len(ids)}} tokens and {{params.max_tokens}} to come exceed {{CONTEXT}}")
        self.running[key] = (ids, len(ids), params)

    def abort_request(self, keys):
        for key in keys:
            del self.running[key]

    def step(self):
        self.steps += 1
        if self.steps > int(os.environ.get("STAND_IN_DIES_AFTER", 10**9)):
            print("out of memory", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps > int(os.environ.get("STAND_IN_SLEEPS_AFTER", 10**9)):
            time.sleep(600)
        print("a step", flush=True)  # vLLM prints too, and must not be taken for a message
        return [self.one_token(key) for key in list(self.running)[: self.sequences]]

    def one_token(self, key):
        ids, start, params = self.running[key]
        token = (sum(ids) * 7 + len(ids)) % 19
        token = {{0: 7, 1: 3}}.get(token, 20 + token)  # sometimes a close, sometimes an end
        token = 9 if token in (params.logit_bias or {{}}) else token
        ids.append(token)
        reason = "stop" if token in params.stop_token_ids else None
        reason = reason or ("length" if len(ids) - start >= params.max_tokens else None)
        if reason:
            del self.running[key]
        return Space(request_id=key, finished=reason is not None,
                     outputs=[Space(token_ids=[token], finish_reason=reason)])

class LLM:
    def __init__(self, model, max_num_seqs, **settings):
        if os.environ.get("STAND_IN_REFUSES_TO_START"):
            raise ValueError(os.environ["STAND_IN_REFUSES_TO_START"])
        self.llm_engine = Engine(max_num_seqs)
'''


PLATFORMS = """
class current_platform:
    is_cpu = staticmethod(lambda: True)
"""


def install(folder: Path) -> Path:
    """Writes the package; whose PYTHONPATH names the folder has it."""
    (folder / "vllm").mkdir()
    (folder / "vllm" / "__init__.py").write_text(ENGINE, encoding="utf-8")
    (folder / "vllm" / "sampling_params.py").write_text(SAMPLING, encoding="utf-8")
    (folder / "vllm" / "platforms.py").write_text(PLATFORMS, encoding="utf-8")
    about = folder / f"vllm-{VERSION}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA, encoding="utf-8")
    return folder
