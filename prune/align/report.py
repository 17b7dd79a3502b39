"""The alignment report: pure functions on the matrices of a checkpoint, and its text.

With a size that is not a multiple of 8, a GPU cannot use its fast half-precision kernels. Multiples of 16 and 64 fit
its tiles better, and 128 is the usual tile (arXiv 2604.09595 measured this on an A100; docs/alignment.md has figures).
"""

from __future__ import annotations

from collections.abc import Iterator

from prune.align.matrices import Group, Matrices

MULTIPLES = (8, 16, 64, 128)


def is_aligned(group: Group, multiple: int) -> bool:
    """Whether both sides of the matrices are multiples of `multiple`."""
    return group.rows % multiple == 0 and group.columns % multiple == 0


def misaligned_share(groups: tuple[Group, ...], multiple: int) -> float:
    """The share of the matrices' parameters, in [0, 1], in matrices with a side that is not a multiple."""
    total = sum(group.parameters for group in groups)
    off = sum(group.parameters for group in groups if not is_aligned(group, multiple))
    return off / total if total else 0.0


def largest_multiple(sizes: tuple[int, ...]) -> int:
    """The largest of MULTIPLES that divides all sizes; 1 if not even 8 does."""
    return max((multiple for multiple in MULTIPLES if all(size % multiple == 0 for size in sizes)), default=1)


def describe_matrices(name: str, matrices: Matrices) -> str:
    """The report: one line per kind of matrix and per other size that matters, shares, and one verdict line."""
    header = f"{'matrices':22s} {'rows':>8s} {'columns':>8s} {'count':>6s}  " + _row([f"{m}" for m in MULTIPLES])
    lines = [f"folder     {name}", header]
    for group in matrices.groups:
        marks = ["yes" if is_aligned(group, multiple) else "no" for multiple in MULTIPLES]
        lines.append(f"{group.kind:22s} {group.rows:8,d} {group.columns:8,d} {group.count:6,d}  {_row(marks)}")
    shares = [f"{misaligned_share(matrices.groups, multiple):.1%}" for multiple in MULTIPLES]
    lines.append(f"{'parameters off':49s}{_row(shares)}")
    lines += [f"{what:40s} {size:8,d}{_row(_marks(size))}" for what, size in _single_sizes(matrices)]
    if matrices.quantised:
        lines.append("note       the weights are quantised: the sizes shown are the stored ones, not those multiplied")
    return "\n".join([*lines, f"verdict    {verdict(matrices)}"])


def verdict(matrices: Matrices) -> str:
    """One line: the multiple to which everything is aligned, or what is not a multiple of 8."""
    off = list(_off(matrices, MULTIPLES[0]))
    if off:
        share = misaligned_share(matrices.groups, MULTIPLES[0])
        return f"not aligned: {share:.1%} of the parameters are off multiples of {MULTIPLES[0]} ({'; '.join(off)})"
    every = [size for group in matrices.groups for size in (group.rows, group.columns)]
    every += [size for _, size in _single_sizes(matrices)]
    best = largest_multiple(tuple(every))
    higher = [multiple for multiple in MULTIPLES if multiple > best]
    if not every or not higher:
        return f"aligned to {best}"
    return f"aligned to {best}; off multiples of {higher[0]}: {'; '.join(_off(matrices, higher[0]))}"


def alignment_note(matrices: Matrices) -> str:
    """The doctor's note on sizes that are not multiples of 8; "" if there are none."""
    off = list(_off(matrices, MULTIPLES[0]))
    if not off or matrices.quantised:
        return ""
    return (
        f"alignment: not multiples of {MULTIPLES[0]}, which a GPU multiplies more slowly: {'; '.join(off)} "
        "(`python -m prune.align DIR` lists all sizes)"
    )


def _off(matrices: Matrices, multiple: int) -> Iterator[str]:
    """Kinds of matrices and other sizes that are not multiples."""
    for group in matrices.groups:
        if not is_aligned(group, multiple):
            yield f"{group.kind} [{group.rows:,}, {group.columns:,}] × {group.count}"
    for what, size in _single_sizes(matrices):
        # the vocabulary is a side of embedding and head, which are listed above
        if size % multiple and what != "vocabulary":
            yield f"{what} {size}"


def _single_sizes(matrices: Matrices) -> Iterator[tuple[str, int]]:
    for size in matrices.head_sizes:
        yield "head size", size
    if matrices.vocabulary is not None:
        yield "vocabulary", matrices.vocabulary
    for rank in matrices.ranks:
        yield "LoRA rank", rank


def _marks(size: int) -> list[str]:
    return ["yes" if size % multiple == 0 else "no" for multiple in MULTIPLES]


def _row(cells: list[str]) -> str:
    return "".join(f"{cell:>8s}" for cell in cells)
