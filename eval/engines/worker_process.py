"""A process that speaks JSON lines over stdin and stdout; ending it leaves nothing behind."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

GRACE_SECONDS = 10.0  # time to quit before the process is killed
KEPT_LINES = 40


class WorkerProcess:
    """A process in its own group with the processes it starts. It ends on `{"quit": true}` or a closed stdin."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._heard: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._keep)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, message: dict[str, Any]) -> None:
        """Sends a message; if the process has died, the message is lost and `hear` reports it."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """The next message; None if the process has ended. Raises TimeoutError after `seconds` of silence."""
        try:
            return self._heard.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def last_words(self, lines: int) -> str:
        """The last lines that it wrote to stderr, and how it ended; call after `close`."""
        code = self._process.returncode
        said = [line for line in self._said if line.strip()][-lines:]
        return " | ".join([*said, f"exit code {code}" if code >= 0 else signal.Signals(-code).name])

    def close(self) -> None:
        """Ends the process and those that it has started: first by request, then by force."""
        self.tell({"quit": True})
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._threads[0].join(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # before `wait`: until then the group id cannot be reused
        self._process.wait()
        for thread, pipe in zip(self._threads, (self._process.stdout, self._process.stderr), strict=True):
            thread.join(GRACE_SECONDS)  # a process that has left the group may still hold the pipe
            if not thread.is_alive():
                assert pipe is not None
                pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                self._heard.put(json.loads(line))
        self._heard.put(None)

    def _keep(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.rstrip())
