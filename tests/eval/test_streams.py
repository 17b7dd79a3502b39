"""Uniform streams and inverse-transform sampling, against probabilities worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.streams import Sampling, sample_likeliest, sample_tokens, sums_by_products, uniforms

LOGITS = torch.log(torch.tensor([0.1, 0.2, 0.4, 0.3]))  # by descending probability: ids 2, 3, 1, 0


def sample(uniform: float, logits: torch.Tensor = LOGITS, temperature: float = 1.0, **cuts: float) -> int:
    number = torch.tensor([uniform], dtype=torch.float64)
    return int(sample_tokens(logits[None].clone(), number, Sampling(temperature, **cuts)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uniform", "token"),
    [(0.0, 2), (0.399, 2), (0.401, 3), (0.699, 3), (0.701, 1), (0.899, 1), (0.901, 0), (1 - 2**-53, 0)],
)
def test_inverse_transform_by_hand(uniform: float, token: int) -> None:
    assert sample(uniform) == token


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 2), (0.57, 2), (0.572, 3), (1 - 2**-53, 3)])  # 4/7 and 3/7
def test_top_k_by_hand(uniform: float, token: int) -> None:
    assert sample(uniform, top_k=2) == token


@pytest.mark.parametrize(("top_p", "last"), [(0.01, 2), (0.39, 2), (0.41, 3), (0.69, 3), (0.71, 1), (0.91, 0)])
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float, last: int) -> None:
    assert sample(1 - 2**-53, top_p=top_p) == last


@pytest.mark.parametrize(("uniform", "token"), [(0.57, 2), (0.572, 3)])
def test_the_nucleus_is_scaled_to_one(uniform: float, token: int) -> None:
    assert sample(uniform, top_p=0.5) == token


@pytest.mark.parametrize(("top_k", "last"), [(0, 1), (2, 3)])
def test_top_k_comes_before_top_p(top_k: int, last: int) -> None:
    # top_p 0.72 of all four reaches the third token (0.7 lies before it); top_k 2 leaves none after the second
    assert sample(1 - 2**-53, top_p=0.72, top_k=top_k) == last


def test_top_p_is_measured_on_what_top_k_leaves() -> None:
    # of two tokens 4/7 = 0.571 lies before the second one, of all four only 0.4
    assert (sample(1 - 2**-53, top_p=0.5), sample(1 - 2**-53, top_p=0.5, top_k=2)) == (3, 2)


@pytest.mark.parametrize(("min_p", "last"), [(0.0, 0), (0.24, 0), (0.26, 1), (0.49, 1), (0.51, 3), (0.76, 2), (1.0, 2)])
def test_min_p_keeps_a_share_of_the_likeliest(min_p: float, last: int) -> None:
    assert sample(1 - 2**-53, min_p=min_p) == last  # shares 1, 3/4, 1/2, 1/4


@pytest.mark.parametrize(("uniform", "token"), [(0.57, 2), (0.572, 3)])
def test_what_min_p_leaves_is_scaled_to_one(uniform: float, token: int) -> None:
    assert sample(uniform, min_p=0.6) == token  # 4/7 and 3/7


def test_the_nucleus_is_measured_before_min_p() -> None:
    # 0.7 of all four lies before the third token, of the two that min_p leaves all would: top_p 0.5 keeps two of four
    # tokens, but of the two left by min_p the first alone holds 0.571
    assert sample(1 - 2**-53, top_p=0.5, min_p=0.6) == 3


def test_min_p_is_measured_after_the_temperature() -> None:
    assert [sample(1 - 2**-53, temperature=t, min_p=0.6) for t in (0.5, 1.0, 2.0)] == [2, 3, 1]


@pytest.mark.parametrize(
    "cuts", [{"min_p": 0.3}, {"top_p": 0.8, "min_p": 0.2}, {"top_k": 5, "top_p": 0.9, "min_p": 0.1}]
)
def test_the_tokens_that_are_left_are_those_of_transformers(cuts: dict[str, float]) -> None:
    from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = 2 * torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    warpers = [TemperatureLogitsWarper(0.7)]
    warpers += [TopKLogitsWarper(int(cuts["top_k"]))] if "top_k" in cuts else []
    warpers += [TopPLogitsWarper(cuts["top_p"])] if "top_p" in cuts else []
    left = logits.clone()
    for warper in [*warpers, MinPLogitsWarper(cuts["min_p"])]:
        left = warper(torch.zeros(1, 1, dtype=torch.long), left)
    grid = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    found = torch.bincount(sample_tokens(logits.expand(4000, 40), grid, Sampling(0.7, **cuts)), minlength=40) / 4000
    assert found.tolist() == pytest.approx(left.softmax(-1)[0].tolist(), abs=1e-3)


@pytest.mark.parametrize(("uniform", "token"), [(0.53, 2), (0.535, 3), (0.832, 3), (0.835, 1)])
def test_temperature_one_half_squares_the_probabilities(uniform: float, token: int) -> None:
    assert sample(uniform, temperature=0.5) == token  # 16/30, 9/30, 4/30, 1/30


def test_frequencies_over_a_fine_grid() -> None:
    grid = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    tokens = sample_tokens(LOGITS.expand(10_000, 4), grid, Sampling(1.0))
    assert torch.bincount(tokens).tolist() == pytest.approx([1000, 2000, 4000, 3000], abs=1)


def test_equal_probabilities_are_ordered_by_id() -> None:
    assert [sample(u, logits=torch.zeros(3)) for u in (0.1, 0.4, 0.9)] == [0, 1, 2]


def test_each_token_holds_its_lower_edge() -> None:
    assert [sample(u, logits=torch.zeros(4)) for u in (0.0, 0.25, 0.5, 0.75)] == [0, 1, 2, 3]


def test_an_impossible_token_is_never_chosen() -> None:
    logits = torch.tensor([0.0, -torch.inf, 0.0, -torch.inf])
    assert [sample(u, logits=logits) for u in (0.0, 0.49, 0.51, 1 - 2**-53)] == [0, 0, 2, 2]


def test_rows_do_not_touch_each_other() -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    numbers = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    sampling = Sampling(0.8, top_p=0.9, top_k=5, min_p=0.05)
    together = sample_tokens(logits, numbers, sampling)
    alone = [int(sample_tokens(logits[i : i + 1], numbers[i : i + 1], sampling)) for i in range(5)]
    assert together.tolist() == alone


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(1.0),
        Sampling(0.3),
        Sampling(0.7, top_p=0.9),
        Sampling(0.2, top_p=0.5),
        Sampling(1.0, top_k=5),
        Sampling(1.0, min_p=0.2),
        Sampling(0.6, top_p=0.95, top_k=20, min_p=0.01),
    ],
    ids=str,
)
@pytest.mark.parametrize("step", [0.01, 0.5], ids=["few-ties", "many-ties"])
def test_the_likeliest_tokens_decide_as_the_whole_vocabulary_does(
    sampling: Sampling, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(0)
    logits = (torch.randn(3000, 64, generator=random) * 2 / step).round() * step
    numbers = torch.rand(3000, dtype=torch.float64, generator=random)
    whole = sample_tokens(logits, numbers, sampling)
    monkeypatch.setattr("eval.streams.LIKELIEST", 8)
    assert torch.equal(sample_tokens(logits, numbers, sampling), whole)


def test_a_stream_belongs_to_its_key() -> None:
    assert np.array_equal(uniforms(8, 0, "p", 1, "think"), uniforms(8, 0, "p", 1, "think"))


@pytest.mark.parametrize(
    "key", [(1, "p", 1, "think"), (0, "q", 1, "think"), (0, "p", 2, "think"), (0, "p", 1, "answer")]
)
def test_another_key_gives_other_numbers(key: tuple[object, ...]) -> None:
    assert not np.isin(uniforms(8, *key), uniforms(8, 0, "p", 1, "think")).any()


def test_keys_do_not_run_together() -> None:
    assert not np.array_equal(uniforms(4, "a", 11), uniforms(4, "a1", 1))


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    assert np.array_equal(uniforms(100, "k")[:7], uniforms(7, "k"))


def test_the_numbers_are_fixed_for_all_time() -> None:
    assert uniforms(2, "pinned").tolist() == [0.4085441091098043, 0.46198938614655294]


def test_the_numbers_are_uniform() -> None:
    numbers = uniforms(20_000, "k")
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-squared, 9 degrees of freedom, 0.1 %


@pytest.mark.parametrize("vocabulary", [50, 600])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_gives_the_greedy_token(vocabulary: int, broken: float) -> None:
    logits = torch.zeros(2, vocabulary)
    logits[0, 3], logits[1, 7] = broken, 90.0
    assert sample_tokens(logits, torch.tensor([0.9, 0.9]), Sampling(1.0)).tolist() == [3, 7]


def test_the_likeliest_say_where_they_do_not_decide() -> None:
    logits = torch.zeros(2, 600)
    logits[1, 5] = 90.0
    tokens, is_decided = sample_likeliest(logits, torch.tensor([0.9, 0.9], dtype=torch.float64), Sampling(1.0))
    assert is_decided.tolist() == [False, True]
    assert tokens[1].item() == 5


@pytest.mark.parametrize("count", [1, 512, 1300])
def test_running_sums_by_products(count: int) -> None:
    values = torch.rand(3, count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sums_by_products(values), values.cumsum(dim=-1), atol=1e-11, rtol=1e-13)
