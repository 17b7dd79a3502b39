"""A plain sentence for each claim, derived from its interval by rule; nothing is written by hand after a run."""

from __future__ import annotations

from eval.numbers.statistics import Interval
from recipes.study import MODELS, BackClaim, DifferenceClaim, Number
from train.study.findings import ClaimFinding

AT_THIS_SIZE = "at this size"
NAMES: dict[Number, str] = {
    "level": "accuracy at the largest budget",
    "gain": "gain per doubling of the budget",
    "termination": "share of thoughts that terminate",
    "thinking_off": "accuracy without thinking",
}
WHOLES = {"level": "of the level that pruning removed", "gain": "of the unpruned model's gain"}
OF_MODEL = {"unpruned": "the unpruned model", "pruned": "the pruned model before training"}


def expectation_sentence(claim: BackClaim | DifferenceClaim, titles: dict[str, str]) -> str:
    """The expectation, as stated before any run; titles: of arms by name."""
    subject = titles.get(claim.arm, claim.arm)
    why = f" ({claim.why})" if claim.why else ""
    if isinstance(claim, BackClaim):
        more = "more" if claim.expected == "above" else "less"
        return _begun(f"{subject} recovers {more} than {claim.share:.2f} {WHOLES[claim.number]}{why}.")
    other = OF_MODEL.get(claim.against) or titles.get(claim.against, claim.against)
    return _begun(f"{subject} has a {_higher(claim.expected)} {NAMES[claim.number]} than {other}{why}.")


def claim_sentence(found: ClaimFinding) -> str:
    """The result with its interval and the resulting word."""
    claim = found.claim
    if found.arm is None or found.word == "not run":
        return f"Not run: there are no trainings of {claim.arm}{_other_name(claim)}."
    if isinstance(claim, BackClaim):
        return _back(found, claim)
    assert found.value is not None
    other = OF_MODEL[claim.against] if claim.against in MODELS else found.other.title if found.other else ""
    side = _side(found.value)
    if side is None:
        start = f"{found.arm.title} and {other} are not distinguishable in {NAMES[claim.number]}, {AT_THIS_SIZE}"
    else:
        start = f"{found.arm.title} has a {_higher(side)} {NAMES[claim.number]} than {other}, {AT_THIS_SIZE}"
    return _begun(f"{start}: {signed(found.value)}, {found.word}.")


def _back(found: ClaimFinding, claim: BackClaim) -> str:
    assert found.arm is not None
    if found.share is None or found.value is None:
        lost = "no loss of level by pruning" if claim.number == "level" else "no gain of the unpruned model"
        return _begun(f"{found.arm.title}: {lost} is shown, so there is nothing to recover, {AT_THIS_SIZE}.")
    start = f"{found.arm.title} recovers {plain(found.share)} {WHOLES[claim.number]}, {AT_THIS_SIZE}"
    side = _side(found.value)
    compared = "neither more nor less" if side is None else "more" if side == "above" else "less"
    shown = f"{compared} than {claim.share:.2f}{' is shown' if side is None else ''}"
    return _begun(f"{start}: {shown}, {found.word}.")


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _side(value: Interval) -> str | None:
    return "above" if value.low > 0 else "below" if value.high < 0 else None


def _higher(side: str) -> str:
    return "higher" if side == "above" else "lower"


def _other_name(claim: BackClaim | DifferenceClaim) -> str:
    return f" or {claim.against}" if isinstance(claim, DifferenceClaim) and claim.against not in MODELS else ""


def plain(value: Interval) -> str:
    """`0.31 [0.22, 0.41]`; `..` for an unbounded end."""
    return f"{value.estimate:.2f} [{_end(value.low, '.2f')}, {_end(value.high, '.2f')}]"


def signed(value: Interval) -> str:
    """`+0.31 [+0.22, +0.41]`."""
    return f"{value.estimate:+.2f} [{_end(value.low, '+.2f')}, {_end(value.high, '+.2f')}]"


def _end(end: float, form: str) -> str:
    return ".." if abs(end) == float("inf") else format(end, form)
