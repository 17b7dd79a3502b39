"""A completions endpoint on loopback that serves a real model, greedily, as OpenAI-compatible servers do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


def complete(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, body: dict[str, Any]) -> dict[str, Any]:
    """One greedy completion; the stop string is cut from text and ids, as such servers do."""
    stops = [tokenizer.convert_tokens_to_ids(stop) for stop in body["stop"]]
    config = GenerationConfig(
        max_new_tokens=body["max_tokens"],
        do_sample=False,
        eos_token_id=stops,
        pad_token_id=0,
        suppress_tokens=[int(token) for token in body.get("logit_bias", {})] or None,
    )
    ids = torch.tensor([body["prompt"]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)[0, ids.shape[1] :].tolist()
    ended = out[-1] in stops
    kept = out[:-1] if ended else out
    choice: dict[str, Any] = {"text": tokenizer.decode(kept), "finish_reason": "stop" if ended else "length"}
    if ended:
        choice["stop_reason"] = tokenizer.convert_ids_to_tokens(out[-1])
    return {"choices": [choice]}


@contextmanager
def endpoint(answer: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serves `answer(body) -> (status, object or text[, headers])`; gives the base address and the bodies that came."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, reply, *headers = answer(bodies[-1])
            data = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers[0] if headers else {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)  # seconds until it sees its end
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", bodies
    finally:
        server.shutdown()
        server.server_close()
