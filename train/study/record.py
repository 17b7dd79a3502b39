"""Records the expectations before the first run starts: study.json, with a hash that the page repeats."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.loader import Loaded
from recipes.study import DifferenceClaim, StudyRecipe
from runtime.files import write_whole
from runtime.lineage import commit
from train.study.grid import arms_of

NAME = "study.json"


def expectation(study: StudyRecipe) -> dict[str, Any]:
    """The claims and the definitions of the arms that they name, as JSON values."""
    named = {claim.arm for claim in study.claims.values()}
    named |= {claim.against for claim in study.claims.values() if isinstance(claim, DifferenceClaim)}
    return {
        "claims": {name: claim.model_dump(mode="json") for name, claim in study.claims.items()},
        "base": study.base,
        "arms": {arm.name: [list(layer) for layer in arm.layers] for arm in arms_of(study) if arm.name in named},
    }


def expectation_hash(study: StudyRecipe) -> str:
    """SHA-256 of `expectation` as JSON with sorted keys."""
    text = json.dumps(expectation(study), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_record(loaded: Loaded[StudyRecipe], out: Path) -> None:
    """UserError if `out` belongs to a study with other expectations."""
    file = out / NAME
    if not file.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise UserError(
                f"out={out}: contains something else (there is no {file.name}); name an empty or a new folder"
            )
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))["expected"]["sha256"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file}: damaged, its expectations cannot be read; name another out") from None
    if before != expectation_hash(loaded.recipe):
        raise UserError(
            f"out={out}: the claims, or the arms that they name, were changed after this study began (expectation "
            f"{before[:12]} before, {expectation_hash(loaded.recipe)[:12]} now); restore them, or name another out"
        )


def write_record(loaded: Loaded[StudyRecipe], out: Path) -> None:
    """Writes the expectations if there are none; seeds and arms that are added later are recorded too."""
    file = out / NAME
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    first = {"sha256": expectation_hash(loaded.recipe), "written": now, **expectation(loaded.recipe)}
    start = {"at": now, "command": list(loaded.command), "commit": commit()}
    record = {
        "expected": before.get("expected", first),
        "starts": [*before.get("starts", []), start],
        "recipe": loaded.recipe.model_dump(mode="json"),
    }
    write_whole(file, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def read_record(out: Path) -> dict[str, Any]:
    """What `write_record` wrote."""
    record: dict[str, Any] = json.loads((out / NAME).read_text(encoding="utf-8"))
    return record
