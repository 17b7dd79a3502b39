"""Choices by likelihood: against plain forwards one by one, by hand, and through a sweep."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from tokenizers.normalizers import Replace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedModel

from data_prep.problem import Problem, Suite
from data_prep.suites.choices import likelihood_prompt
from eval.kept_sweep import KeptSweep, Place
from eval.likelihood import Continuation, graded_choice, log_probabilities, problem_continuations
from eval.numbers.summary import sweep_rows
from eval.samples import read_sweep
from eval.sweep import check_context, suite_sweep
from eval.types import Weights
from recipes.errors import UserError
from recipes.sweep import VerdictSection
from runtime.journal import Journal
from runtime.ranks import ALONE, Ranks
from tests.data_prep.tokenizers import byte_tokenizer, qwen_like
from tests.eval.worlds import nano, nano_spec, nano_suite, nano_tokenizer, sweep_model
from tests.prune.models import build

RAGGED = [
    Continuation((2, 5, 9, 30), (7,)),
    Continuation((2, 5, 9, 30), (8,)),
    Continuation((4,), (5, 6, 7)),
    Continuation((2, 40, 8, 31, 17, 22, 12, 6), (9, 10)),
    Continuation((2, 5, 9), (30, 7)),
    Continuation((2, 40, 8), (31, 17, 22, 12, 6, 9, 10, 11)),
]


def one_by_one(model: PreTrainedModel, one: Continuation) -> float:
    """By one forward of the whole sequence, and a sum by hand."""
    with torch.no_grad():
        log_p = model(torch.tensor([[*one.context, *one.ids]]), use_cache=False).logits[0].double().log_softmax(-1)
    return sum(float(log_p[len(one.context) + i - 1, token]) for i, token in enumerate(one.ids))


@pytest.mark.parametrize(
    ("family", "most_rows"), [("qwen3", 1), ("qwen3", 2), ("qwen3", 32), ("mistral", 2), ("gemma2", 32), ("gemma3", 2)]
)
def test_batches_equal_plain_forwards_one_by_one(family: str, most_rows: int) -> None:
    model = build(family)
    expected = [one_by_one(model, one) for one in RAGGED]
    assert log_probabilities(model, RAGGED, most_rows) == pytest.approx(expected, abs=2e-5)


def test_letters_of_a_problem_cost_one_row() -> None:
    model, shapes = build("qwen3"), []
    model.register_forward_pre_hook(
        lambda module, args, keys: shapes.append(tuple(keys["input_ids"].shape)), with_kwargs=True
    )
    log_probabilities(model, [Continuation((2, 5, 9), (letter,)) for letter in range(10, 14)])
    assert shapes == [(1, 3)]


def test_nothing_to_score() -> None:
    assert log_probabilities(build("qwen3"), []) == []


def choice(answer: str, *choices: str, grader: str = "likelihood_text", question: str = "Q") -> Problem:
    return Problem("p", likelihood_prompt(question, choices, grader), answer, choices)


@pytest.mark.parametrize(
    ("grader", "context", "ids"),
    [
        ("likelihood_letter", b"Q\nA. ab\nB. c\nAnswer:", [b" A", b" B"]),
        ("likelihood_text", b"Question: Q\nAnswer:", [b" ab", b" c"]),
        ("likelihood_text_normalised", b"Question: Q\nAnswer:", [b" ab", b" c"]),
    ],
)
def test_the_tokens_that_are_scored(grader: str, context: bytes, ids: list[bytes]) -> None:
    problem = choice("A", "ab", "c", grader=grader, question=" Q\n")
    found = problem_continuations(problem, grader, qwen_like())
    assert found == [Continuation(tuple(context), tuple(each)) for each in ids]


def test_a_tokenizer_that_begins_texts_with_a_token_has_it_before_the_prompt() -> None:
    tokenizer = byte_tokenizer(("<s>", "<e>", "<pad>"), "", eos="<e>", pad="<pad>")
    tokenizer.bos_token = "<s>"
    problem = choice("A", "a", "b")
    assert problem_continuations(problem, "likelihood_text", tokenizer)[0].context[0] == ord("Q")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 258)])
    assert problem_continuations(problem, "likelihood_text", tokenizer)[0].context[:2] == (258, ord("Q"))


def test_a_choice_without_a_token_of_its_own_is_refused() -> None:
    problem = Problem("7", "1", "A", ("2", "3"))
    tokenizer = byte_tokenizer(("<e>", "<pad>"), "", eos="<e>", pad="<pad>")
    tokenizer.backend_tokenizer.normalizer = Replace(" ", "")  # so that "1" and " 2" become the one token "12"
    with pytest.raises(UserError, match="a choice of problem 7 merges with the tokens of the prompt"):
        problem_continuations(problem, "likelihood_text", tokenizer)


@pytest.mark.parametrize(
    ("grader", "sums", "chosen"),
    [
        ("likelihood_text", (-3.0, -2.0), "B"),
        ("likelihood_text_normalised", (-3.0, -2.0), "A"),  # -3 / 4 characters is above -2 / 2
        ("likelihood_text", (-2.0, -2.0), "A"),
    ],
)
def test_the_likeliest_choice_by_hand(grader: str, sums: tuple[float, float], chosen: str) -> None:
    (answer,) = graded_choice(choice("A", "four", "so", grader=grader), sums, grader).answers
    assert (answer.grade.extracted, answer.grade.correct, answer.budgets) == (chosen, chosen == "A", (0,))
    assert answer.text == f"log-probabilities: A {sums[0]:.4f}, B {sums[1]:.4f}"


@pytest.mark.parametrize("broken", [float("nan"), float("-inf")])
def test_a_ruined_models_nan_is_wrong_and_no_lucky_letter(broken: float) -> None:
    (answer,) = graded_choice(choice("A", "a", "b"), (broken, -1.0), "likelihood_text").answers
    assert (answer.grade.correct, answer.grade.reason) == (False, "a log-probability is not a finite number")


def nano_choices(size: int) -> Suite:
    """Knowledge of the embedded world with four choices, in its own words: the fact, then the answer's token."""
    known = nano_suite("knowledge", size).problems
    answers = sorted({problem.answer for problem in known})
    problems = []
    for i, problem in enumerate(known):
        wrong = [answer for answer in answers if answer != problem.answer][i % 3 : i % 3 + 3]
        choices = (*wrong[:2], problem.answer, *wrong[2:])
        problems.append(Problem(problem.id, problem.question, "C", choices))
    return Suite("choices", tuple(problems), "likelihood_text")


SUITE = nano_choices(9)
SPEC = nano_spec([SUITE, nano_suite("shallow", 3)], [0, 8])


def test_a_sweep_asks_such_a_suite_without_budgets(tmp_path: Path) -> None:
    thoughts = sweep_model(nano(), SPEC, ALONE)
    sweep = suite_sweep(SUITE, SPEC, thoughts["choices"], "run", 3)
    expected = []
    for problem in SUITE.problems:
        sums = [one_by_one(nano(), one) for one in problem_continuations(problem, SUITE.grader, nano_tokenizer())]
        expected.append("ABCD"[sums.index(max(sums))])
    assert [score.extracted for score in sweep.scores] == expected
    assert (sweep.budgets, sweep.method, sweep.chance, sweep.style) == ((0,), "likelihood", 0.25, None)
    assert suite_sweep(SPEC.suites[1], SPEC, thoughts["shallow"], "run", 3).budgets == (0, 8)
    kept, place = nano_spec([SUITE], [0, 8]), Place(tmp_path, "run", 3)
    assert KeptSweep(kept, place, "", ALONE).run(lambda: Weights(nano())) == {"choices": sweep}
    assert read_sweep(place.file("choices")) == sweep
    at, whole = sweep_rows(sweep, None, None, VerdictSection())
    assert (at["budget"], at["problems"], at["samples"], whole["budget"]) == (0, 9, 1, None)


def test_every_rank_has_all_choices_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.sweep.GROUP", 2)
    spec, parts = nano_spec([SUITE], [8]), []
    for rank in range(2):
        sweep_model(nano(), spec, Ranks(rank, 2, lambda found: parts.append(found) or found))  # type: ignore[func-returns-value]
    joined = [row for part in parts for row in part]
    alone = sweep_model(nano(), spec, ALONE)["choices"]
    assert sweep_model(nano(), spec, Ranks(0, 2, lambda found: found and joined))["choices"] == alone


def test_a_killed_sweep_keeps_its_groups_and_goes_on_to_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.sweep.GROUP", 2)
    spec = nano_spec([nano_choices(6)], [8])
    kept = KeptSweep(spec, Place(tmp_path, "run", 1), "weights", ALONE)
    kept.run(lambda: Weights(nano()))
    (file,) = tmp_path.rglob("*.jsonl")
    content = file.read_text(encoding="utf-8")
    file.unlink()
    header, *rows = map(json.loads, content.splitlines())
    rows[0]["answers"][0]["text"] = "noted"  # unlike any new one
    with Journal(file, header).writer(0) as writer:
        for row in rows[:3]:  # a group and a half
            writer.add(row)
    kept.run(lambda: Weights(nano()))
    assert file.read_text(encoding="utf-8").splitlines()[1:] == [json.dumps(row, ensure_ascii=False) for row in rows]


def test_its_hash_knows_suite_and_way_but_no_budget() -> None:
    def hash_of(suite: Suite = SUITE, budgets: tuple[int, ...] = (0, 8), **rules: float) -> str:
        return nano_spec([suite], budgets, **rules).protocol_hash(suite)

    assert hash_of() == hash_of(budgets=(4, 99), temperature=0.7)
    others = [
        dataclasses.replace(SUITE, grader="likelihood_letter"),
        dataclasses.replace(SUITE, problems=SUITE.problems[1:]),
    ]
    assert len({hash_of(), *map(hash_of, others)}) == 3


def test_a_choice_beyond_the_context_is_refused() -> None:
    spec = nano_spec([SUITE], [8])
    longest = max(
        len(one.context) + len(one.ids)
        for problem in SUITE.problems
        for one in problem_continuations(problem, SUITE.grader, nano_tokenizer())
    )
    check_context(spec, longest, "sweep.budgets")
    with pytest.raises(UserError, match=rf"\(choices\): a question with its choice has {longest} tokens"):
        check_context(spec, longest - 1, "sweep.budgets")
