"""Memorising the training rows: `overfitting`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from downslope._text import in_words
from downslope.diagnosis._blocks import Blocks
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

OVERFITTING = Symptom(
    "overfitting",
    Severity.PROBLEM,
    order=210,
    meaning="The loss on rows held back rose while the training loss kept falling.",
    quantity="score_gap",
    remedies=("best_kept", "early_stopping", "weight_decay", "dropout"),
)

# A rise by less than this share of the whole fall is no loss to speak of: 1e-6 may well have been 5e-7.
_WORTH = 0.02
_RISEN = 0.2  # of the lowest loss: a rise that is worth mending though the score still gains
_GAP = 0.1  # between the scores on rows trained on and held back
# Where the scores lie this far apart, the rows are memorised whatever the losses do, and a rise of so many errors
# is believed, which chance alone makes more often.
_WIDE_GAP, _BELIEVED = 0.3, 3.0
_FEW = 4  # evaluations; of fewer nothing can be said
_FELL = 2.0  # standard errors that the loss on the rows trained on fell by over the same span
_LOWER_IS_BETTER = ("wer", "cer", "mae", "mse", "rmse", "error", "err", "ppl", "perplexity")


class _Rise(NamedTuple):
    """The rise of an evaluation.

    Args:
        name: the evaluation.
        lowest: its lowest block.
        last: its last block.
        since: the step of the lowest.
        errors: the rise over the error of a block.
    """

    name: str
    lowest: float
    last: float
    since: float
    errors: float


@check(OVERFITTING, needs=("metrics.validation_loss", "metrics.training_loss|steps.value", "evaluated.training_loss"))
def overfitting(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a validation loss that rose from its lowest while the training loss went on falling.

    Quantity: the last tenth of the validation losses over the lowest, in errors of such a tenth, beside what the
    training loss did over the same span; the difference of the two scores where they are known. Theory: the gap
    between empirical and expected risk (Vapnik). Threshold: the rise that one of a hundred losses without a trend
    shows, or a rise at each of the evaluations that has a chance of less than 1 in 100, or three errors where the
    scores lie three tenths apart; a fiftieth of the whole fall; a note where the score gains all the same, or
    scores lie within a tenth.
    """
    if len(evidence.held) < _FEW:
        return NotRun(OVERFITTING.key, f"the validation loss was measured less than {_FEW} times")
    score, training = evidence.last(f"validation_{evidence.metric}"), evidence.training_score
    gap = None if evidence.metric == "loss" or score is None or training is None else training - score
    main = _rise(evidence, "validation_loss", is_likely=_gap_at_end(evidence) >= _WIDE_GAP)
    others = [rise for name in _further(evidence) if (rise := _rise(evidence, name)) is not None]
    if main is None and not others:
        return None
    rise = main or others[0]
    where = "rows held back" if main else f"{in_words(rise.name.removeprefix('validation_').removesuffix('_loss'))}"
    gains = _gaining_score(evidence, rise)
    also = f" The {in_words(gains)} still gains: it is the loss that is overfitted." if gains else ""
    if main and others:
        also += f" Of the {len(_further(evidence))} others {len(others)} rise as well."
    by = (evidence.trace.facts.get("kept") or {}).get("by") or (evidence.trace.plan.get("batches") or {}).get("best_by")
    is_kept = evidence.kept_step is not None and str(by).startswith("validation")
    return training_finding(
        evidence,
        OVERFITTING,
        f"The loss on {where} was lowest at {number(rise.lowest)}, at {evidence.unit} {number(rise.since)}, and is "
        f"{number(rise.last)} now, while that on the rows trained on fell to {number(evidence.course.last)}: the rows "
        f"are memorised{', after the network that was kept' if is_kept else ''}.{also}",
        "a rise that chance makes in 1 of 100 losses without a trend, and a fiftieth of the whole fall",
        numbers={
            "lowest_validation_loss": rise.lowest,
            "validation_loss": rise.last,
            "rise_in_errors": rise.errors,
            "gap": gap,
        },
        causes=("more weights than the rows can settle", "too many steps"),
        remedies=('the best network kept: keep="best"', "stop early: patience", "dropout or a penalty", "more rows"),
        problem=_is_problem(evidence, rise, gap, gains) if main and not is_kept else False,
        if_unknown=True,
    )


def _gap_at_end(evidence: TrainingEvidence) -> float:
    """Return what the score on rows trained on lies above that on rows held back at the last step; −∞ if not known."""
    if evidence.metric == "loss":
        return -math.inf
    ends = [evidence.trace.metrics.get(f"{of}_{evidence.metric}", np.array([])) for of in ("training", "validation")]
    known = [column[np.isfinite(column)] for column in ends]
    return float(known[0][-1] - known[1][-1]) if all(map(len, known)) else -math.inf


def _further(evidence: TrainingEvidence) -> list[str]:
    """Return the names of the losses on further sets of rows held back, and of parts of the loss."""
    names = [name for name in evidence.trace.metrics if name.startswith("validation_") and name.endswith("_loss")]
    return [name for name in names if name != "validation_loss"]


def _is_problem(evidence: TrainingEvidence, rise: _Rise, gap: float | None, gains: str) -> bool | None:
    """Tell whether a rise is a problem; None where that depends on whether the network falls short."""
    if gap is not None and gap < _GAP:
        return False
    if evidence.falls_short is not None:
        return None
    return not gains or rise.last - rise.lowest > _RISEN * abs(rise.lowest)


def _rise(evidence: TrainingEvidence, name: str, *, is_likely: bool = False) -> _Rise | None:
    """Return how an evaluation rose while the training loss fell; None where it did not.

    Args:
        evidence: the evidence.
        name: of the evaluation.
        is_likely: whether something else says that the rows are memorised.
    """
    column = np.asarray(evidence.trace.metrics[name], dtype=float)
    known = np.isfinite(column)
    numbers, steps = column[known], np.asarray(evidence.trace.metrics["step"])[known]
    if len(numbers) < _FEW:
        return None
    blocks = Blocks(numbers)
    has_risen = blocks.rose or blocks.rises_each_time or (is_likely and blocks.rise > _BELIEVED * blocks.error)
    if not has_risen or blocks.rise <= _WORTH * blocks.fall:
        return None
    since = float(np.mean(np.array_split(steps, len(blocks.rows))[blocks.lowest]))
    if not evidence.course.fell_since(since, _FELL):
        return None
    errors = blocks.rise / blocks.error if blocks.error else math.inf
    return _Rise(name, float(blocks.medians[blocks.lowest]), float(blocks.medians[-1]), since, errors)


def _gaining_score(evidence: TrainingEvidence, rise: _Rise) -> str:
    """Return the name of a score on rows held back that is better at the end than where the loss was lowest."""
    for name, column in evidence.trace.metrics.items():
        of, _, what = name.partition("_")
        if of != "validation" or what == "loss" or what.endswith("_loss"):
            continue
        known = np.isfinite(np.asarray(column, dtype=float))
        numbers, steps = np.asarray(column, dtype=float)[known], np.asarray(evidence.trace.metrics["step"])[known]
        if len(numbers) < _FEW:
            continue
        blocks = Blocks(-numbers if what in _LOWER_IS_BETTER else numbers)
        then = blocks.numbers[int(np.argmin(np.abs(steps - rise.since)))]
        if blocks.medians[-1] - then > blocks.error:
            return what
    return ""
