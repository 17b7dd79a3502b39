"""The embedded world: problems, traces and the tokenizer of the small reasoner that ships with chainmend.

Several families, to show side by side which abilities survive pruning and which do not:

- knowledge  `fact e3 r1 ?`          64 memorised facts, no thinking (a closed set, memorised by design)
- shallow    `calc *4 7 ?`           one operation modulo 11, no thinking (a closed set of 154 questions)
- chain      `start 7 #1 +3 #2 *4 ?` 2 to 24 dependent operations modulo 11; the thought is one step
                                     `#i operation before after` (4 tokens) per operation
- ways                               chains of 2 to 16 operations: the second world (`data_prep.nano_ways`)

A chain question whose SHA-256 is 0 modulo 8 (its first byte) is held out, for evaluation only. Everything is made from
a seed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from data_prep.problem import Problem
from data_prep.trace import Trace

MODULUS = 11
MIN_OPERATIONS, MAX_OPERATIONS = 2, 24
LONGEST = {"chain": MAX_OPERATIONS, "ways": 16}
"""operations of the longest problem of each open family"""
OPERATIONS = [f"+{n}" for n in range(1, 6)] + [f"-{n}" for n in range(1, 6)] + [f"*{n}" for n in range(2, 6)]
ENTITIES, RELATIONS, VALUES = 32, 2, 16
FACTS_SEED = 20221022
CLOSED_FAMILIES = ("knowledge", "shallow")
FAMILIES = (*CLOSED_FAMILIES, *LONGEST)
SPECIAL_TOKENS = ["<pad>", "<unk>", "<bos>", "<eos>", "<|user|>", "<|assistant|>", "<think>", "</think>"]
CHAT_TEMPLATE = (
    "<bos>{% for message in messages %}"
    "{% if message.role == 'assistant' %}<|assistant|><think> {{ message.reasoning_content or '' }}</think> "
    "{{ message.content }}<eos>"
    "{% else %}<|user|> {{ message.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def apply_operation(operation: str, value: int) -> int:
    """`value` after one operation such as `+3`, `-2` or `*4`, modulo 11."""
    symbol, operand = operation[0], int(operation[1:])
    result = {"+": value + operand, "-": value - operand, "*": value * operand}[symbol]
    return result % MODULUS


def facts() -> dict[str, str]:
    """The fixed random table of the knowledge family: question to value."""
    rng = random.Random(FACTS_SEED)
    pairs = [(e, r) for e in range(ENTITIES) for r in range(RELATIONS)]
    return {f"fact e{e} r{r} ?": f"v{rng.randrange(VALUES)}" for e, r in pairs}


def shallow_questions() -> dict[str, str]:
    """All one-step questions with their answers."""
    return {f"calc {op} {v} ?": str(apply_operation(op, v)) for op in OPERATIONS for v in range(MODULUS)}


def is_held_out(question: str) -> bool:
    """True for the eighth of the chain questions that is never trained on."""
    return hashlib.sha256(question.encode()).digest()[0] % 8 == 0


def solve_chain(question: str) -> tuple[str, str]:
    """(thinking, answer) of a chain question, by doing the operations in order."""
    words = question.split()
    value, steps = int(words[1]), []
    for label, operation in zip(words[2:-1:2], words[3:-1:2], strict=True):
        after = apply_operation(operation, value)
        steps.append(f"{label} {operation} {value} {after}")
        value = after
    return " ".join(steps), str(value)


def draw_chain(rng: random.Random, min_operations: int, max_operations: int) -> str:
    """A chain question with a uniformly drawn number of uniformly drawn operations."""
    count = rng.randint(min_operations, max_operations)
    steps = " ".join(f"#{i} {rng.choice(OPERATIONS)}" for i in range(1, count + 1))
    return f"start {rng.randrange(MODULUS)} {steps} ?"


def family_size(family: str) -> int | None:
    """How many problems a closed family has; None for chains, of which there are practically unlimited many."""
    sizes = {"knowledge": len(facts()), "shallow": len(shallow_questions())}
    return sizes.get(family)


def nano_problems(family: str, size: int, seed: int, part: str = "held_out") -> list[Problem]:
    """`size` different problems of one family, made from `seed`; chains from one part only, `held_out` or `training`.

    Raises ValueError if the family is unknown or smaller than `size`.
    """
    rng = random.Random(f"problems {family} {seed}")
    if family in LONGEST:
        questions: dict[str, str] = {}
        while len(questions) < size:
            question = draw_chain(rng, MIN_OPERATIONS, LONGEST[family])
            if is_held_out(question) == (part == "held_out"):
                questions[question] = solve_chain(question)[1]
        chosen = list(questions)
    elif family in CLOSED_FAMILIES:
        questions = facts() if family == "knowledge" else shallow_questions()
        if size > len(questions):
            raise ValueError(f"the {family} family has only {len(questions)} problems, {size} were requested")
        chosen = rng.sample(sorted(questions), size)
    else:
        raise ValueError(f"unknown family {family!r}; there are {', '.join(FAMILIES)}")
    return [Problem(id=f"{family}-{seed}-{i}", question=q, answer=questions[q]) for i, q in enumerate(chosen)]


def draw_trace(rng: random.Random, family: str, max_operations: int = MAX_OPERATIONS) -> Trace:
    """One training trace of a family; never a held-out chain. Knowledge and shallow have an empty thought."""
    if family == "chain":
        question = draw_chain(rng, MIN_OPERATIONS, max_operations)
        while is_held_out(question):
            question = draw_chain(rng, MIN_OPERATIONS, max_operations)
        thinking, answer = solve_chain(question)
    else:
        table = facts() if family == "knowledge" else shallow_questions()
        question = rng.choice(sorted(table))
        thinking, answer = "", table[question]
    return Trace(
        id=hashlib.sha256(question.encode()).hexdigest()[:12],
        question=question,
        thinking=thinking,
        answer=f"answer {answer}",
        source=f"nano/{family}",
    )


def nano_traces(shares: dict[str, float], size: int, seed: int, max_operations: int = MAX_OPERATIONS) -> list[Trace]:
    """`size` traces made from `seed`, drawn from the families in the given shares (they need not add up to 1)."""
    rng = random.Random(f"traces {seed}")
    families = rng.choices(list(shares), weights=list(shares.values()), k=size)
    return [draw_trace(rng, family, max_operations) for family in families]


def build_tokenizer(more_words: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """The word-level tokenizer of the world, with its chat template; `more_words` get the ids after its own.

    A token includes the space before its word, so decoding restores the text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    words = ["fact", "calc", "start", "answer", "?"]
    words += [str(n) for n in range(MODULUS)] + OPERATIONS + [f"#{i}" for i in range(1, MAX_OPERATIONS + 1)]
    words += [f"e{i}" for i in range(ENTITIES)] + [f"r{i}" for i in range(RELATIONS)] + [f"v{i}" for i in range(VALUES)]
    words += more_words
    vocabulary = {word: i for i, word in enumerate(SPECIAL_TOKENS + [f"▁{word}" for word in words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=SPECIAL_TOKENS[4:],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
