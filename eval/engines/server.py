"""Any OpenAI-compatible completions endpoint (vLLM, SGLang, llama.cpp, TGI …) as a completer."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import httpx
from httpx_retries import aretry_request
from transformers import PreTrainedTokenizerBase

from eval.engines.completions import Call, Completion, Failure
from eval.engines.server_reply import ReplyReader
from eval.http_calls import FIRST_ANSWER_SECONDS, key_header, reason_of, retry_rule, time_limits, tries_of, without_key
from eval.protocol import Protocol
from recipes.engines import ServerEngine

REFUSED = (400, 422)
BACK_SECONDS = 300.0
"""how long an endpoint that has stopped answering is waited for, such as one that is started again"""
LOOK_SECONDS = 5.0
"""pause between two looks whether it is back"""


def server_version(section: ServerEngine) -> str:
    """An endpoint's part of a protocol hash: the name of its model; the serving software is unknown."""
    return f"server {section.model} 1"


class ServerCompleter:
    """Sends prompts as token ids (or text, `prompt_as`) and reads token ids if the endpoint returns them, else text.

    The endpoint samples with its own random numbers: under greedy decoding its tokens equal those of the other engines,
    under sampling they follow the same distribution. The key comes from the environment variable that the recipe names.
    All calls run on an event loop in one thread, which starts with the first call and ends with `close`.
    """

    def __init__(self, section: ServerEngine, protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> None:
        self.section, self.protocol, self.tokenizer = section, protocol, tokenizer
        self.width = section.thoughts_at_once
        self.reader = ReplyReader(protocol, tokenizer)
        self.headers = key_header(section)
        self._results: queue.SimpleQueue[tuple[int, Completion | Failure]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, key: int, call: Call) -> None:
        """Sends the call; it is retried as often as the recipe says."""
        if self._thread is None:
            self._open()
        asyncio.run_coroutine_threadsafe(self._answer(key, call), self._loop)

    def finished(self) -> tuple[int, Completion | Failure]:
        """The next finished call."""
        return self._results.get()

    def close(self) -> None:
        """Cancels calls in progress and ends the thread."""
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread, self._results = None, queue.SimpleQueue()

    def _open(self) -> None:
        self._client = httpx.AsyncClient(
            base_url=self.section.url.rstrip("/") + "/",
            headers=self.headers,
            timeout=time_limits(self.section),
            limits=httpx.Limits(max_connections=self.width),
        )
        self._back, self._given_up = asyncio.Lock(), ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint calls", daemon=True)
        self._thread.start()

    async def _drop_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _answer(self, key: int, call: Call) -> None:
        try:
            result = await self._complete(call)
        except Exception as fault:  # any: an error that is lost here would leave `finished` waiting forever
            result = Failure(f"{type(fault).__name__}: {fault}")
        if isinstance(result, Failure):
            result = Failure(without_key(result.reason, self.headers))
        self._results.put((key, result))

    async def _complete(self, call: Call) -> Completion | Failure:
        """The reply, after up to the recipe's number of tries; at once a failure if the endpoint was given up."""
        if self._given_up:
            return Failure(self._given_up)
        retries = self.section.retries
        outcome: httpx.Response | httpx.HTTPError
        try:
            outcome = await aretry_request(
                self._client, "POST", "completions", retry=retry_rule(retries), json=self._body(call)
            )
        except httpx.HTTPError as fault:
            outcome = fault
        status = outcome.status_code if isinstance(outcome, httpx.Response) else 0
        if isinstance(outcome, httpx.Response) and status == 200:
            return self.reader.read(outcome.text, call)
        if status == 0:
            await self._wait_until_back()
        hint = ""
        if self.section.prompt_as == "ids" and status in REFUSED:
            hint = "; if the endpoint does not accept token ids, set sweep.engine.prompt_as=text"
        return Failure(f"{reason_of(outcome)} (after {tries_of(outcome, retries)} tries{hint})")

    async def _wait_until_back(self) -> None:
        """After a call without any reply: waits until something answers, or gives the endpoint up. Every further call
        would otherwise take the time of all its tries. The calls that failed together share one look."""
        async with self._back:
            if self._given_up:
                return
            try:
                async with asyncio.timeout(BACK_SECONDS):
                    while not await self._answers():
                        await asyncio.sleep(LOOK_SECONDS)
            except TimeoutError:
                self._given_up = f"the endpoint stopped answering, and did not answer again within {BACK_SECONDS:g} s"

    async def _answers(self) -> bool:
        try:
            await self._client.head("", timeout=min(FIRST_ANSWER_SECONDS, self.section.timeout_seconds))
        except httpx.HTTPError:
            return False
        return True

    def _body(self, call: Call) -> dict[str, Any]:
        """The request. Endpoints ignore unknown fields; each field is known to at least one of them."""
        rules = self.protocol
        body: dict[str, Any] = {
            "model": self.section.model,
            "prompt": self._prompt(call),
            "max_tokens": call.max_tokens,
            "stop": [self.reader.names[end] for end in call.ends],
            "seed": call.seed,
            "temperature": rules.temperature,
            "top_p": rules.top_p,
            "skip_special_tokens": False,
            "add_special_tokens": False,
            "return_token_ids": True,  # vLLM
            "include_stop_str_in_output": True,  # vLLM: keep the end in the text
            "no_stop_trim": True,  # SGLang: the same
        }
        if rules.top_k:
            body["top_k"] = rules.top_k
        if rules.min_p:
            body["min_p"] = rules.min_p
        if call.banned_ids:
            body["logit_bias"] = {str(token): -100 for token in call.banned_ids}
        return body

    def _prompt(self, call: Call) -> list[int] | str:
        if self.section.prompt_as == "ids":
            return list(call.prompt_ids)
        return str(self.tokenizer.decode(list(call.prompt_ids), clean_up_tokenization_spaces=False))
