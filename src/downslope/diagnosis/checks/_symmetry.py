"""Units that can never differ: `symmetric_units`."""

from __future__ import annotations

import numpy as np

from downslope._arrays import share_of_copies
from downslope._text import listed
from downslope._types import Columns
from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unseen_kernels

SYMMETRIC_UNITS = Symptom(
    "symmetric_units",
    Severity.PROBLEM,
    order=60,
    meaning="Units of a layer begin as copies of one another and stay so.",
    quantity="unit_copies",
    remedies=("suited_weights",),
)

# Half of a layer's units.
_MANY = 0.5


def _most_copies(evidence: TrainingEvidence) -> float | None:
    """Return the largest share of a hidden layer's units that begin as copies of another."""
    shares = [share for index in evidence.hidden if (share := _copies(evidence, int(index))) is not None]
    return max(shares, default=None)


@check(
    SYMMETRIC_UNITS,
    needs=("network.kernels", "network.nested", "start|network.weights", "end|network.weights"),
    hidden_by=unseen_kernels,
    quantities=(Quantity("unit_copies", "share of units that are copies", "lower", _most_copies),),
)
def symmetric_units(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find layers most of whose units are copies of one another.

    Quantity: the share of units whose incoming weights and bias are those of another, at the start. Theory: units with
    equal incoming and outgoing weights get equal gradients and stay equal; nothing but noise parts them (Goodfellow et
    al. 2016, section 8.4). Threshold: half the units of a hidden layer.
    """
    if not evidence.hidden.size:
        return None
    shares = {evidence.layers[index]: _copies(evidence, int(index)) for index in evidence.hidden}
    if all(share is None for share in shares.values()):
        return NotRun(SYMMETRIC_UNITS.key, "how the kernels of the layers lie is not known")
    equal = tuple(name for name, share in shares.items() if share is not None and share > _MANY)
    if not equal:
        return None
    worst = max(share for share in shares.values() if share is not None)
    return training_finding(
        evidence,
        SYMMETRIC_UNITS,
        f"The units of {listed(equal)} begin as copies of one another ({number(100 * worst)} %) and get the same "
        "gradients: they can never differ.",
        "half the units of a hidden layer with the incoming weights of another",
        numbers={"copies": worst},
        parts=equal,
        causes=("weights initialised to one constant",),
        remedies=("a random initialisation", "noise on the weights"),
        # Where nothing tells how well it does, these are still copies at the end.
        if_unknown=True,
    )


def _copies(evidence: TrainingEvidence, index: int) -> float | None:
    """Return the fraction of a layer's units initialised as duplicates.

    For a network that performs well, count only those still identical at the end.
    """
    start, end = (_incoming(evidence, index, when) for when in (evidence.trace.start, evidence.trace.end))
    if start is None or end is None:
        return _sampled_copies(evidence, index)
    if start.shape[1] < 2:
        return None
    # A residual branch may begin at zero: what comes back to its units through what follows differs.
    if evidence.inside.kernels[index].get("bypassed") and not np.any(start):
        return None
    begun = share_of_copies(start)
    return begun if evidence.falls_short else min(begun, share_of_copies(end))


def _sampled_copies(evidence: TrainingEvidence, index: int) -> float | None:
    """Return the share of copies of a layer from its samples; None without samples."""
    sample = evidence.inside.sampled(index)
    if not sample or evidence.inside.widths[index] < 2:
        return None
    if evidence.inside.kernels[index].get("bypassed") and not sample["mean_square"]:
        return None
    begun = sample["copies_at_start"]
    return begun if evidence.falls_short else min(begun, sample["copies_at_end"])


def _incoming(evidence: TrainingEvidence, index: int, when: Columns) -> np.ndarray | None:
    """Return the weights and the bias of each unit of a layer, shape (inputs + 1, units)."""
    weight, bias = evidence.inside.weight(index, when), evidence.inside.bias(index, when)
    if weight is None or bias is None or weight.shape[1] != len(bias):
        return weight
    return np.concatenate([weight, bias[None]])
