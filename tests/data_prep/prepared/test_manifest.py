"""Numbers of a prepared set, counted by hand."""

from __future__ import annotations

from collections import Counter

from data_prep.prepared.manifest import describe, length_facts, packing_facts, table

# 100 traces: lengths 1 to 99, and one of 1,000
FACTS = length_facts(Counter([*range(1, 100), 1000]))
MANIFEST = {
    "max_length_tokens": 99,
    "tokens": 4950,
    "labelled_tokens": 990,
    "labelled_share": 0.2,
    "lengths": FACTS,
    "rows": {
        "read": 103,
        "kept": 99,
        "lost": {"too long": 1, "loop": 3},
        "changed": {"shortened": 2},
        "notes": [],
        "named": {"too long": ["a.jsonl:7: 1000 tokens"]},
    },
    "packing": packing_facts(tokens=4950, traces=99, longest=99, packed_rows=55, capacity=99),
}


def test_quantiles_are_lengths_that_occur() -> None:
    assert FACTS["quantiles"] == {"0": 1, "1": 1, "5": 5, "25": 25, "50": 50, "75": 75, "95": 95, "99": 99, "100": 1000}


def test_context_lengths_that_lose_nothing_one_and_five_percent() -> None:
    assert FACTS["context_losing"] == {"0": 1000, "1": 99, "5": 95}


def test_bars_count_every_trace_once() -> None:
    assert length_facts(Counter({0: 1, 49: 1, 50: 2, 1999: 1}))["histogram"] == {
        "width_tokens": 50,
        "traces": [2, 2, *[0] * 37, 1],
    }


def test_a_padded_token_carries_so_many_real_ones() -> None:
    assert MANIFEST["packing"] == {
        "rows": 55,
        "capacity_tokens": 99,
        "real_tokens_a_padded_token": 0.9091,
        "unpacked_real_tokens_a_padded_token": 0.5051,
    }


def test_the_lines_of_a_run_say_where_the_rows_went() -> None:
    assert describe(MANIFEST) == (
        "103 traces read, 3 loop, 1 too long; 99 kept; on the way: 2 shortened\n"
        "4,950 tokens, 20% of them labelled; a trace has 1 to 1,000, median 50; "
        "max length to keep 100 % / 99 % / 95 % of traces: 1,000 / 99 / 95 tokens"
    )


def test_the_table_names_lost_rows() -> None:
    lines = [" ".join(line.split()) for line in table(MANIFEST).splitlines()]
    assert {
        "rows read 103",
        "lost: loop 3",
        "lost: too long 1",
        "rows kept 99",
        "on the way: shortened 2",
        "of them labelled 990 (20.0%)",
        "too long: a.jsonl:7: 1000 tokens",
    } <= set(lines)
