"""How long a run waits for W&B's server. Its library waits without a limit: for an artifact that is used, for the last
rows at the end of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runtime.network import ANSWER_SECONDS, silence, within

INIT_SECONDS = 30.0
"""until a run continues offline; WANDB_INIT_TIMEOUT overrides it"""
FINISH_SECONDS = 60.0
"""from the end of a run until it stops sending rows; WANDB_FINISH_TIMEOUT overrides it"""
REQUEST_SECONDS = 60.0
"""for what has to ask the server while the run waits"""


def wait_settings() -> dict[str, Any]:
    """The limits, as settings of W&B."""
    return {
        "init_timeout": float(os.environ.get("WANDB_INIT_TIMEOUT", INIT_SECONDS)),
        "finish_timeout": float(os.environ.get("WANDB_FINISH_TIMEOUT", FINISH_SECONDS)),
        "finish_timeout_raises": True,
    }


def ask(run: Any, what: str, work: Callable[[], object]) -> None:
    """Does work that asks the server if the run is online. If it fails or takes too long, a line says that W&B lacks
    `what`; the run and its tracking continue."""
    if run.offline:
        work()
        return
    try:
        within(REQUEST_SECONDS, work)
    except Exception as fault:  # W&B's errors have no common class
        first = (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]
        print(f"W&B lacks {what} ({first}); the run folder has it", file=sys.stderr, flush=True)


def wait_for_uploads(run: Any, artifacts: Sequence[Any]) -> None:
    """Waits until the artifacts are uploaded, however large they are, as long as the server answers."""
    for artifact in artifacts:
        while not _uploaded(artifact):
            why = silence(run.settings.base_url, ANSWER_SECONDS)
            if why and "CERTIFICATE" not in why:  # W&B may know a certificate that is unknown here
                return


def _uploaded(artifact: Any) -> bool:
    from wandb.sdk.artifacts.exceptions import WaitTimeoutError

    try:
        artifact.wait(timeout=int(REQUEST_SECONDS))
    except WaitTimeoutError:
        return False
    except Exception:  # it failed, or its result could not be read: there is nothing to wait for
        return True
    return True


def last_line(run: Any, url: str | None) -> str:
    """The last line of an online run that could not send all its rows."""
    folder = Path(run.dir).parent
    return f"W&B     {url} lacks rows, since the server did not answer in time; wandb sync {folder}"
