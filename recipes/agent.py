"""Commands started by `wandb agent`: their arguments have dashes, and the run takes the agent's id.

An agent sets WANDB_SWEEP_ID and WANDB_RUN_ID; without WANDB_SWEEP_ID this module changes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from recipes.errors import UserError

FLAG = re.compile(r"^--(?=[A-Za-z_][\w.]*=)")
LAUNCHER = re.compile(r"--local[_-]rank=")
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def under_agent(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("WANDB_SWEEP_ID"))


def without_dashes(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """`--key=value` as `key=value` under an agent, which writes `${args}` that way; elsewhere flags are still refused.

    The launcher's own `--local_rank=N` stays as it is.
    """
    if not under_agent(environment):
        return list(arguments)
    return [each if LAUNCHER.match(each) else FLAG.sub("", each, count=1) for each in arguments]


def agents_run_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """The id that an agent gives to the run; None without one. UserError if it is not a valid folder name."""
    given = environment.get("WANDB_RUN_ID") if under_agent(environment) else None
    if given is not None and not RUN_ID.fullmatch(given):
        raise UserError(
            f"WANDB_RUN_ID={given}: must be 1 to 128 letters, digits, - and _; unset it or start the agent again"
        )
    return given
