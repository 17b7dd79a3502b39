"""The budget sweep of a model: the same on any number of ranks, scored once, and within the model's context."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from data_prep.commands.nano import FORMAT
from data_prep.problem import Problem, Suite
from eval.samples import GradedThought
from eval.sweep import (
    SweepSpec,
    check_context,
    make_sweep_spec,
    suite_requests,
    suite_sweep,
)
from recipes.data import FormatSection
from recipes.errors import UserError
from recipes.sweep import SweepSection
from runtime.ranks import ALONE, Ranks
from tests.data_prep.tokenizers import QWEN_MARKS, byte_tokenizer, qwen_like
from tests.eval.worlds import nano, nano_format, nano_spec, nano_suite, nano_tokenizer, rambling, sweep_model

SUITES = [nano_suite("shallow", 7), nano_suite("chain", 9)]
SPECS = {
    "greedy": nano_spec(SUITES, [8, 24]),
    "sampled": nano_spec(SUITES, [8, 24], samples=3, temperature=0.8, top_p=0.9, top_k=20),
}


def on_ranks(count: int, spec: SweepSpec) -> list[dict[str, list[GradedThought]]]:
    """The result on each of `count` ranks: first every rank's own parts, then again with all parts at hand."""
    parts: list[list[list[GradedThought]]] = []
    for rank in range(count):
        own: list[list[GradedThought]] = []

        def keep(rows: list[GradedThought], own: list[list[GradedThought]] = own) -> list[GradedThought]:
            own.append(rows)
            return rows

        sweep_model(rambling(), spec, Ranks(rank, count, keep))
        parts.append(own)
    joined = [[row for own in parts for row in own[i]] for i in range(len(parts[0]))]
    results = []
    for rank in range(count):
        gathered = iter(joined)
        results.append(sweep_model(rambling(), spec, Ranks(rank, count, lambda rows, all_=gathered: next(all_))))
    return results


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("count", [2, 3])
def test_every_rank_has_the_result_of_one_process(count: int, spec: str) -> None:
    assert on_ranks(count, SPECS[spec]) == [sweep_model(rambling(), SPECS[spec], ALONE)] * count


def test_ranks_without_a_problem_take_part() -> None:
    spec = nano_spec([nano_suite("chain", 2)], [8])
    assert on_ranks(3, spec)[2] == sweep_model(rambling(), spec, ALONE)


def test_what_one_rank_cannot_do_is_said_on_all() -> None:
    """Another rank has no memory for its thoughts; this one, with the same spec, has."""

    def gather(rows: list[object]) -> list[object]:
        return [*rows, ("mistake", "sweep.engine.memory_gb=4: too small", 1)]

    with pytest.raises(UserError, match=r"sweep\.engine\.memory_gb=4: too small"):
        sweep_model(rambling(), nano_spec([nano_suite("chain", 2)], [8]), Ranks(0, 2, gather))


def test_thoughts_come_in_problem_and_sample_order() -> None:
    thoughts = sweep_model(rambling(), SPECS["sampled"], ALONE)["chain"]
    expected = [(problem.id, sample) for problem in SUITES[1].problems for sample in range(3)]
    assert [(t.problem, t.sample) for t in thoughts] == expected


def test_every_problem_sample_and_budget_is_scored_once() -> None:
    spec = SPECS["sampled"]
    sweep = suite_sweep(SUITES[1], spec, sweep_model(rambling(), spec, ALONE)["chain"], "run", 3)
    keys = [(s.problem, s.sample, s.budget) for s in sweep.scores]
    assert sorted(keys) == sorted((p.id, n, b) for p in SUITES[1].problems for n in range(3) for b in (8, 24))


def test_a_sweep_leaves_the_model_and_the_random_state_as_they_were() -> None:
    model, before = nano(), {name: p.clone() for name, p in nano().state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    sweep_model(model, SPECS["sampled"], ALONE)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_request_a_problem_and_sample() -> None:
    requests = suite_requests(SUITES[0], SPECS["sampled"])
    assert [(r.problem, r.sample) for r in requests] == [(p.id, n) for p in SUITES[0].problems for n in range(3)]


def test_context_is_counted_to_the_token() -> None:
    suite = Suite("s", (Problem("a", "start 7 #1 +3 #2 *4 ?", "7"),), "exact")
    spec = nano_spec([suite], [20])
    needed = 11 + 20 + 2 + 4  # prompt, budget, close and cue, answer
    check_context(spec, needed, "sweep.budgets")
    with pytest.raises(UserError, match=r"sweep\.budgets: 20 .* prompt of 11 \(suite s\).*need 37 tokens.*has 36"):
        check_context(spec, needed - 1, "sweep.budgets")


def test_a_prompt_with_thinking_off_counts_too() -> None:
    suite = Suite("s", (Problem("a", "2+2?", "4"),), "exact")
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{{ '' if enable_thinking else 99 * 'b' }}"
    tokenizer = byte_tokenizer(QWEN_MARKS, template, "<|im_end|>", "<|endoftext|>")
    section = SECTION.model_copy(update={"budgets": [0, 20]})
    spec = dataclasses.replace(make_sweep_spec(section, FormatSection(), tokenizer), suites=(suite,))
    # without thinking: question, what the template adds, and an answer
    check_context(spec, 4 + 99 + 4, "sweep.budgets")
    with pytest.raises(UserError, match=r"need 107 tokens.*has 106"):
        check_context(spec, 106, "sweep.budgets")
    without_off = dataclasses.replace(spec, protocol=dataclasses.replace(spec.protocol, budgets=(20,)))
    check_context(without_off, 106, "sweep.budgets")


def test_requests_carry_the_prompt_without_thinking_where_budget_0_is_asked() -> None:
    (with_off, without) = (suite_requests(SUITES[0], nano_spec(SUITES, budgets))[0] for budgets in ([0, 8], [8]))
    fmt = nano_format()
    assert without.off_ids == ()
    assert with_off.off_ids == (*with_off.prompt_ids, *fmt.forced_close_ids)


def test_thinking_off_is_scored_at_budget_0_with_no_token_spent() -> None:
    spec = nano_spec(SUITES, [0, 8, 24])
    thoughts = sweep_model(nano(), spec, ALONE)["chain"]
    sweep = suite_sweep(SUITES[1], spec, thoughts, "run", 3)
    off = [score for score in sweep.scores if score.budget == 0]
    assert len(off) == len(SUITES[1].problems)
    assert {(score.thinking_tokens, score.closed, score.looping) for score in off} == {(0, False, False)}
    rest = sweep_model(nano(), nano_spec(SUITES, [8, 24]), ALONE)["chain"]
    assert [t.thinking for t in thoughts] == [t.thinking for t in rest]
    assert [t.answers[1:] for t in thoughts] == [t.answers for t in rest]


def test_the_prompt_of_most_tokens_counts_not_that_of_most_letters() -> None:
    short, long = Problem("a", "1 2 3 4 5 6", "7"), Problem("b", "incomprehensibilities", "7")  # 6 tokens, 1 token
    spec = nano_spec([Suite("s", (long, short), "exact")], [20])
    with pytest.raises(UserError, match="a prompt of 10 "):
        check_context(spec, 30, "sweep.budgets")


def test_the_error_names_the_key_that_sets_the_budget() -> None:
    key = "data.traces.thinking_tokens"
    with pytest.raises(UserError, match=f"^{key}: 20 thinking tokens .*; lower {key} or answer_tokens$"):
        check_context(nano_spec(SUITES, [20]), 30, key)


SECTION = SweepSection.model_validate(
    {
        "budgets": [8, 24],
        "every_steps": 1,
        "answer_tokens": 4,
        "engine": {"batch_size": 16},
        "suites": [{"source": "nano", "name": f, "family": f, "size": n} for f, n in (("shallow", 7), ("chain", 9))],
    }
)


def test_a_spec_follows_the_recipe() -> None:
    assert make_sweep_spec(SECTION, FORMAT, nano_tokenizer()) == SPECS["greedy"]


def test_ids_from_the_tokenizers_length_on_are_out_of_bounds() -> None:
    tokenizer = qwen_like()
    assert make_sweep_spec(SECTION, FormatSection(), tokenizer).protocol.vocabulary_size == len(tokenizer) == 263


def test_suites_of_a_spec_have_hashes_of_their_own() -> None:
    spec = SPECS["greedy"]
    hashes = {spec.protocol_hash(suite) for suite in spec.suites}
    hashes.add(dataclasses.replace(spec, samples=2).protocol_hash(spec.suites[0]))
    assert len(hashes) == 3
