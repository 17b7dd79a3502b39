"""A completions endpoint's reply as tokens: vLLM, SGLang, llama.cpp and TGI each have their own format.

They differ in: token ids returned (vLLM) or only text; the end kept in the text (TGI; vLLM and SGLang if requested) or
removed (llama.cpp); how the end is named: as `stop_reason` (vLLM; null for end-of-sequence), `matched_stop` (SGLang),
by the finish reasons `eos_token` and `stop_sequence` (TGI), or not at all (llama.cpp). An end that was removed and not
named counts as the close in a thought, and as the stop token in an answer.
"""

from __future__ import annotations

import json
from typing import Any

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.marks import Mark, ends_with, exactly, own_ids
from data_prep.tokens.prompts import encode
from eval.engines.completions import Call, Completion, Failure
from eval.protocol import Protocol

ENDED = ("stop", "eos_token", "stop_sequence")
CUT = "length"


class ReplyReader:
    """Reads replies into tokens of `protocol`; anything that is not clearly a completion is a failure with a reason."""

    def __init__(self, protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> None:
        self.protocol, self.tokenizer = protocol, tokenizer
        fmt = protocol.format
        self.names: dict[Mark, str] = {
            fmt.close_mark: fmt.close_tag,
            **{exactly([stop]): str(tokenizer.decode([stop])) for stop in fmt.stop_ids},
        }

    def read(self, reply: str, call: Call) -> Completion | Failure:
        """The tokens of the reply, including the end that closed them."""
        try:
            choice = json.loads(reply)["choices"][0]
            reason = choice["finish_reason"]
            ids = self._ids(choice)
        except (ValueError, LookupError, TypeError):
            return Failure(f"the endpoint answered with no completion: {reply[:200]!r}")
        fault = self._fault(ids, reason, call)
        if fault:
            return Failure(fault)
        if reason in ENDED and not any(ends_with(ids, end) for end in call.ends):
            ids = [*ids, *self._cut_end(choice, call)]
        return Completion(tuple(ids[: call.max_tokens])) if ids else Failure("the endpoint gave no token")

    def _ids(self, choice: dict[str, Any]) -> list[int]:
        """The token ids of the reply, or those of its text; TypeError if it has neither."""
        ids, text = choice.get("token_ids"), choice.get("text")
        if isinstance(ids, list):
            return ids
        if text is None and choice["finish_reason"] in ENDED:
            return []
        if not isinstance(text, str):
            raise TypeError
        return list(encode(text, self.tokenizer))

    def _fault(self, ids: list[int], reason: Any, call: Call) -> str:
        """Why these tokens cannot be used; "" if they can."""
        size = self.protocol.vocabulary_size
        strange = [token for token in ids if type(token) is not int or not 0 <= token < size]
        if strange:
            return f"the endpoint returned {strange[0]!r}, which is not a token of the tokenizer (0 … {size - 1})"
        banned = set(ids) & set(call.banned_ids)
        if banned:
            return (
                f"the endpoint gave the token {self.tokenizer.decode([min(banned)])!r} in an answer, which "
                "logit_bias forbids; an endpoint that ignores logit_bias cannot follow this protocol"
            )
        if reason not in (*ENDED, CUT):
            return f"the endpoint ended the call with finish_reason {reason!r}"
        return ""

    def _cut_end(self, choice: dict[str, Any], call: Call) -> tuple[int, ...]:
        """The end that the endpoint has removed."""
        stop = call.ends[-1]
        for key in ("stop_reason", "matched_stop"):
            if key in choice:
                named = choice[key]
                ends = (end for end in call.ends if named == self.names[end] or named in end[0])
                return own_ids(next(ends, stop))
        return own_ids(stop if choice["finish_reason"] == "eos_token" else call.ends[0])
