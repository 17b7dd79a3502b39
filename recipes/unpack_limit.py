"""The key `unpack_limit` of every section that names a file of rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

UNPACK_LIMIT = 200
UnpackLimit = Annotated[
    int,
    Field(
        ge=1,
        description="a packed file (.gz .zst .bz2, Parquet, Arrow) may unpack to at most this many times its size, "
        "and to 16 MiB in any case: small files that unpack without end are refused",
    ),
]
