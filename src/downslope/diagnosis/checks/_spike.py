"""A sudden jump of the loss: `loss_spike`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._blocks import Blocks
from downslope.diagnosis._course import scatter
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import without
from downslope.diagnosis._training_evidence import TrainingEvidence

LOSS_SPIKE = Symptom(
    "loss_spike",
    Severity.PROBLEM,
    order=230,
    meaning="At some step the loss leapt far out of the range of those around it.",
    quantity="highest_loss",
    remedies=("clipping", "smaller_rate", "warm_up", "clipping_later", "smaller_rate_later"),
)

# Losses of batches have heavy tails: twenty deviations are no batch, and half as much again is worth a word. Published
# spikes reach 2.7 times the loss before.
_DEVIATIONS, _LOG_DEVIATIONS = 20.0, 10.0
_LEAP = 1.5
# Without a witness a row may hold one odd batch: ten times the loss before is no such row.
_ALONE = 10.0
_WITNESS = 5.0  # times the gradient's norm before
_MEAN_OF = 5  # steps; a row that is the mean of so many holds more than one odd batch
_AROUND, _FEW = 50, 20  # rows to compare with, at most; rows of a run, at least
_SOON = 2  # rows around a leap: the long gradient comes before it, or with it
# Of the way down that was won: near zero, a batch is ten times another, and takes nothing back.
_WORTH = 0.05
_FIRST = 5  # rows at the start, whose median one odd batch does not move
_RISING = 5  # rows before a leap at the very end, among which half as high a leap shows a rise
_RESTART = 5.0  # times the rate of the row before
_AS_BEFORE = 1.05  # times the highest rate until then
_FLOOR = 0.01  # of the loss: a scatter below it is rounding, or a log with few digits


@check(LOSS_SPIKE)
def loss_spike(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a step at which the loss leapt far out of the range of those around it.

    Quantity: the loss of a step beside the median of up to fifty before and beside their scatter; the gradient's norm
    beside its own; the loss of the next step. Theory: a step that is too long throws the weights, which takes several
    steps to come back from, and the gradient was or is long; an odd batch has neither. Threshold: half as much again
    and twenty deviations, with such a witness; ten times without.
    """
    loss = evidence.loss
    if len(loss) < _FEW:
        return NotRun(LOSS_SPIKE.key, f"{_FEW} rows are needed, and there are {len(loss)}")
    size = min(_AROUND, len(loss) // 4 + _FEW // 4)
    windows = np.lib.stride_tricks.sliding_window_view(loss, size)[:-1]
    middle = np.asarray(median(windows))
    later, leap = loss[size:], loss[size:] - middle
    # Only rows that leap at all are held against their scatter, which is the costly part.
    worth = _WORTH * _won(loss[np.isfinite(loss)])
    rows = np.flatnonzero((leap > (_LEAP - 1) * np.abs(middle)) & (leap > worth))
    far = np.array([_is_far(leap[row], windows[row], middle[row]) for row in rows], dtype=bool)
    restarted = _restarts(evidence)
    # Rows before and after a restart are not alike.
    alike = [row for row in rows[far] if not restarted[row : row + size + 1].any()]
    witnessed = {row: _is_witnessed(evidence, row, size, leap, middle) for row in alike}
    seen = [row for row in alike if witnessed[row]]
    if not seen:
        return NotRun(LOSS_SPIKE.key, without("steps.gradient_norm")) if None in witnessed.values() else None
    odd = odd_batch(evidence)
    if odd.lacks:
        return NotRun(LOSS_SPIKE.key, odd.lacks)
    seen = [row for row in seen if later[row] > odd.loss]
    if not seen:
        return None
    row = max(seen, key=lambda row: leap[row])
    step = int(evidence.step[row + size])
    return training_finding(
        evidence,
        LOSS_SPIKE,
        f"At {evidence.unit} {step} the loss leapt to {number(later[row])} from about {number(middle[row])}.",
        f"{number(_LEAP)} times the median before and {number(_DEVIATIONS)} deviations, with a gradient "
        f"{number(_WITNESS)} times as long or a second row; {number(_ALONE)} times without",
        numbers={"step": step, "loss": float(later[row]), "before": float(middle[row])},
        causes=("a rate at the edge of what the curvature bears", "a batch with broken rows", "a tiny epsilon in Adam"),
        remedies=("clip the gradient's norm", "a smaller learning rate"),
        if_unknown=True,
    )


def _won(loss: np.ndarray) -> float:
    """Return the way down that was won, from the first rows: a loss that falls fast does it within its first tenth.

    >>> round(_won(np.concatenate([[2.0, 1.5, 1.0, 0.8, 0.5], np.full(200, 0.01)])), 3)
    0.99
    """
    if not len(loss):
        return 0.0
    blocks = Blocks(loss)
    return max(blocks.fall, float(median(loss[:_FIRST])) - float(blocks.medians[blocks.lowest]), 0.0)


def _restarts(evidence: TrainingEvidence) -> np.ndarray:
    """Return the rows at which the learning rate is back at once where it was before: a schedule with warm restarts.

    The loss leaps there as planned, and falls again with the rate. A rate that was never taken before is no restart.
    """
    rates = np.asarray(evidence.trace.columns.get("learning_rate", np.nan), dtype=float)
    rates = np.broadcast_to(rates, evidence.loss.shape)
    back = np.zeros(len(rates), dtype=bool)
    highest = np.fmax.accumulate(rates)
    back[1:] = (rates[1:] > _RESTART * rates[:-1]) & (rates[1:] <= _AS_BEFORE * highest[:-1])
    return back


def _is_far(leap: float, window: np.ndarray, middle: float) -> bool:
    """Tell whether a leap is beyond the scatter of the rows before, and of their logarithms where these exist.

    Losses of single examples scatter over decades, so that most are far below a few.
    """
    if not leap > _DEVIATIONS * max(scatter(window), _FLOOR * abs(middle)):
        return False
    if not (np.all(window > 0) and middle > 0):
        return True
    return bool(np.log1p(leap / middle) > _LOG_DEVIATIONS * max(scatter(np.log(window)), _FLOOR))


def _is_witnessed(evidence: TrainingEvidence, row: int, size: int, leap: np.ndarray, middle: np.ndarray) -> bool | None:
    """Tell whether more than one loss speaks for a leap: the gradient's norm, the next row, or its sheer size.

    None where only the norm could settle it, which was not recorded.
    """
    # Over the median before the leap itself, which later ones catch up with.
    over = evidence.loss[size:] - middle[row]
    after, just_before = over[row + 1 :], over[max(row - _RISING, 0) : row]
    if not np.any(after < leap[row] / 2) and (len(after) > _SOON or np.any(just_before > leap[row] / 2)):
        return False  # it stays up there, or had been rising: the loss rises, which has a name of its own
    if leap[row] > (_ALONE - 1) * abs(middle[row]) or evidence.log.get("means_of", 1) >= _MEAN_OF:
        return True
    if row + 1 < len(leap) and leap[row + 1] > leap[row] / 2:
        return True
    at = row + size
    norms, before = evidence.gradient_norm[max(at - _SOON, 0) : at + 1], evidence.gradient_norm[at - size : at - _SOON]
    before = before[np.isfinite(before)]
    if not np.isfinite(evidence.gradient_norm).any():
        return None
    return len(before) > 0 and bool(np.nanmax(norms, initial=0.0) > _WITNESS * float(median(before)))


class OddBatch(NamedTuple):
    """The loss of a batch that one row explains: with long tails far more than any step does to it.

    Args:
        loss: what the farthest target alone adds to the squared loss of its batch; 0 where that is not known.
        lacks: what the trace lacks to say; empty where it lacks nothing, or the targets are no numbers.
    """

    loss: float
    lacks: str


def odd_batch(evidence: TrainingEvidence) -> OddBatch:
    """Return the loss of a batch that one row explains."""
    data = evidence.data
    low, high = data.get("target_low"), data.get("target_high")
    is_number = evidence.network.get("kind") == "numbers" or data.get("target_mean") is not None
    if not data or not is_number:
        return OddBatch(0.0, "")
    if low is None or high is None:
        return OddBatch(0.0, without("data.target_low" if low is None else "data.target_high"))
    if not evidence.batch:
        return OddBatch(0.0, without("plan.batches"))
    return OddBatch(max(low**2, high**2) / evidence.batch, "")
