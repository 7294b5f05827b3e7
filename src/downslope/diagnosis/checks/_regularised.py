"""A penalty, or dropout, that weighs more than the data: `over_regularised`."""

from __future__ import annotations

import numpy as np

from downslope._text import in_words
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
    meaning="A penalty on the weights outweighs the data, or dropout lets next to nothing pass.",
    quantity="penalty_share",
    remedies=("no_penalty", "less_penalty", "no_dropout"),
)

# A penalty that is a third of the loss pulls as hard as the data do; a fit that needed it would still show a low loss.
_HEAVY = 0.3
# What is left of a signal after all masks, as a share of its paths; halves in two layers leave a quarter.
_PASSES = 0.1
_LARGEST_DROPOUT = 0.75


def _penalty_share(evidence: TrainingEvidence) -> float | None:
    """Return the share of the loss at the end that is penalty."""
    strength = float(evidence.network.get("l2") or 0.0)
    whole, size = evidence.end_of(evidence.loss), _size_at_end(evidence)
    return None if not strength or size is None or not whole > 0 else float(strength * size / whole)


def _size_at_end(evidence: TrainingEvidence) -> float | None:
    """Return the sum of the squares of all kernels at the end, or at the last look where they are not kept."""
    kernels = [leaf for leaf in evidence.trace.end.values() if np.ndim(leaf) > 1]
    if kernels:
        return sum(float(np.sum(np.square(leaf, dtype=float))) for leaf in kernels)
    norms = np.asarray(evidence.trace.part_columns.get("parameter_norm", ()), dtype=float)
    leaves = {kernel.get("leaf") for kernel in evidence.inside.kernels}
    own = [index for index, name in enumerate(evidence.trace.part_names) if name in leaves]
    return float(np.sum(norms[-1, own] ** 2)) if norms.ndim == 2 and len(norms) and own else None


@check(
    OVER_REGULARISED,
    quantities=(Quantity("penalty_share", "share of the loss that is penalty", "lower", _penalty_share),),
    reads=("network.l2", "plan.settings", "end|parts.parameter_norm", "parts.parameter_norm", "network.dropout"),
)
def over_regularised(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a penalty that makes up much of the loss, or dropout that lets next to nothing pass, where one falls short.

    Quantity: λ Σ w² over the whole loss at the end; the weights' norm over that of the start under weight decay; the
    product of the shares of units that dropout keeps. Theory: at a minimum of data loss and penalty the two gradients
    balance (Tikhonov); dropping a share p adds noise of p / (1 − p) times a signal's own square (Srivastava et al.
    2014). Threshold: a third of the loss; a tenth of the paths, or three quarters of a layer.
    """
    share, kept = _penalty_share(evidence), _kept(evidence)
    dropout = _heavy_dropout(evidence)
    if evidence.underfits is False or not ((share or 0) > _HEAVY or kept < 1 / 3 or dropout):
        # Of methods that decay weights by default, the plan says by how much.
        spec = spec_named(evidence.method.name)
        decays = spec is not None and any(setting.name == "weight_decay" for setting in spec.settings)
        lacks = lacking(("plan.settings.weight_decay",), evidence.trace) if decays and evidence.underfits else None
        return None if lacks is None else NotRun(OVER_REGULARISED.key, lacks)
    if evidence.underfits is None:
        return unjudged(evidence, OVER_REGULARISED)
    if dropout and not (share or 0) > _HEAVY:
        return _dropped(evidence, dropout)
    what = f"The penalty is {number(100 * (share or 0))} % of the loss at the end"
    if not (share or 0) > _HEAVY:
        what = f"Penalty or decay left {number(kept)} of the weights' norm"
    return training_finding(
        evidence,
        OVER_REGULARISED,
        f"{what}: the network is held back from the rows it is trained on, where it has {_training_score(evidence)}.",
        f"a penalty of up to {number(100 * _HEAVY)} % of the loss",
        numbers={"penalty_share": share, "weights_kept": kept},
        causes=("a penalty or decay that is too strong",),
        remedies=("a tenth of the penalty",),
    )


def _training_score(evidence: TrainingEvidence) -> str:
    """Return the score on the rows trained on, with its name; next to nothing is 0."""
    score = evidence.training_score or 0.0
    return f"{in_words(evidence.metric)} {number(score if abs(score) > 5e-4 else 0)}"


def _kept(evidence: TrainingEvidence) -> float:
    """Return the norm of the weights at the end over that at the start, under a penalty or decay; 1 without."""
    norms = evidence.trace.part_columns.get("parameter_norm")
    of_network = (evidence.network.get(name) for name in ("l2", "penalty"))
    shrinks = evidence.settings.get("weight_decay") or any(strength for strength in of_network)
    if not shrinks or norms is None or not len(norms):
        return 1.0
    sizes = np.sqrt(np.sum(np.asarray(norms, float) ** 2, axis=1))
    return float(sizes[-1] / sizes[0]) if sizes[0] > 0 else 1.0


def _heavy_dropout(evidence: TrainingEvidence) -> list[float]:
    """Return the shares that dropout takes from the layers, where it leaves next to nothing; empty otherwise."""
    shares = [float(share) for share in evidence.network.get("dropout") or ()]
    passes = float(np.prod([1 - share for share in shares]))
    return shares if shares and (passes < _PASSES or max(shares) > _LARGEST_DROPOUT) else []


def _dropped(evidence: TrainingEvidence, shares: list[float]) -> Finding:
    """Return the finding for dropout that lets next to nothing pass."""
    passes = float(np.prod([1 - share for share in shares]))
    where = "a layer" if len(shares) == 1 else f"one of {len(shares)} layers"
    return training_finding(
        evidence,
        OVER_REGULARISED,
        f"Dropout takes up to {number(100 * max(shares))} % of {where}, so that {number(100 * passes)} % of the paths "
        f"are left in a step: the network has {_training_score(evidence)} on the rows it is trained on.",
        f"at most {number(100 * _LARGEST_DROPOUT)} % of a layer, and {number(100 * _PASSES)} % of the paths left",
        numbers={"largest_dropout": max(shares), "paths_left": passes},
        causes=("the share to keep taken for the share to drop", "dropout in too many layers"),
        remedies=("dropout of at most 0.5", "no dropout"),
    )
