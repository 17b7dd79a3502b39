"""The sentence of a run: from its record, and silent where a record is older."""

import pytest

from eval.show.costs import pays_text, seconds_share

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


def timed(model, seconds):
    of = {"model": model, "step": 0, "suite": "chain", "seconds_per_token": seconds}
    return [{**of, "budget": 64, "accuracy": 0.5}, {**of, "budget": None, "level": 0.5}]


def test_a_token_of_the_recovered_model_takes_as_long_as_one_of_the_pruned_model():
    of_run = [{**AT, "seconds_per_token": 9.0}, {**SWEEP, "seconds_per_token": 9.0}]  # with an adapter beside it
    assert seconds_share([*timed("unpruned", 4.0), *timed("pruned", 3.0), *of_run]) == pytest.approx(0.75)


@pytest.mark.parametrize(("unpruned", "pruned"), [(None, 3.0), (4.0, None)])
def test_a_reference_from_the_cache_is_not_compared(unpruned, pruned):
    assert seconds_share([*timed("unpruned", unpruned), *timed("pruned", pruned)]) is None


def test_rows_of_earlier_versions_have_no_seconds_per_token():
    rows = [{key: value for key, value in row.items() if key != "seconds_per_token"} for row in timed("unpruned", 1.0)]
    assert seconds_share([*rows, *timed("pruned", 3.0)]) is None


def test_the_sentence_says_seconds_where_both_were_timed():
    rows = [*timed("unpruned", 4.0), *timed("pruned", 3.0), AT, {**SWEEP, "token_inflation": None}]
    said = pays_text({"parameters": {"unpruned": 100, "pruned": 80}}, rows, "chain")
    assert said.endswith(
        "; a token took 0.75 times the unpruned model's seconds here, so of its seconds at 64 tokens 0.75 (below 0.83)"
    )
