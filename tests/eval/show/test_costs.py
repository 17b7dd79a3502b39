"""The sentence of a run: from its record, and silent where a record is older."""

from eval.show.costs import pays_text

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
