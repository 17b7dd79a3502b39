"""Any OpenAI-compatible completions endpoint (vLLM, SGLang, llama.cpp, TGI …) as a completer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from transformers import PreTrainedTokenizerBase

from data_prep.prompts import encode
from eval.engines.completions import Call, Completion, Failure
from eval.http_calls import NoReply, open_client, post
from eval.protocol import Protocol
from recipes.sweeps import ServerEngine


def server_version(section: ServerEngine) -> str:
    """What a protocol hash says of an endpoint: the name of its model; what serves it is not known."""
    return f"server {section.model} 1"


class ServerCompleter:
    """Sends token ids and reads token ids where the endpoint gives them, else its text.

    The endpoint samples by its own random numbers: under greedy decoding its tokens are those of the other engines,
    under sampling they follow the same distribution. The key comes from the environment variable that the recipe names.
    """

    def __init__(self, section: ServerEngine, protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> None:
        self.section, self.protocol, self.tokenizer = section, protocol, tokenizer
        self.client = open_client(section)

    def complete(self, calls: Sequence[Call]) -> list[Completion | Failure]:
        """All calls, `concurrency` at a time; each is tried again as often as the recipe says."""
        with ThreadPoolExecutor(self.section.concurrency) as pool:
            return list(pool.map(self._complete, calls))

    def _complete(self, call: Call) -> Completion | Failure:
        reply = post(self.client, "completions", self._body(call), self.section.retries)
        return Failure(reply.reason) if isinstance(reply, NoReply) else self._read(reply, call)

    def _body(self, call: Call) -> dict[str, Any]:
        rules, fmt = self.protocol, self.protocol.format
        body: dict[str, Any] = {
            "model": self.section.model, "prompt": list(call.prompt_ids), "max_tokens": call.max_tokens,
            "stop": [fmt.stop] if call.banned_ids else [fmt.close_mark, fmt.stop], "seed": call.seed,
            "temperature": rules.temperature, "top_p": rules.top_p, "skip_special_tokens": False,
            "return_token_ids": True}
        if rules.top_k:
            body["top_k"] = rules.top_k
        if call.banned_ids:
            body["logit_bias"] = {str(token): -100 for token in call.banned_ids}
        return body

    def _read(self, response: httpx.Response, call: Call) -> Completion | Failure:
        """The tokens of a response; what is not a completion is a failure that says what came."""
        try:
            choice = response.json()["choices"][0]
            text, ended = choice["text"], choice.get("finish_reason")
        except (ValueError, LookupError, TypeError):
            return Failure(f"the endpoint answered with no completion: {response.text[:200]!r}")
        if not isinstance(text, str):
            return Failure(f"the endpoint's text is {type(text).__name__}")
        ids = choice.get("token_ids")
        fmt = self.protocol.format
        stops = [(token,) for token in fmt.stop_ids]
        marks = stops if call.banned_ids else [fmt.close_mark_ids, *stops]
        if not isinstance(ids, list):
            ids = list(encode(text, self.tokenizer))
        if ended == "stop" and not any(tuple(ids[-len(mark):]) == tuple(mark) for mark in marks):
            ids = [*ids, *self._stop_ids(choice, call)]
        if not ids:
            return Failure("the endpoint gave no token")
        return Completion(tuple(ids[: call.max_tokens]))

    def _stop_ids(self, choice: dict[str, Any], call: Call) -> tuple[int, ...]:
        """What the endpoint has cut from the end: the close in a thought, unless it names the stop token."""
        fmt = self.protocol.format
        if call.banned_ids or choice.get("stop_reason") in (fmt.stop, *fmt.stop_ids):
            return (encode(fmt.stop, self.tokenizer)[0],)
        return fmt.close_mark_ids
