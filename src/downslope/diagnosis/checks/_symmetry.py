"""Units that can never differ: `symmetric_units`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._finding import Finding, NotRun
from downslope.diagnosis._training import TrainingEvidence
from downslope.diagnosis._verdict import found
from downslope.diagnosis._words import listed, number

# Weights of one column that differ by less than this share are equal, in float32 after many steps.
_EQUAL = 1e-4
# Half of a layer's units.
_MANY = 0.5


def symmetric_units(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find layers most of whose units are copies of one another.

    Quantity: the share of units whose incoming weights are those of another, at the start. Theory: units with equal
    incoming and outgoing weights get equal gradients and stay equal; nothing but noise parts them (Goodfellow et al.
    2016, section 8.4). Threshold: half the units of a hidden layer.
    """
    if not evidence.hidden.size:
        return None
    shares = {evidence.layers[place]: copies(evidence, int(place)) for place in evidence.hidden}
    if all(share is None for share in shares.values()):
        return NotRun("symmetric_units", "the weights of the layers are not known by name")
    equal = tuple(name for name, share in shares.items() if share is not None and share > _MANY)
    if not equal:
        return None
    worst = max(share for share in shares.values() if share is not None)
    return found(
        evidence,
        "symmetric_units",
        f"The units of {listed(equal)} begin as copies of one another ({number(100 * worst)} %) and get the same "
        "gradients: they can never differ.",
        "half the units of a hidden layer with the incoming weights of another",
        numbers={"copies": worst},
        parts=equal,
        causes=("weights that begin at one constant",),
        remedies=("a random initialisation", "noise on the weights"),
    )


def copies(evidence: TrainingEvidence, place: int) -> float | None:
    """Return the share of a layer's units that begin as copies; of a network that does well, only if they stay so."""
    start, end = (evidence.weight(place, when) for when in (evidence.trace.start, evidence.trace.end))
    if start is None or end is None or start.shape[1] < 2:
        return None
    begun = _equal_columns(start)
    return begun if evidence.falls_short else min(begun, _equal_columns(end))


def _equal_columns(weight: np.ndarray) -> float:
    """Return the share of columns that equal the column most like them."""
    size = np.max(np.abs(weight)) or 1.0
    rounded = np.round(weight / size / _EQUAL).astype(np.int64)
    _, counts = np.unique(rounded, axis=1, return_counts=True)
    return float(counts[counts > 1].sum() / weight.shape[1])
