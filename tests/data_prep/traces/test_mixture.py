"""Mixtures: shares, order, and what becomes of a part that ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from data_prep.traces.mixture import interleave
from data_prep.traces.sources import read_source
from recipes.errors import UserError
from recipes.traces import JsonlTraces, MixturePart, MixtureTraces
from tests.data_prep.trace_files import write_rows


def mixture(*weights: float, **keys: Any) -> MixtureTraces:
    parts = [
        MixturePart(weight=weight, traces=JsonlTraces(source="jsonl", path=Path(f"{number}.jsonl")))
        for number, weight in enumerate(weights)
    ]
    return MixtureTraces(source="mixture", parts=parts, **keys)


class Parts:
    """Numbered traces for each part of a mixture; `asked` is how many were taken from each."""

    def __init__(self, *sizes: int) -> None:
        self.sizes, self.asked = sizes, [0] * len(sizes)

    def read(self, number: int) -> Iterator[Trace]:
        for row in range(self.sizes[number]):
            self.asked[number] += 1
            yield Trace(f"{number}:{row}", "q", "t", "a", f"{number}")


def mixed(section: MixtureTraces, parts: Parts, ledger: Ledger | None = None) -> list[str]:
    return [trace.id for trace in interleave(section, parts.read, ledger or Ledger())]


def share_of(ids: list[str], number: int) -> int:
    return sum(each.startswith(f"{number}:") for each in ids)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weights", [(2, 1), (1, 1, 1), (0.7, 0.2, 0.1), (5,)])
def test_after_any_number_of_traces_each_part_has_given_its_share(weights: tuple[float, ...], seed: int) -> None:
    ids = mixed(mixture(*weights, size=600, seed=seed), Parts(*[1000] * len(weights)))
    for count in range(1, 601):
        for number, weight in enumerate(weights):
            assert abs(share_of(ids[:count], number) - count * weight / sum(weights)) <= len(weights) - 1


def test_each_part_keeps_its_order_and_nothing_comes_twice() -> None:
    ids = mixed(mixture(2, 1), Parts(20, 10))
    assert len(ids) == len(set(ids)) == 30
    assert [each for each in ids if each.startswith("0:")] == [f"0:{row}" for row in range(20)]


def test_a_mixture_is_the_same_every_time_and_another_with_another_seed() -> None:
    first, again, other = (mixed(mixture(2, 1, 1, seed=seed), Parts(40, 20, 20)) for seed in (1, 1, 2))
    assert first == again and first != other


def test_no_part_is_read_further_than_is_used() -> None:
    parts = Parts(1000, 1000)
    ids = mixed(mixture(3, 1, size=40), parts)
    assert parts.asked == [share_of(ids, 0), share_of(ids, 1)] and sum(parts.asked) == 40


def test_taking_one_trace_reads_one() -> None:
    parts = Parts(1000, 1000)
    assert len(list(islice(interleave(mixture(1, 1), parts.read, Ledger()), 1))) == 1 == sum(parts.asked)


@pytest.mark.parametrize(("when_exhausted", "given"), [("go_on", (5, 30)), ("stop", (5, 5)), ("repeat", (20, 20))])
def test_a_part_that_ends(when_exhausted: str, given: tuple[int, int]) -> None:
    ids = mixed(mixture(1, 1, size=40, when_exhausted=when_exhausted), Parts(5, 30))
    assert share_of(ids, 0) == given[0]
    assert abs(share_of(ids, 1) - given[1]) <= 1


def test_a_repeated_part_carries_the_number_of_the_pass() -> None:
    assert mixed(mixture(1, size=5, when_exhausted="repeat"), Parts(2)) == ["0:0", "0:1", "0:0#2", "0:1#2", "0:0#3"]


def test_a_part_without_a_trace_cannot_be_repeated() -> None:
    with pytest.raises(UserError, match=r"^data\.traces\.parts\.0: it has no traces, so it cannot be repeated$"):
        mixed(mixture(1, size=5, when_exhausted="repeat"), Parts(0))


def test_the_outcome_is_noted() -> None:
    ledger = Ledger()
    mixed(mixture(3, 1, size=40, seed=1), Parts(6, 30), ledger)
    assert ledger.notes == [
        "mixture: part 0 gave 6 of 36 traces (16.7%, weight 75.0%); part 1 gave 30 of 36 traces (83.3%, weight 25.0%); "
        "target 40; part 0 ended after 6, part 1 ended after 30 (when_exhausted=go_on)"
    ]


def test_files_are_mixed_and_every_row_is_counted(tmp_path: Path) -> None:
    row = {"question": "q", "thinking": "t", "answer": "a"}
    paths = [write_rows(tmp_path / f"{name}.jsonl", [{**row, "answer": name}] * 4) for name in ("a", "b")]
    (tmp_path / "b.jsonl").open("a").write("broken\n")
    parts = [MixturePart(weight=1, traces=JsonlTraces(source="jsonl", path=path)) for path in paths]
    section, ledger = MixtureTraces(source="mixture", parts=parts), Ledger()
    answers = [trace.answer for trace in read_source(section, "skip", ledger)]
    assert answers in (["a", "b"] * 4, ["b", "a"] * 4)
    assert (ledger.read, ledger.lost) == (9, {"broken row": 1})


def test_a_part_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "0.jsonl", [{"question": "q", "thinking": "t", "answer": "a"}] * 3)
    first = MixturePart(weight=1, traces=JsonlTraces(source="jsonl", path=path))
    section = MixtureTraces(source="mixture", parts=[first, mixture(1, 1).parts[1]])
    with pytest.raises(UserError, match=r"^data\.traces\.parts\.1\.traces\.path: no file at 1\.jsonl"):
        list(read_source(section, "stop", Ledger()))


def test_a_mixture_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="never ends by itself; set size"):
        mixture(1, when_exhausted="repeat")
