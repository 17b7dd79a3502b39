"""The base class of every section of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


def _with_aliases(schema: dict[str, Any], section: type[Section]) -> None:
    """The JSON schema of a section with its keys under their other names too."""
    for alias, key in section.aliases.items():
        known = {name: value for name, value in schema["properties"][key].items() if name != "default"}
        schema["properties"][alias] = {**known, "description": f"another name of {key}"}
    for alias, (key, on, _) in section.switches.items():
        schema["properties"][alias] = {"type": "boolean", "description": f"true: another name of {key}={on}"}


class Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_with_aliases)

    aliases: ClassVar[Mapping[str, str]] = {}
    """names that other tools give to keys of this section, each with our key; recipe files and arguments may use both
    (`recipes.aliases`)"""

    switches: ClassVar[Mapping[str, tuple[str, str, str]]] = {}
    """names that are true or false for one value of a key: (our key, its value if true, its value if false and it
    had that value)"""

    def changed(self, **values: Any) -> Self:
        """A copy with other `values`, checked as a recipe is (`model_copy` would take anything).

        pydantic.ValidationError if one is not allowed, or does not go with the others.
        """
        return self.model_validate({**dict(self), **values})
