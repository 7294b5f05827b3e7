"""Parts of the network that never learn: `frozen_parameters`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from downslope._text import listed
from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

FROZEN_PARAMETERS = Symptom(
    "frozen_parameters",
    Severity.PROBLEM,
    order=55,
    meaning="Parts of the network have a gradient or an update of exactly 0 whenever they are recorded.",
    quantity="frozen_share",
    remedies=("adam",),
)

_FEWEST_LOOKS = 3
_DEAD = 0.99  # of the units of a layer: behind it every gradient is 0, and the layer is the cause
_SHOWN = 4
_SMALL = 0.01  # of the parameters: what is missing then is not what a network falls short by


def _frozen(evidence: TrainingEvidence, column: str) -> np.ndarray:
    """Return which parts have a norm of exactly 0 at every record, shape (parts,); none if it was not recorded."""
    norms = np.asarray(evidence.trace.part_columns.get(column, ()), dtype=float)
    if norms.ndim != 2 or len(norms) < _FEWEST_LOOKS:
        return np.zeros(len(evidence.trace.part_names), bool)
    # The last row is the point reached, from which no step was taken.
    known = norms[np.isfinite(norms).any(axis=1)]
    return (known == 0).all(axis=0) if len(known) >= _FEWEST_LOOKS else np.zeros(norms.shape[1], bool)


def _frozen_share(evidence: TrainingEvidence) -> float | None:
    """Return the share of the parts that never learn."""
    frozen = _frozen(evidence, "gradient_norm") | _frozen(evidence, "update_norm")
    return float(frozen.mean()) if frozen.size else None


@check(
    FROZEN_PARAMETERS,
    needs=("parts.gradient_norm", "parts.update_norm"),
    reads=("network.cut_off?", "start|network.weights"),
    quantities=(Quantity("frozen_share", "share of the parts that never learn", "lower", _frozen_share),),
)
def frozen_parameters(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find parts whose gradient, or whose update, is exactly 0 at every look.

    Quantity: the norms of gradient and update by part. Theory: of sums over a batch none is exactly 0 by chance; it is
    where no derivative leads from the loss to a part (`stop_gradient`, a part that is not used), where every unit
    behind it is dead, or where the method leaves it out. Threshold: exactly 0.
    """
    without, unmoved = _frozen(evidence, "gradient_norm"), _frozen(evidence, "update_norm")
    if not (without | unmoved).any() or evidence.last_step == 0:
        return None
    names = evidence.trace.part_names
    cut = {str(name) for name in evidence.network.get("cut_off") or ()}
    silent = [name for name, is_silent in zip(names, without, strict=True) if is_silent]
    still = [name for name, stays, is_silent in zip(names, unmoved, without, strict=True) if stays and not is_silent]
    # What lets nothing pass at all has a name of its own; the gradient of 0 is what follows.
    held = {str(name) for name in evidence.network.get("held") or ()}
    if silent and not (cut | held).intersection(silent):
        if _is_dead(evidence) or _has_zero_kernel(evidence) or 1 in (evidence.network.get("normalised_over") or ()):
            silent = []
        elif "normalised_over" not in evidence.network and ("kernels" in evidence.network or evidence.batch == 1):
            return NotRun(FROZEN_PARAMETERS.key, "a gradient of 0 may be due to statistics over one value")
        elif not _has_start(evidence) or not len(evidence.inside.of("dead_share")):
            return NotRun(FROZEN_PARAMETERS.key, "a gradient of 0 may be due to dead units, which were not recorded")
    if not silent and (not still or len(still) == len(names)):
        return None  # a rate of 0 leaves all parts where they are
    parts = tuple(silent or still)
    sizes = _sizes(evidence, names)
    share = sum(sizes[name] for name in parts) / sum(sizes.values()) if any(sizes.values()) else 1.0
    return training_finding(
        evidence,
        FROZEN_PARAMETERS,
        f"{_called(parts)} never changed, {number(100 * share)} % of all parameters: "
        f"{_reason(evidence, parts, silent, cut)}.",
        "a gradient and an update other than exactly 0 at some recorded step",
        numbers={"frozen_parts": len(parts), "frozen_share_of_parameters": share},
        parts=parts,
        causes=(
            "stop_gradient, or an array taken out of the program and put in again",
            "rounding, comparing or choosing the largest between these parts and the loss",
            "an optimiser that leaves them out",
        ),
        remedies=("a path for the gradient from the loss to these parts", "all parts passed to the method"),
        problem=None if share > _SMALL else False,
        # A part that is to be trained and that no derivative reaches is no choice of anyone.
        if_unknown="held" in evidence.network and bool(cut.intersection(silent)),
    )


def _called(parts: tuple[str, ...]) -> str:
    more = len(parts) - _SHOWN
    return listed(parts) if more <= 0 else f"{', '.join(parts[:_SHOWN])} and {more} more"


def _reason(evidence: TrainingEvidence, parts: tuple[str, ...], silent: list[str], cut: set[str]) -> str:
    held, left_out = (set(evidence.network.get(name) or ()) for name in ("held", "not_stepped"))
    if held.issuperset(parts):
        return "they are set to need no gradient"
    if left_out.issuperset(parts):
        return "the method was not given them"
    if not silent:
        return "there is a gradient, and the method makes no step of it"
    if cut.intersection(silent):
        return "no derivative leads from the loss to them"
    return "their gradient was exactly 0 whenever it was recorded"


def _is_dead(evidence: TrainingEvidence) -> bool:
    """Tell whether all units of a layer are dead, at all looks."""
    shares = evidence.inside.of("dead_share")
    return bool(len(shares)) and bool(np.any(np.nanmin(np.where(np.isfinite(shares), shares, 0), axis=0) > _DEAD))


def _has_start(evidence: TrainingEvidence) -> bool:
    """Tell whether the initial kernels are known."""
    return bool(evidence.trace.start) or bool(evidence.network.get("weights"))


def _has_zero_kernel(evidence: TrainingEvidence) -> bool:
    """Tell whether a kernel began with nothing but zeros."""
    if evidence.trace.start:
        return any(np.ndim(leaf) > 1 and not np.any(leaf) for leaf in evidence.trace.start.values())
    sampled = evidence.network.get("weights") or {}
    return any(layer.get("mean_square") == 0 for layer in sampled.values())


def _sizes(evidence: TrainingEvidence, names: Sequence[str]) -> dict[str, int]:
    """Return the size of each part; if the weights are not kept, only of the kernels of the layers."""
    if evidence.trace.start:
        return {name: int(np.size(evidence.trace.start.get(name, ()))) for name in names}
    kernels = {kernel.get("leaf"): kernel.get("ranges") or () for kernel in evidence.inside.kernels}
    return {name: math.prod(last - first for first, last in kernels.get(name) or ((0, 0),)) for name in names}
