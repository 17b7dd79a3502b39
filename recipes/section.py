"""What every section of a recipe is."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def changed(self, **values: Any) -> Self:
        """A copy with other `values`, checked as a recipe is (`model_copy` would take anything).

        pydantic.ValidationError where one is not allowed, or does not go with the others.
        """
        return self.model_validate({**dict(self), **values})
