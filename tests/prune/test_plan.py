"""The plan: what it refuses, and that it survives a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prune.channels import Channels
from prune.plan import Cut, PrunePlan, compose, describe_cut, describe_merges, from_json, load, save, to_json
from prune.repaired import Repair
from recipes.errors import UserError

PLAN = PrunePlan(
    method="shortgpt",
    layers=4,
    removed=(1, 2),
    scores=(0.5, 0.1, 0.1, 1 / 3),
    unpruned="some/model",
    source="sha256:00",
    details={"request": {"prune": {"layers": 2}}, "calibration_tokens": 7},
)


def test_kept_layers_are_the_others_in_order() -> None:
    assert PLAN.kept == (0, 3)


def test_removed_layers_are_sorted() -> None:
    assert PrunePlan(method="layers", layers=4, removed=(3, 0)).removed == (0, 3)


def test_plan_survives_json() -> None:
    assert from_json(to_json(PLAN)) == PLAN


def test_plan_survives_a_folder(tmp_path: Path) -> None:
    save(PLAN, tmp_path)
    assert load(tmp_path) == PLAN


@pytest.mark.parametrize(
    ("removed", "scores", "message"),
    [
        ((4,), (), "layers 0 to 3"),
        ((-1,), (), "layers 0 to 3"),
        ((1, 1), (), "twice"),
        ((), (), "nothing"),
        ((0, 1, 2, 3), (), "keep at least one"),
        ((1,), (0.5,), "4 finite numbers"),
        ((1,), (0.5, 0.5, 0.5, float("nan")), "4 finite numbers"),
    ],
)
def test_impossible_plan_is_refused(removed: tuple[int, ...], scores: tuple[float, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PrunePlan(method="layers", layers=4, removed=removed, scores=scores)


def test_missing_plan_names_file_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="prune_plan.json.*python -m prune"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"kept": [0], "surprise": 1, "removed": [], "scores": []}'])
def test_damaged_plan_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "prune_plan.json").write_text(text)
    with pytest.raises(UserError, match="prune_plan.json: not a prune plan"):
        load(tmp_path)


def test_plan_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(UserError, match=r"removes \[1, 2\] of 4 layers but says that it keeps \[0, 1\]"):
        from_json(to_json(PLAN).replace("0,\n    3", "0,\n    1"))


AS_WRITTEN_BEFORE_MERGES = """{
  "method": "tail",
  "layers": 4,
  "removed": [
    3
  ],
  "scores": [],
  "unpruned": "some/model",
  "source": "sha256:00",
  "details": {
    "calibration_tokens": 0
  },
  "kept": [
    0,
    1,
    2
  ]
}
"""


def test_a_plan_without_merges_is_read_and_written_byte_for_byte() -> None:
    assert to_json(from_json(AS_WRITTEN_BEFORE_MERGES)) == AS_WRITTEN_BEFORE_MERGES


NARROW = PrunePlan(method="width", layers=2, removed=(), channels=Channels(width=4, kept=((0, 1, 3), (2,))))
LOW_RANK = PrunePlan(method="low_rank", layers=2, removed=(), ranks={"model.layers.0.mlp.up_proj": 8, "b": 16})


@pytest.mark.parametrize("plan", [NARROW, LOW_RANK], ids=["channels", "ranks"])
def test_a_plan_that_removes_no_layer_survives_json(plan: PrunePlan) -> None:
    assert from_json(to_json(plan)) == plan


def test_channels_are_written_as_ranges() -> None:
    assert json.loads(to_json(NARROW))["channels"] == {"width": 4, "kept": ["0-1,3", "2"]}


def test_channels_of_other_layers_than_those_that_stay_are_refused() -> None:
    with pytest.raises(UserError, match="channels are of 2 layers, but other layers stay"):
        PrunePlan(method="width", layers=2, removed=(0,), channels=NARROW.channels)


@pytest.mark.parametrize("rank", [0, -1, 1.5])
def test_impossible_ranks_are_refused(rank: float) -> None:
    with pytest.raises(UserError, match=rf"ranks must be whole numbers of 1 or more, not {rank} \(some.module\)"):
        PrunePlan(method="low_rank", layers=2, removed=(), ranks={"some.module": rank})  # type: ignore[dict-item]


@pytest.mark.parametrize("fields", [{"width": 4}, {"width": 4, "kept": ["x"]}, {"width": "a", "kept": []}, 7])
def test_damaged_channels_are_refused(fields: object) -> None:
    damaged = {**json.loads(to_json(NARROW)), "channels": fields}
    with pytest.raises(UserError, match="not a prune plan"):
        from_json(json.dumps(damaged))


def test_what_is_cut_in_words() -> None:
    assert describe_cut(PLAN) == "without layers [1, 2]"
    assert describe_cut(NARROW).startswith("with channels 1 to 3 of 4 by layer")
    assert describe_cut(LOW_RANK).startswith(
        "with low rank: matrices brought to rank 8: 1, 16: 1; stored multiplied out"
    )


MERGE = PrunePlan(method="laco", layers=6, removed=(2, 3, 4), merged=((1, 2, 3, 4),))


def test_a_merge_survives_json() -> None:
    assert from_json(to_json(MERGE)) == MERGE


def test_a_merged_layer_is_the_first_with_the_differences_of_the_others() -> None:
    """theta_1 + (theta_2 - theta_1) + (theta_3 - theta_1) + (theta_4 - theta_1)"""
    assert MERGE.mixes == {0: {0: 1}, 1: {1: -2, 2: 1, 3: 1, 4: 1}, 5: {5: 1}}


def test_one_layer_folded_into_another_takes_its_place() -> None:
    """theta_1 + (theta_2 - theta_1) = theta_2"""
    assert PrunePlan(method="laco", layers=3, removed=(2,), merged=((1, 2),)).mixes == {0: {0: 1}, 1: {2: 1}}


def test_a_merged_layer_may_be_merged_again() -> None:
    """2' = theta_3 + theta_4 - theta_2, then 1 + (2' - 1) + (5 - 1) = 2' + 5 - 1."""
    twice = PrunePlan(method="laco", layers=6, removed=(2, 3, 4, 5), merged=((2, 3, 4), (1, 2, 5)))
    assert twice.mixes == {0: {0: 1}, 1: {1: -1, 2: -1, 3: 1, 4: 1, 5: 1}}


def test_without_a_merge_every_kept_layer_is_itself() -> None:
    assert PLAN.mixes == {0: {0: 1}, 3: {3: 1}}


def test_merges_in_words() -> None:
    assert describe_merges([(5, 6, 7), (1, 2)]) == "6, 7 into 5; 2 into 1"


@pytest.mark.parametrize(
    ("removed", "merged", "message"),
    [
        ((2,), ((1,),), r"\[1\] must name two or more"),
        ((2,), ((1, 2, 2),), r"\[1, 2, 2\] must name two or more different"),
        ((2,), ((1, 9),), r"layers \[9\] are not in the model"),
        ((2,), ((1, 3),), r"layers \[3\] are folded into others but not removed"),
        ((1, 2), ((1, 2),), r"layers \[1\] take in others but are removed"),
        ((2, 3), ((1, 2), (0, 2, 3)), r"\[0, 2, 3\]: layers \[2\] were folded into another layer before"),
    ],
)
def test_impossible_merge_is_refused(
    removed: tuple[int, ...], merged: tuple[tuple[int, ...], ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        PrunePlan(method="laco", layers=4, removed=removed, merged=merged)


FIRST = PrunePlan(
    method="shortgpt",
    layers=6,
    removed=(1, 4),
    scores=(5, 0, 3, 4, 1, 6),
    unpruned="big",
    source="f0",
    details={"a": 1},
)
SECOND = PrunePlan(method="perplexity", layers=4, removed=(2,), scores=(9, 8, 7, 6), source="f1", details={"b": 2})


def test_a_second_cut_is_counted_in_the_layers_of_the_unpruned_model() -> None:
    """Layers 0, 2, 3, 5 are left of the first cut, so layer 2 of what it left is layer 3."""
    both = compose(FIRST, SECOND)
    assert (both.layers, both.removed, both.kept) == (6, (1, 3, 4), (0, 2, 5))
    assert (both.unpruned, both.source, both.method, both.details, both.scores) == (
        *("big", "f0", "perplexity"),
        *({"b": 2}, ()),
    )


def test_every_cut_is_recorded() -> None:
    first, second = compose(FIRST, SECOND).cuts
    scores = {"0": 5, "1": 0, "2": 3, "3": 4, "4": 1, "5": 6}
    assert first == Cut("shortgpt", (1, 4), "f0", scores, {"a": 1})
    assert second == Cut("perplexity", (3,), "f1", {"0": 9, "2": 8, "3": 7, "5": 6}, {"b": 2})


def test_a_third_cut_follows_two() -> None:
    third = compose(compose(FIRST, SECOND), PrunePlan(method="tail", layers=3, removed=(2,), source="f2"))
    assert (third.removed, [cut.removed for cut in third.cuts]) == ((1, 3, 4, 5), [(1, 4), (3,), (5,)])


def test_merges_of_two_cuts_follow_each_other() -> None:
    """2 goes into 1; of 0, 1, 3, 4, 5 layers 3 and 1 are places 2 and 1, and 3 goes into the merged 1."""
    first = PrunePlan(method="laco", layers=6, removed=(2,), merged=((1, 2),))
    both = compose(first, PrunePlan(method="laco", layers=5, removed=(2,), merged=((1, 2),)))
    assert (both.merged, both.removed) == (((1, 2), (1, 3)), (2, 3))


def test_a_layer_that_took_others_in_may_go_with_a_later_cut() -> None:
    first = PrunePlan(method="laco", layers=4, removed=(2,), merged=((1, 2),))
    assert compose(first, PrunePlan(method="layers", layers=3, removed=(1,))).removed == (1, 2)


def test_a_plan_of_several_cuts_survives_json() -> None:
    assert from_json(to_json(compose(FIRST, SECOND))) == compose(FIRST, SECOND)


def test_a_cut_of_another_model_cannot_follow() -> None:
    with pytest.raises(UserError, match="5 layers cannot follow one that keeps 4"):
        compose(FIRST, PrunePlan(method="tail", layers=5, removed=(4,)))


def test_cuts_that_do_not_make_up_the_plan_are_refused() -> None:
    with pytest.raises(UserError, match=r"its cuts remove layers \[1\], but the plan removes \[1, 2\]"):
        PrunePlan(method="tail", layers=4, removed=(1, 2), cuts=(Cut("tail", (1,), "f0"),))


EVEN = PrunePlan(method="width", layers=3, removed=(), channels=Channels(width=4, kept=((0, 1), (1, 2), (2, 3))))


def test_layers_that_are_removed_after_a_narrowing_take_their_channels_along() -> None:
    both = compose(EVEN, PrunePlan(method="tail", layers=3, removed=(2,)))
    assert (both.removed, both.channels) == ((2,), Channels(width=4, kept=((0, 1), (1, 2))))
    assert [cut.narrowed[:13] for cut in both.cuts] == ["with channels", ""]
    assert from_json(to_json(both)) == both


@pytest.mark.parametrize(("earlier", "message"), [(NARROW, "differ in width"), (LOW_RANK, "a lower rank")])
def test_what_a_further_cut_would_make_untrue_is_not_cut_further(earlier: PrunePlan, message: str) -> None:
    with pytest.raises(UserError, match=f"cannot be cut further: .*{message}"):
        compose(earlier, PrunePlan(method="tail", layers=2, removed=(1,)))


REPAIRED = PrunePlan(method="layers", layers=6, removed=(2, 3), repairs=(Repair(1, (2, 3), 0.5, 0.25, 100, 1e-3),))


def test_repairs_survive_json() -> None:
    assert from_json(to_json(REPAIRED)) == REPAIRED


def test_a_plan_of_several_cuts_with_repairs_survives_json() -> None:
    twice = compose(PrunePlan(method="tail", layers=8, removed=(0, 7)), REPAIRED)
    assert from_json(to_json(twice)) == twice


def test_repairs_of_a_second_cut_are_counted_in_the_layers_of_the_unpruned_model() -> None:
    twice = compose(PrunePlan(method="tail", layers=8, removed=(0, 3)), REPAIRED)
    assert [(each.layer, each.removed) for each in twice.repairs] == [(2, (4, 5))]
    assert (twice.cuts[0].repairs, twice.cuts[1].repairs) == ((), twice.repairs)


def test_a_plan_without_repairs_has_no_such_key() -> None:
    assert "repairs" not in to_json(compose(PrunePlan(method="tail", layers=5, removed=(4,)), PLAN))
