"""A learning rate that does not fit a training: `rate_too_large` and `rate_too_small`."""

from __future__ import annotations

import numpy as np

from downslope._numbers import median
from downslope._text import listed
from downslope.diagnosis._finding import (
    Finding,
    NotRun,
    Quantity,
    Severity,
    Symptom,
    check,
    number,
    training_finding,
    unjudged,
)
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._dead import RECTIFYING
from downslope.diagnosis.checks._spike import odd_batch

RATE_TOO_LARGE = Symptom(
    "rate_too_large",
    Severity.PROBLEM,
    order=120,
    meaning="The learning rate is above what the curvature bears, and the loss does not fall.",
    quantity="stability",
    remedies=("rate_from_curvature", "smaller_rate", "adam", "clipping", "warm_up"),
)

RATE_TOO_SMALL = Symptom(
    "rate_too_small",
    Severity.PROBLEM,
    order=190,
    meaning="All steps together are short compared with the weights.",
    quantity="way",
    remedies=("larger_rate", "far_larger_rate", "adam", "rmsprop", "rate_from_curvature", "momentum"),
)

# At the edge of stability the ratio hovers at 1 and the loss falls all the same (Cohen et al. 2021).
_ABOVE = 1.5
# The loss may jump in the first steps of a healthy run; three times its start is no noise of batches.
_JUMP = 3.0
# Weights that change by half of their size in a step are drawn anew in two.
_STRIDE = 0.5
_ALL = 0.9  # of the units of a layer
# Steps that add up to less than this share of the weights' own size leave the network about where it began.
_REACH = 0.5
_FEW, _MANY = 200, 1000  # steps
_FEW_LATE, _WIDE = 6, 1 / 3  # evaluations of the last half, and their scatter over their mean
_LEARNED = 0.5  # of what there is to gain over guessing
# A constant rate goes a tenth of its way in a tenth of the steps, a cosine a fifth, Adam at first up to twice as fast.
_AT_ONCE, _EARLY = 0.9, 10


def _stabilities(evidence: TrainingEvidence) -> np.ndarray:
    """Return α over the largest stable rate at each look at the curvature after the first; empty if none is known."""
    bound, rate = evidence.method.bound, evidence.learning_rate
    if bound is None or rate is None:
        return np.zeros(0)
    scaled = evidence.method.scaled
    highest = [s.preconditioned_highest if scaled else s.highest for s in evidence.trace.spectra]
    return np.array([rate * λ / bound for λ in highest if λ is not None and np.isfinite(λ)])


def _stability(evidence: TrainingEvidence) -> float | None:
    """Return α over the largest stable rate, the median over the looks."""
    ratios = _stabilities(evidence)
    return float(median(ratios)) if len(ratios) else None


def _first_jump(evidence: TrainingEvidence) -> float:
    """Return the highest loss of the first hundred steps over that of the first."""
    first = evidence.loss[:100]
    finite = first[np.isfinite(first)]
    return float(finite.max() / finite[0]) if len(finite) and finite[0] > 0 else 1.0


@check(
    RATE_TOO_LARGE,
    reads=("parts.update_norm", "parts.parameter_norm", "network.kernels"),
    quantities=(
        Quantity("stability", "rate over the largest stable rate", "lower", _stability, "curvature"),
        Quantity("first_jump", "highest early loss over the first", "lower", _first_jump),
    ),
)
def training_rate_too_large(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a rate above what the curvature bears, on a loss that does not fall, or one that threw the network away.

    Quantity: α over the largest stable rate where the curvature was measured; the highest loss of the first steps over
    the loss at the start; the length of a first step over that of weights that suit the layers. Theory: beyond 2/λ
    errors along the steepest direction grow, and a step as long as all weights leaves nothing of them. Threshold: 1.5,
    3 and a half.
    """
    ratios = _stabilities(evidence)
    if evidence.falls_short is False:
        return None
    above = len(ratios) and float(median(ratios[-max(1, len(ratios) // 2) :])) > _ABOVE and not evidence.still_falling
    jump, length = _first_jump(evidence), _stride(evidence)
    odd = odd_batch(evidence)
    if jump > _JUMP and odd.lacks:
        return NotRun(RATE_TOO_LARGE.key, odd.lacks)
    if jump > _JUMP and jump * abs(float(evidence.loss[0])) <= odd.loss:
        jump = 1.0  # one row of a long tail is no step that was too long
    stride = length or 0.0
    thrown = _thrown(evidence)
    if not above and jump <= _JUMP and stride <= _STRIDE and not thrown and not _swings(evidence):
        return None if len(ratios) else NotRun(RATE_TOO_LARGE.key, _why_not(evidence))
    if evidence.falls_short is None:
        return unjudged(evidence, RATE_TOO_LARGE)
    sentence = f"In the first steps the loss jumped to {number(jump)} times its start."
    if above:
        many = f"{number(median(ratios))} times the largest stable rate"
        sentence = f"α = {number(evidence.learning_rate)} is {many}, and the loss no longer falls."
    elif jump <= _JUMP and stride > _STRIDE:
        sentence = f"A first step is {number(stride)} times as long as weights that suit the layers."
    elif jump <= _JUMP and thrown:
        low, last = number(evidence.course.lowest[0]), number(evidence.course.last)
        sentence = (
            f"The loss fell to {low} and rose to {last}, while the steps pushed the units of {listed(thrown)} to "
            "where no gradient reaches them."
        )
    elif jump <= _JUMP:
        sentence = "The loss on the rows trained on swings from evaluation to evaluation and gets no lower."
    return training_finding(
        evidence,
        RATE_TOO_LARGE,
        sentence,
        f"α up to {_ABOVE} of the largest stable rate where the loss does not fall; a first jump up to {_JUMP} times; "
        f"first steps up to {_STRIDE} of the weights",
        numbers={
            "learning_rate": evidence.learning_rate,
            "stability": float(median(ratios)) if len(ratios) else None,
            "first_jump": jump,
            "stride": length,
        },
        causes=("the learning rate is too large for the curvature",),
        remedies=("a tenth of the learning rate", "a schedule that warms up"),
    )


def _why_not(evidence: TrainingEvidence) -> str:
    """Return why α cannot be held against a largest stable rate."""
    if evidence.method.bound is None and not evidence.method.searches_line:
        return evidence.method.no_theory
    return "the curvature was not measured"


def _stride(evidence: TrainingEvidence) -> float | None:
    """Return the length of the longest of the first recorded steps over that of the kernels; None where not known.

    Kernels that begin small are taken to be as long as those that suit their layer: of variance 1 over the inputs.
    """
    names, inside = evidence.trace.part_names, evidence.inside
    updates, norms = (evidence.trace.part_columns.get(f"{name}_norm") for name in ("update", "parameter"))
    leaves = {str(kernel.get("leaf")): inside.widths[index] for index, kernel in enumerate(inside.kernels)}
    chosen = [index for index, name in enumerate(names) if np.isfinite(leaves.get(name, np.nan))]
    if updates is None or norms is None or not chosen or not len(updates):
        return None
    early = slice(max(1, len(updates) // 20))
    steps, sizes = (np.asarray(column, float)[early][:, chosen] ** 2 for column in (updates, norms))
    suited = np.array([leaves[names[index]] for index in chosen])
    with np.errstate(all="ignore"):
        strides = np.sqrt(steps.sum(1) / np.maximum(sizes, suited).sum(1))
    return float(strides.max()) if np.all(np.isfinite(strides)) else None


def _thrown(evidence: TrainingEvidence) -> tuple[str, ...]:
    """Return the layers whose units the steps pushed out of use, all of them, where the loss rose since its lowest."""
    begin, end = evidence.early("dead_share"), evidence.late("dead_share")
    rectifying = [name in RECTIFYING for name in evidence.activations]
    pushed = np.array(rectifying, dtype=bool) & (end > _ALL) & (begin < _ALL / 2)
    if not pushed.any() or not evidence.course.rose_since_lowest() or evidence.rises_by_design:
        return ()
    return tuple(evidence.layers[index] for index in np.flatnonzero(pushed))


def _swings(evidence: TrainingEvidence) -> bool:
    """Tell whether the late evaluations of the training loss scatter by a third of it without falling.

    Both are of the same half of the run: a loss that is near zero and still falls scatters by a third of it as well.
    """
    losses = evidence.measured("training_loss")
    late = losses[len(losses) // 2 :]
    if len(late) < _FEW_LATE or not late.mean() > 0:
        return False
    at = np.arange(len(late))
    line = np.polyfit(at, late, 1)
    around = float(np.std(late - np.polyval(line, at), ddof=2))
    # The error of a slope over n rows, times their length, is σ √(12/n).
    falls = -line[0] * len(late) > 2 * around * np.sqrt(12 / len(late))
    return around / late.mean() > _WIDE and not falls and not evidence.still_falling


def reach_of(evidence: TrainingEvidence) -> float | None:
    """Return the length of the way over the norm of the weights at the start."""
    updates, norms = evidence.trace.part_columns.get("update_norm"), evidence.trace.part_columns.get("parameter_norm")
    if updates is None or norms is None or not len(updates) or not evidence.last_step:
        return None
    # Of a run that was over before its second look the first step stands for all.
    lengths = np.sqrt(np.sum(np.asarray(updates, float) ** 2, axis=1))
    lengths = lengths[np.isfinite(lengths)]
    size = float(np.sqrt(np.sum(np.asarray(norms, float)[0] ** 2)))
    return float(lengths.mean() * evidence.last_step / size) if len(lengths) and size > 0 else None


@check(
    RATE_TOO_SMALL,
    quantities=(Quantity("way", "way over the weights' norm", "higher", reach_of, "layers"),),
    needs=("parts.update_norm", "parts.parameter_norm", "evaluated.training_loss"),
    reads=("parts.gradient_norm",),
)
def training_rate_too_small(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find steps that add up to a fraction of the weights' own size while the loss is still falling.

    Quantity: the length of the way, Σ‖update‖, over the norm of the weights at the start. Theory: to change what a
    layer computes its weights must move by about their own size. Threshold: half of it.
    """
    if evidence.underfits is False or evidence.failed or evidence.loss_rose:
        return None
    reach = reach_of(evidence)
    # So few steps are short at any rate, unless many more of them would be.
    few = evidence.last_step < _FEW and (reach or 0.0) * _MANY >= _REACH * evidence.last_step
    decayed = _gone_at_once(evidence)
    if reach is None or few or (reach >= _REACH and decayed is None):
        return None
    if evidence.underfits is None:
        return unjudged(evidence, RATE_TOO_SMALL)
    if decayed is not None:
        return _decayed(evidence, decayed, reach)
    return training_finding(
        evidence,
        RATE_TOO_SMALL,
        f"All {evidence.last_step} steps together are {number(reach)} of the weights' own size: the network is "
        f"{'on its way, and not there yet' if (evidence.learned or 0.0) > _LEARNED else 'about where it began'}.",
        f"steps that add up to {_REACH} of the weights' norm",
        numbers={"way": reach, "learning_rate": evidence.learning_rate},
        causes=("the learning rate is too small",),
        remedies=(
            "ten times the learning rate",
            *(() if evidence.method.scaled else ("Adam, whose steps do not shrink with the gradient",)),
        ),
    )


def _gone_at_once(evidence: TrainingEvidence) -> float | None:
    """Return the share of the way that was gone in the first tenth of the steps, under a rate that decays to nothing.

    None where less was gone, or where it is the gradient that faded and not the rate.
    """
    updates = np.asarray(evidence.trace.part_columns.get("update_norm", ()), dtype=float)
    gradients = np.asarray(evidence.trace.part_columns.get("gradient_norm", ()), dtype=float)
    if updates.ndim != 2 or len(updates) < 2 * _EARLY or updates.shape != gradients.shape:
        return None
    lengths, slopes = (np.sqrt(np.sum(norms**2, axis=1)) for norms in (updates, gradients))
    known = np.isfinite(lengths) & np.isfinite(slopes)
    lengths, slopes = lengths[known], slopes[known]
    early = max(len(lengths) // _EARLY, 1)
    share = float(lengths[:early].sum() / lengths.sum()) if lengths.sum() > 0 else 0.0
    # A descent that has arrived stops as well, since its gradients do.
    rates = lengths / np.maximum(slopes, 1e-30)
    faded = median(slopes[-early:]) < 0.1 * median(slopes[:early])
    return share if share > _AT_ONCE and not (faded and median(rates[-early:]) > 0.1 * median(rates[:early])) else None


def _decayed(evidence: TrainingEvidence, share: float, reach: float) -> Finding:
    """Return the finding for a schedule that leaves no rate for most of the steps."""
    return training_finding(
        evidence,
        RATE_TOO_SMALL,
        f"The schedule decays the rate to nothing: {number(100 * share)} % of the way was gone in the first tenth of "
        f"the {evidence.last_step} steps, which together are {number(reach)} of the weights' own size.",
        f"{number(100 * _AT_ONCE)} % of the way in the first tenth of the steps",
        numbers={"way": reach, "share_gone_at_once": share, "learning_rate": evidence.learning_rate},
        causes=("a schedule counted in batches where it was meant in epochs", "a decay that is too fast"),
        remedies=("a constant learning rate", "a schedule that decays over all steps", "a larger learning rate"),
    )
