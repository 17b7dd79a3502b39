"""Whether a batch of an Arrow file can be read at all: its offsets and indices lie inside its buffers.

pyarrow takes them from the file as they are, and follows them when values are read: a damaged file would give texts of
its neighbours, a SystemError, or the end of the process. Text that is not UTF-8 is the fault of one row (the reader of
values finds it), so it is left out of account here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow


def check_batch(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """The batch; pyarrow.ArrowInvalid where it points outside its buffers."""
    import pyarrow

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid:
            plain = as_bytes(column.type)
            if plain == column.type:
                raise
            column.view(plain).validate(full=True)  # all that was checked before, but for what the bytes say
    return batch


def as_bytes(kind: Any) -> Any:
    """A type of Arrow with binary in place of text, at every depth; the layout of its buffers is the same."""
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
