"""Whether a batch of an Arrow file can be read at all: its offsets and indices must be inside its buffers.

pyarrow takes them from the file unchecked, and follows them when values are read: a damaged file would give text from
neighbouring values, a SystemError, or a crash of the process. Text that is not UTF-8 is a fault of one row, found when
values are read, and is ignored here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow


def check_batch(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """The batch; pyarrow.ArrowInvalid if it points outside its buffers."""
    import pyarrow

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid:
            plain = as_bytes(column.type)
            if plain == column.type:
                raise
            column.view(plain).validate(full=True)  # checks everything but the encoding of the bytes
    return batch


def as_bytes(kind: Any) -> Any:
    """An Arrow type with binary in place of text, at every depth; the layout of its buffers is the same."""
    import pyarrow as pa

    for is_text, binary in (
        (pa.types.is_string, pa.binary),
        (pa.types.is_large_string, pa.large_binary),
        (pa.types.is_string_view, pa.binary_view),
    ):
        if is_text(kind):
            return binary()
    for is_list, made in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if is_list(kind):
            return made(kind.value_field.with_type(as_bytes(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(as_bytes(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(as_bytes(kind.key_type), as_bytes(kind.item_type))
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, as_bytes(kind.value_type), kind.ordered)
    return kind
