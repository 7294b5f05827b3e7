"""The quantity behind each symptom as one number of a trace, which a remedy should change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._end_state import EndState, state_of
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Quantity
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks import DESCENT_CHECKS, STATE_RULES, TRAINING_CHECKS
from downslope.trace import Trace

_NO_MATTER = 0.01  # a change by less than this share is none


def quantity_names() -> tuple[str, ...]:
    """Return the names of the quantities."""
    return (*_OF_TRAININGS, *_OF_DESCENTS)


def quantity(name: str) -> Quantity:
    """Return a quantity by name."""
    return _OF_DESCENTS[name] if name in _OF_DESCENTS else _OF_TRAININGS[name]


def measure(name: str, trace: Trace) -> float | None:
    """Return a quantity of a trace; None where it is not known."""
    with np.errstate(all="ignore"):
        value = quantity(name).of(Evidence(trace) if name in _OF_DESCENTS else TrainingEvidence(trace))
    return None if value is None or math.isnan(value) else float(value)


def has_moved(name: str, before: float | None, after: float | None) -> bool | None:
    """Tell whether a quantity moved in the wanted direction; None where one of the two values is not known."""
    if before is None or after is None:
        return None
    wanted = quantity(name).wanted
    if wanted == "nearer to 1":
        # The distance from 1 in factors: 10 and 0.1 are equally far.
        before, after = (abs(math.log(max(number, 1e-300))) for number in (before, after))
    if wanted == "higher":
        before, after = -before, -after
    # From ∞ any finite number is an improvement; a share of ∞ would demand more.
    if math.isinf(before):
        return after < before
    return after < before - _NO_MATTER * abs(before)


# --- of descents to the bottom of a function -------------------------------------------------------------------------


def _end_value(evidence: Evidence) -> float:
    """Return the value at the end; ∞ for a descent that met a number that is not finite."""
    return math.inf if evidence.failed else float(evidence.value[-1])


def _highest_value(evidence: Evidence) -> float:
    """Return the highest value of any step; ∞ for a descent that met a number that is not finite."""
    return math.inf if evidence.failed else float(np.max(evidence.value))


def _distance(evidence: Evidence) -> float:
    """Return the distance from start to end; NaN for a descent that met a number that is not finite."""
    if evidence.failed:
        return math.nan
    start, end = evidence.trace.start, evidence.trace.end
    return math.sqrt(sum(float(np.sum(np.square(np.subtract(end[name], start[name])))) for name in start))


def _arrived(evidence: Evidence) -> float:
    """Return 1 for a descent that rests at a minimum, else 0."""
    return float(state_of(evidence, STATE_RULES) is EndState.AT_MINIMUM)


# --- of trainings ----------------------------------------------------------------------------------------------------


def _worst(name: str) -> Callable[[TrainingEvidence], float | None]:
    """Return the function for a share of the units in the hidden layer where it is largest, late in the run."""

    def worst(evidence: TrainingEvidence) -> float | None:
        shares = evidence.late(name)[evidence.hidden] if evidence.hidden.size else np.zeros(0)
        return float(np.nanmax(shares)) if np.isfinite(shares).any() else None

    return worst


def _highest_loss(evidence: TrainingEvidence) -> float:
    """Return the highest loss of a step over the first; ∞ if one was not finite."""
    if evidence.failed or not np.all(np.isfinite(evidence.loss)):
        return math.inf
    return float(evidence.loss.max() / evidence.loss[0]) if len(evidence.loss) and evidence.loss[0] > 0 else math.nan


def _gap(evidence: TrainingEvidence) -> float | None:
    """Return by how much the rows trained on score higher than those held back."""
    held, own = evidence.last(f"validation_{evidence.metric}"), evidence.training_score
    return None if held is None or own is None else own - held


def _noise(evidence: TrainingEvidence) -> float | None:
    """Return the gradient's noise scale over the examples of a step."""
    scales = evidence.measured("noise_scale")[1:]
    return float(median(scales)) / evidence.batch if len(scales) and evidence.batch else None


def _training_loss(evidence: TrainingEvidence) -> float:
    """Return the loss at the end on the rows trained on; ∞ if it is not finite."""
    loss = evidence.last("training_loss")
    return math.inf if evidence.failed or loss is None else loss


def _factor(rate: tuple[float, float] | None) -> float | None:
    """Return the factor per layer of a pair of it and the factor in all."""
    return None if rate is None else rate[0]


def _gradient_factor(evidence: TrainingEvidence) -> float | None:
    """Return the factor of the gradient per layer, or per step of the scan where it fades or grows more."""
    rates = [evidence.inside.gradient_rate]
    for fading in (True, False):
        loop = evidence.inside.recurrence(fading=fading)
        rates.append(None if loop is None else (loop["per_step"], loop["in_all"]))
    known = [rate for rate in rates if rate is not None]
    # A factor of 0 is as far from 1 as can be.
    return _factor(max(known, key=lambda rate: abs(math.log(max(rate[1], 1e-300))), default=None))


_SHARED_BY_DESCENTS = (
    Quantity("arrived", "whether it rests at a minimum", "higher", _arrived),
    Quantity("condition_number", "steepest curvature over the gentlest", "lower", lambda e: e.end.condition_number),
    Quantity("distance", "distance from start to end", "higher", _distance),
    Quantity("end_gradient", "gradient at the end", "lower", lambda e: float(e.gradient_norm[-1])),
    Quantity("end_stability", "rate over the largest stable rate", "lower", lambda e: e.stability),
    Quantity("end_value", "value at the end", "lower", _end_value),
    Quantity("highest_value", "highest value on the way", "lower", _highest_value),
    Quantity("lowest_curvature", "lowest curvature at the end", "higher", lambda e: e.end.lowest),
    Quantity("steps_to_go", "steps to go", "lower", lambda e: e.steps_to_go),
    Quantity("turning", "cosine of successive updates", "higher", lambda e: e.cosine_late),
)
_SHARED_BY_TRAININGS = (
    Quantity(
        "gradient_per_layer",
        "factor of a unit's gradient per layer",
        "nearer to 1",
        _gradient_factor,
        "layers",
    ),
    Quantity(
        "signal_per_layer",
        "factor of the signal per layer",
        "nearer to 1",
        lambda e: _factor(e.inside.signal_rate),
        "layers",
    ),
    Quantity("dead_share", "dead share of the worst layer", "lower", _worst("dead_share"), "layers"),
    Quantity("saturated_share", "saturated share of the worst layer", "lower", _worst("saturated_share"), "layers"),
    Quantity("input_size", "root mean square of the inputs", "nearer to 1", lambda e: e.root_mean_square("input")),
    Quantity("target_size", "root mean square of the targets", "nearer to 1", lambda e: e.root_mean_square("target")),
    Quantity("highest_loss", "highest loss over the first", "lower", _highest_loss),
    Quantity("score_gap", "training score minus validation score", "lower", _gap),
    Quantity("noise_ratio", "noise scale over the examples of a step", "lower", _noise, "curvature"),
    Quantity("still_falling", "share by which the loss still fell at the end", "lower", lambda e: e.still_falling),
    Quantity("training_score", "score on the rows trained on", "higher", lambda e: e.training_score),
    Quantity("training_loss", "loss on the rows trained on", "lower", _training_loss),
)
_OF_DESCENTS: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (*_SHARED_BY_DESCENTS, *(own for check in DESCENT_CHECKS for own in check.quantities))
}
_OF_TRAININGS: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (*_SHARED_BY_TRAININGS, *(own for check in TRAINING_CHECKS for own in check.quantities))
}
