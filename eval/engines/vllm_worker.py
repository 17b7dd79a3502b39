"""The process that runs vLLM for `eval.engines.vllm`, under the interpreter of an environment that has vLLM.

It imports only the standard library and vLLM, since that environment lacks chainmend. Messages are JSON, one per
line. On stdin: first the settings, then calls, and finally `{"quit": true}`. On stdout: `{"ready": version}`, then
`{"key", "ids"}` or `{"key", "failure"}` for each call as soon as it is done, `{"alive": calls in progress}` at
intervals, and `{"failed": why}` before it dies. Everything that vLLM prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

Tell = Callable[[dict[str, Any]], None]
BEAT_SECONDS = 2.0
NEVER = -1e9  # added to a logit, it bans the token; finite, so that kernels never see an infinity


def own_channel() -> IO[str]:
    """The pipe to the other side, detached from stdout so that nothing else can write to it."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def listen(inbox: queue.Queue[dict[str, Any]]) -> None:
    """Puts every message into the queue; when the other side has gone, ends this process and its children."""
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("quit"):
            break
        inbox.put(message)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGTERM)
    os._exit(0)


class UnderWay:
    """A call: its key, its multi-token ends (vLLM supports only single-token ones), and the tokens so far.

    An end is a mark: for each position, the tokens allowed there.
    """

    def __init__(self, key: int, marks: list[list[list[int]]]) -> None:
        self.key, self.marks = key, marks
        self.ids: list[int] = []

    def is_marked(self) -> bool:
        """Whether one of the ends has been generated."""
        return any(
            len(self.ids) >= len(mark)
            and all(token in place for token, place in zip(self.ids[-len(mark) :], mark, strict=True))
            for mark in self.marks
        )


class Engine:
    """vLLM, the adapter to use, and the tokens of the calls in progress."""

    def __init__(self, settings: dict[str, Any]) -> None:
        from vllm import LLM  # the import alone takes many seconds
        from vllm.platforms import current_platform

        # chunked prefill of a prompt with its own seed crashes vLLM 0.32 on a CPU
        whole = {"enable_chunked_prefill": False} if current_platform.is_cpu() else {}
        adapter = settings["adapter"]
        lora = {"enable_lora": True, "max_lora_rank": adapter["rank"], "max_loras": 1} if adapter else {}
        self.engine = LLM(
            **settings["llm"],
            **lora,
            **whole,
            skip_tokenizer_init=True,
            enable_prefix_caching=True,
            generation_config="vllm",
        ).llm_engine
        self.adapter = self.load_adapter(adapter["folder"]) if adapter else None
        size = self.engine.model_config.get_vocab_size()
        self.tail = range(settings["vocabulary_size"], size)
        self.sampling = settings["sampling"]
        self.begun = 0
        self.under_way: dict[str, UnderWay] = {}

    def load_adapter(self, folder: str) -> Any:
        """Loads the adapter immediately, so that one that vLLM refuses fails the start."""
        from vllm.lora.request import LoRARequest

        request = LoRARequest("adapter", 1, folder)
        self.engine.add_lora(request)
        return request

    def add(self, call: dict[str, Any]) -> None:
        """Starts a call; it joins those in progress at the next step."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        bias = dict.fromkeys([*call["banned"], *self.tail], NEVER)
        params = SamplingParams(
            **self.sampling,
            seed=call["seed"],
            max_tokens=call["max_tokens"],
            logit_bias=bias or None,
            ignore_eos=True,
            stop_token_ids=[token for end in call["ends"] if len(end) == 1 for token in end[0]],
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        self.begun += 1
        request = str(self.begun)  # not the key, which the next call of the same thought uses again
        self.engine.add_request(request, {"prompt_token_ids": call["prompt"]}, params, lora_request=self.adapter)
        self.under_way[request] = UnderWay(call["key"], [end for end in call["ends"] if len(end) > 1])

    def step(self) -> Iterator[tuple[int, list[int], str | None]]:
        """One step of all calls in progress; (key, tokens, finish reason) of those that are done."""
        for output in self.engine.step():
            request, fresh = output.request_id, output.outputs[0]
            call = self.under_way.get(request)
            if call is None:
                continue  # it was ended at its mark; vLLM had continued
            call.ids.extend(fresh.token_ids)
            marked = call.is_marked()
            if marked and not output.finished:
                self.engine.abort_request([request])
            if marked or output.finished:
                del self.under_way[request]
                yield call.key, call.ids, "stop" if marked else fresh.finish_reason


def serve(engine: Engine, inbox: queue.Queue[dict[str, Any]], tell: Tell) -> None:
    """Accepts calls as they arrive and steps while one is in progress."""
    beat = time.monotonic()
    while True:
        while not engine.under_way or not inbox.empty():
            begin(engine, inbox.get(), tell)
        for key, ids, reason in engine.step():
            if reason in ("stop", "length") and ids:
                tell({"key": key, "ids": ids})
            else:
                tell({"key": key, "failure": f"vLLM ended the call with finish reason {reason!r}"})
        if time.monotonic() - beat > BEAT_SECONDS:
            beat = time.monotonic()
            tell({"alive": len(engine.under_way)})


def begin(engine: Engine, call: dict[str, Any], tell: Tell) -> None:
    """Starts a call, or reports why vLLM refuses it, such as a prompt beyond its context."""
    try:
        engine.add(call)
    except ValueError as fault:
        tell({"key": call["key"], "failure": f"vLLM refused the call: {fault}"})


def warm_up(engine: Engine) -> None:
    """Generates one token, since vLLM reports shapes without a kernel only at the first step."""
    engine.add({"key": 0, "prompt": [0, 0], "max_tokens": 1, "ends": [], "banned": [], "seed": 0})
    while engine.under_way:
        list(engine.step())


def main() -> None:
    own_folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != own_folder]  # its vllm.py hides vLLM
    channel = own_channel()
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()

    def tell(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    threading.Thread(target=listen, args=(inbox,), daemon=True).start()
    try:
        engine = Engine(inbox.get())
        warm_up(engine)
        import vllm

        tell({"ready": vllm.__version__})
        serve(engine, inbox, tell)
    except Exception as fault:
        traceback.print_exc()
        tell({"failed": f"{type(fault).__name__}: {fault}"})
        sys.exit(1)


if __name__ == "__main__":
    main()
