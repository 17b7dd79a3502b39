"""The kernel against the sum that is written out: by Triton's interpreter on a CPU, compiled where there is a GPU.

`pip install triton "numpy<2.4"` and TRITON_INTERPRET=1 let it run without a GPU.
"""

from __future__ import annotations

import os

import pytest
import torch

from tests.eval.engines.test_decode_attention import FIRST, LENGTHS, SHAPES, Shape, by_hand, states

pytest.importorskip("triton", reason="torch's CPU builds come without Triton")
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton compiles for a GPU, and there is none; TRITON_INTERPRET=1 interprets", allow_module_level=True)

from eval.engines.decode_kernel import attention_by_triton

HALF = [torch.float16, torch.bfloat16] if torch.cuda.is_available() else [torch.float16]
"""the interpreter multiplies the bits of bfloat16 as whole numbers"""
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def by_kernel(shape: Shape, dtype: torch.dtype, rows: slice = slice(None)) -> tuple[torch.Tensor, torch.Tensor]:
    query, keys, values = (part[rows] for part in states(shape, dtype))
    first, lengths = torch.stack([FIRST[rows], LENGTHS[rows]], 1).unbind(1)  # beside each other, as in a sweep
    inputs = [part.to(DEVICE) for part in (query, keys, values, first, lengths)]
    return attention_by_triton(*inputs, 0.3).cpu(), by_hand(*states(shape, dtype), 0.3)[rows]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32(shape: Shape) -> None:
    output, expected = by_kernel(shape, torch.float32)
    torch.testing.assert_close(output.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_half_precision(dtype: torch.dtype) -> None:
    output, expected = by_kernel(SHAPES[3], dtype)
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), expected, atol=0.02, rtol=0.02)


def test_a_row_is_the_same_bits_alone_and_beside_others() -> None:
    together, _ = by_kernel(SHAPES[1], torch.float32)
    query, keys, values = states(SHAPES[1])
    alone = attention_by_triton(
        query[1:2].to(DEVICE),
        keys[1:2, :, :301].to(DEVICE),  # another width, and strides of another cache
        values[1:2, :, :301].to(DEVICE),
        FIRST[1:2].to(DEVICE),
        LENGTHS[1:2].to(DEVICE),
        0.3,
    )
    assert torch.equal(together[1:2], alone.cpu())


def test_columns_that_a_row_does_not_hold_are_not_read() -> None:
    query, keys, values = states(SHAPES[0])
    columns = torch.arange(320)
    beyond = ((columns < FIRST[:, None]) | (columns >= LENGTHS[:, None]))[:, None, :, None]
    poisoned = (part.masked_fill(beyond, torch.nan) for part in (keys, values))
    inputs = (part.to(DEVICE) for part in (query, *poisoned, FIRST, LENGTHS))
    assert attention_by_triton(*inputs, 0.3).isfinite().all()
