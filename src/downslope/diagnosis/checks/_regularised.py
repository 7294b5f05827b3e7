"""A penalty that weighs more than the data: `over_regularised`."""

from __future__ import annotations

import numpy as np

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
from downslope.diagnosis._needs import lacking
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.methods import spec_named

OVER_REGULARISED = Symptom(
    "over_regularised",
    Severity.PROBLEM,
    order=90,
    meaning="A penalty on the weights outweighs the data.",
    quantity="penalty_share",
    remedies=("no_penalty", "less_penalty"),
)

# A penalty that is a third of the loss pulls as hard as the data do; a fit that needed it would still show a low loss.
_HEAVY = 0.3


def _penalty_share(evidence: TrainingEvidence) -> float | None:
    """Return the share of the loss at the end that is penalty."""
    strength = float(evidence.network.get("l2") or 0.0)
    kernels = [leaf for leaf in evidence.trace.end.values() if np.ndim(leaf) > 1]
    whole = evidence.end_of(evidence.loss)
    if not strength or not kernels or not whole > 0:
        return None
    return float(strength * sum(float(np.sum(np.square(leaf, dtype=float))) for leaf in kernels) / whole)


@check(
    OVER_REGULARISED,
    quantities=(Quantity("penalty_share", "share of the loss that is penalty", "lower", _penalty_share),),
    needs=("network.l2", "plan.settings", "end"),
    reads=("parts.parameter_norm",),
)
def over_regularised(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a penalty on the weights that makes up much of the loss at the end of one that falls short.

    Quantity: λ Σ w² over the whole loss at the end; or the weights' norm over that of the start under weight decay.
    Theory: at a minimum of data loss and penalty the two gradients balance (Tikhonov). Threshold: a third of the loss.
    """
    share, kept = _penalty_share(evidence), _kept(evidence)
    if evidence.underfits is False or not ((share or 0) > _HEAVY or kept < 1 / 3):
        # Of methods that decay weights by default, the plan says by how much.
        spec = spec_named(evidence.method.name)
        decays = spec is not None and any(setting.name == "weight_decay" for setting in spec.settings)
        lacks = lacking(("plan.settings.weight_decay",), evidence.trace) if decays and evidence.underfits else None
        return None if lacks is None else NotRun(OVER_REGULARISED.key, lacks)
    if evidence.underfits is None:
        return unjudged(evidence, OVER_REGULARISED)
    what = f"The penalty is {number(100 * (share or 0))} % of the loss at the end"
    if not (share or 0) > _HEAVY:
        what = f"Penalty or decay left {number(kept)} of the weights' norm"
    return training_finding(
        evidence,
        OVER_REGULARISED,
        f"{what}: the network is held back from the rows it is trained on, where it scores "
        f"{number(evidence.training_score or 0)}.",
        f"a penalty of up to {number(100 * _HEAVY)} % of the loss",
        numbers={"penalty_share": share, "weights_kept": kept},
        causes=("a penalty or decay that is too strong",),
        remedies=("a tenth of the penalty",),
    )


def _kept(evidence: TrainingEvidence) -> float:
    """Return the norm of the weights at the end over that at the start, under a penalty or decay; 1 without."""
    norms = evidence.trace.part_columns.get("parameter_norm")
    shrinks = evidence.settings.get("weight_decay") or evidence.network.get("l2")
    if not shrinks or norms is None or not len(norms):
        return 1.0
    sizes = np.sqrt(np.sum(np.asarray(norms, float) ** 2, axis=1))
    return float(sizes[-1] / sizes[0]) if sizes[0] > 0 else 1.0
