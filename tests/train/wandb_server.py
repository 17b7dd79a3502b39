"""A W&B server on loopback that answers what begins a run, and after that nothing more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

BUCKET = {"id": "1", "name": "me", "displayName": "run", "project": {"name": "p", "entity": {"name": "team"}}}
REPLIES: dict[str, Any] = {
    "RunResumeStatus": {"model": None},
    "UpsertBucket": {"upsertBucket": {"bucket": BUCKET, "inserted": True}},
}
"""by the name of a GraphQL operation"""


@contextmanager
def dying_server() -> Iterator[str]:
    """Gives its address. Requests that it does not answer are held until the end of the block."""
    end = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode(errors="replace")
            name = re.search(r"(?:query|mutation) (\w+)", body)
            if name is None or name[1] not in REPLIES:
                end.wait()
                return
            data = json.dumps({"data": REPLIES[name[1]]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        end.set()
        server.shutdown()
