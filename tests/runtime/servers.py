"""Servers on loopback that show how a network may fail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

CLOSED = "http://127.0.0.1:9"
"""nothing listens at the port of the discard protocol"""


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
