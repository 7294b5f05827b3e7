"""The quantity behind each symptom as one number of a trace, so that a remedy can be held to having moved it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from downslope.diagnosis._descent_quantities import OF_DESCENTS
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._quantity import Quantity
from downslope.diagnosis._training import TrainingEvidence
from downslope.diagnosis.checks._initialisation import variance_ratio
from downslope.diagnosis.checks._regularised import penalty_share
from downslope.diagnosis.checks._symmetry import copies
from downslope.diagnosis.checks._training_rate import first_jump, reach_of, stabilities
from downslope.trace import Trace

_NO_MATTER = 0.01  # a change by less than this share is none


def quantity_names() -> tuple[str, ...]:
    """Return the names of the quantities."""
    return (*_OF_TRAININGS, *OF_DESCENTS)


def quantity(name: str) -> Quantity:
    """Return a quantity by name."""
    return OF_DESCENTS[name] if name in OF_DESCENTS else _OF_TRAININGS[name]


def measure(name: str, trace: Trace) -> float | None:
    """Return a quantity of a trace; None where it is not known."""
    with np.errstate(all="ignore"):
        found = quantity(name).of(Evidence(trace) if name in OF_DESCENTS else TrainingEvidence(trace))
    return None if found is None or math.isnan(found) else float(found)


def has_moved(name: str, before: float | None, after: float | None) -> bool | None:
    """Tell whether a quantity moved as it was wanted to; None where one of the two is not known."""
    if before is None or after is None:
        return None
    wanted = quantity(name).wanted
    if wanted == "nearer to 1":
        before, after = (abs(math.log(max(number, 1e-300))) for number in (before, after))
    if wanted == "higher":
        before, after = -before, -after
    if math.isinf(before):
        return after < before
    return after < before - _NO_MATTER * abs(before)


def _worst(evidence: TrainingEvidence, name: str) -> float | None:
    """Return a share of the units in the hidden layer where it is largest, late in the run."""
    shares = evidence.late(name)[evidence.hidden] if evidence.hidden.size else np.zeros(0)
    return float(np.nanmax(shares)) if np.isfinite(shares).any() else None


def _copies(evidence: TrainingEvidence) -> float | None:
    """Return the largest share of a hidden layer's units that begin as copies of another."""
    shares = [share for place in evidence.hidden if (share := copies(evidence, int(place))) is not None]
    return max(shares, default=None)


def _variance_ratio(evidence: TrainingEvidence) -> float | None:
    """Return the variance of the first weights over what suits them, in the layer where it is farthest off."""
    ratios = [variance_ratio(evidence, place) for place in range(len(evidence.layers))]
    known = [ratio for ratio in ratios if ratio is not None]
    return max(known, key=lambda ratio: abs(math.log(max(ratio, 1e-300))), default=None)


def _stability(evidence: TrainingEvidence) -> float | None:
    """Return α over the largest stable rate, the median over the looks."""
    ratios = stabilities(evidence)
    return float(np.median(ratios)) if len(ratios) else None


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
    return float(np.median(scales)) / evidence.batch if len(scales) and evidence.batch else None


def _training_loss(evidence: TrainingEvidence) -> float:
    """Return the loss at the end on the rows trained on; ∞ if it is not finite."""
    told = evidence.last("training_loss")
    return math.inf if evidence.failed or told is None else told


_OF_TRAININGS: Mapping[str, Quantity] = {
    "gradient_per_layer": Quantity(
        "factor of a unit's gradient per layer",
        "nearer to 1",
        lambda e: e.gradient_rate and e.gradient_rate[0],
        "layers",
    ),
    "signal_per_layer": Quantity(
        "factor of the signal per layer", "nearer to 1", lambda e: e.signal_rate and e.signal_rate[0], "layers"
    ),
    "dead_share": Quantity("dead share of the worst layer", "lower", lambda e: _worst(e, "dead_share"), "layers"),
    "saturated_share": Quantity(
        "saturated share of the worst layer", "lower", lambda e: _worst(e, "saturated_share"), "layers"
    ),
    "unit_copies": Quantity("share of units that are copies", "lower", _copies),
    "variance_ratio": Quantity("variance of the first weights over what suits", "nearer to 1", _variance_ratio),
    "input_size": Quantity("root mean square of the inputs", "nearer to 1", lambda e: e.root_mean_square("input")),
    "target_size": Quantity("root mean square of the targets", "nearer to 1", lambda e: e.root_mean_square("target")),
    "stability": Quantity("rate over the largest stable rate", "lower", _stability, "curvature"),
    "first_jump": Quantity("highest early loss over the first", "lower", first_jump),
    "highest_loss": Quantity("highest loss over the first", "lower", _highest_loss),
    "way": Quantity("way over the weights' norm", "higher", reach_of, "layers"),
    "penalty_share": Quantity("share of the loss that is penalty", "lower", penalty_share),
    "score_gap": Quantity("score on rows trained on beyond that on rows held back", "lower", _gap),
    "noise_ratio": Quantity("noise scale over the examples of a step", "lower", _noise, "curvature"),
    "still_falling": Quantity("share by which the loss still fell at the end", "lower", lambda e: e.still_falling),
    "training_score": Quantity("score on the rows trained on", "higher", lambda e: e.training_score),
    "training_loss": Quantity("loss on the rows trained on", "lower", _training_loss),
}
