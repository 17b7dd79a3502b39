"""Control tokens: text that merely spells one must not be tokenised as one.

A tokenizer reads `<|im_end|>` in a question as the end of the turn, whoever wrote it. A trace that spells a control
token would close a turn, forge another, or teach the mark as if it were text; a problem would be changed. Such a trace
is therefore lost (`control token in the text`), and such a suite refused; both are named. The check is made on the
ids, so a spelling that only the tokenizer's normaliser turns into a mark is found too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase

from data_prep.problem import Suite
from data_prep.tokens.prompts import ThinkFormat, encode, render_prompt
from recipes.errors import UserError

REASON = "control token in the text"
PROBE = "?"
BETWEEN_BARS = re.compile(r"<[|｜].*[|｜]>", re.DOTALL)
MOST_NAMED = 3


class Controls:
    """The control tokens of one tokenizer and format, and how many of each a prompt and a completion should have."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> None:
        self.tokenizer = tokenizer
        self.ids = control_ids(tokenizer, fmt)
        self._of_prompt = self._held(encode(render_prompt(PROBE, tokenizer, fmt), tokenizer))
        self._of_completion = self._held(encode(fmt.close + fmt.stop, tokenizer))

    def in_text(self, text: str) -> str | None:
        """The first control token in the ids of a text, as it is spelled; None if the text has none."""
        unknown = self.tokenizer.unk_token
        if unknown and unknown in text:
            return str(unknown)
        return self._first(self._held(encode(text, self.tokenizer)))

    def beyond_prompt(self, ids: Iterable[int]) -> str | None:
        """A control token in the ids of a prompt that its template does not write."""
        return self._first(self._held(ids) - self._of_prompt)

    def beyond_completion(self, ids: Iterable[int]) -> str | None:
        """The same for a completion, apart from its close and its stop."""
        return self._first(self._held(ids) - self._of_completion)

    def _held(self, ids: Iterable[int]) -> Counter[int]:
        return Counter(filter(self.ids.__contains__, ids))

    def _first(self, held: Counter[int]) -> str | None:
        return next((str(self.tokenizer.convert_ids_to_tokens(token)) for token in held), None)


def control_ids(tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> frozenset[int]:
    """Special tokens, the marks of the format, and added tokens that the template writes or that are between bars.

    Other added tokens are ordinary text (runs of blanks, HTML tags, terms of a field). The unknown token is not one of
    them: it stands for any text that the tokenizer cannot write.
    """
    template = str(tokenizer.chat_template)
    added = tokenizer.added_tokens_decoder
    marks = {
        number
        for number, token in added.items()
        if token.special or BETWEEN_BARS.fullmatch(token.content) or _is_written(token.content, template)
    }
    of_format = {number for number in (*fmt.banned_ids, *fmt.stop_ids) if number in added}
    return frozenset((marks | of_format) - {tokenizer.unk_token_id})


def _is_written(token: str, template: str) -> bool:
    """Whether a chat template writes the token as a mark; blanks and plain words are in every template."""
    return bool(token.strip()) and not token.strip().isalnum() and token in template


def check_suite(suite: Suite, controls: Controls) -> Suite:
    """The suite; UserError names the problems that spell a control token."""
    found = []
    for problem in suite.problems:
        token = next(filter(None, map(controls.in_text, (problem.question, *problem.choices))), None)
        if token is not None:
            found.append(f"{problem.id} ({token!r})")
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise UserError(
            f"sweep.suites ({suite.name}): a question or choice spells a control token of this tokenizer, which the "
            f"model would read as one and not as text: problem {', '.join(found[:MOST_NAMED])}{more}; spell it "
            "differently there (such as with a blank inside), or leave the problem out"
        )
    return suite
