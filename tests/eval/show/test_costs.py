"""The sentence of a run: from its record, and silent where a record is older."""

import pytest

from eval.show.costs import pays_text, seconds_per_token, seconds_share

COST = [{"budget": 64, "factor": 1.0, "low": 0.9, "high": 1.1, "at_most": False}]
SWEEP = {"step": 4, "model": "run", "suite": "chain", "budget": None, "cost_factor": COST, "token_inflation": None}
AT = {"step": 4, "model": "run", "suite": "chain", "budget": 64, "accuracy": 0.5}


def test_the_share_of_parameters_is_that_of_the_record():
    said = pays_text({"parameters": {"unpruned": 100, "pruned": 80}}, [AT, SWEEP], "chain")
    assert (
        said
        == "Does it pay: yes, for the unpruned model's accuracy it takes of its FLOPs at 64 tokens 0.80 (below 0.88)"
    )


def test_an_older_record_says_nothing():
    assert pays_text({}, [AT, SWEEP], "chain") == ""
    old = {key: value for key, value in SWEEP.items() if key != "cost_factor"}
    assert pays_text({"parameters": {"unpruned": 100, "pruned": 80}}, [AT, old], "chain") == ""


def timed(model, step, seconds, tokens, suite="chain"):
    """One sweep of 10 problems, twice each, at two budgets."""
    of = {"model": model, "step": step, "suite": suite, "problems": 10, "samples": 2, "missing": 0, "seconds": seconds}
    return [
        {**of, "budget": 32, "total_tokens": 1.0, "accuracy": 0.5},
        {**of, "budget": 64, "total_tokens": tokens, "accuracy": 0.5},
        {**of, "budget": None, "level": 0.5},
    ]


def test_seconds_are_those_of_the_whole_sweep_over_the_tokens_of_all_suites():
    rows = [*timed("run", 4, 6.0, 10.0), *timed("run", 4, 6.0, 20.0, suite="shallow")]
    assert seconds_per_token(rows, "run") == pytest.approx(6.0 / (20 * 30))


def test_a_sweep_that_was_resumed_does_not_count_alone():
    rows = [row for step, seconds in ((4, 6.0), (8, 0.1), (12, 6.6)) for row in timed("run", step, seconds, 10.0)]
    assert seconds_per_token(rows, "run") == pytest.approx(6.0 / 200)


def test_one_that_thinks_twice_as_long_takes_no_longer_for_a_token():
    rows = [*timed("unpruned", 0, 4.0, 10.0), *timed("run", 4, 6.0, 20.0)]
    assert seconds_share({}, rows) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("sweep", "unpruned"),
    [({}, None), ({"background": True}, 4.0), ({"engine": {"name": "vllm"}}, 4.0)],
    ids=["from-the-cache", "background", "vllm"],
)
def test_what_was_not_timed_alike_is_not_compared(sweep, unpruned):
    rows = [*timed("unpruned", 0, unpruned, 10.0), *timed("run", 4, 3.0, 10.0)]
    assert seconds_share({"recipe": {"sweep": sweep}}, rows) is None


def test_the_sentence_says_seconds_where_both_were_timed():
    rows = [*timed("unpruned", 0, 4.0, 10.0), *timed("run", 4, 3.0, 10.0)]
    rows[-1] |= {"cost_factor": COST, "token_inflation": None}
    said = pays_text({"parameters": {"unpruned": 100, "pruned": 80}}, rows, "chain")
    assert said.endswith(
        "; a token took 0.75 times the unpruned model's seconds here, so of its seconds at 64 tokens 0.75 (below 0.83)"
    )
