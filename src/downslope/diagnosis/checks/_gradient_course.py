"""A gradient norm that grows by orders of magnitude during a training: `exploding_gradients`."""

from __future__ import annotations

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._blocks import Blocks
from downslope.diagnosis._finding import Finding, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._exploding import EXPLODING_GRADIENTS

# Norms of batches scatter by a factor of ten or so, and fall as a training converges.
_GROWN, _GROWN_BESIDE = 1e3, 1e2
_ABOVE_START = 10.0
_BLOCKS = 20  # of the rows: the norm in each is the median, which odd batches do not move
_RISE = 0.1  # of the loss: what it rises by beside a gradient that explodes
_BEFORE = 10  # rows that a row is compared with, at least


@check(EXPLODING_GRADIENTS, order=101, needs=("steps.gradient_norm",))
def rising_gradients(evidence: TrainingEvidence) -> Finding | None:
    """Find a gradient that grew a thousandfold over what it had been, whatever is known of layers.

    Quantity: the norm of a row, and the median norm of a twentieth of the rows, over the median of those before.
    Theory: Pascanu et al. 2013: norms leap by orders of magnitude at a cliff or an instability. Threshold: a thousand
    times; a hundred where the loss leaves its own scatter. A problem where it does so, and where the norm stays up:
    norms of healthy runs peak as high.
    """
    known = np.isfinite(evidence.gradient_norm)
    norms, steps = evidence.gradient_norm[known], evidence.step[known]
    if len(norms) < 2 * _BEFORE:
        return None
    # The median of all rows before a block, so that the norm at the very start, which may be odd, decides nothing.
    blocks = np.array_split(np.arange(len(norms)), min(_BLOCKS, len(norms) // _BEFORE))
    before = [float(median(norms[: rows[0]])) for rows in blocks[1:]]
    peaks = [float(norms[rows].max()) for rows in blocks[1:]]
    growths = [peak / usual if usual > 0 else 0.0 for peak, usual in zip(peaks, before, strict=True)]
    at = int(np.argmax(growths))
    row = int(blocks[at + 1][np.argmax(norms[blocks[at + 1]])])
    troubled = _leaves_its_scatter(evidence, int(steps[row]))
    # At a low loss one odd batch has a gradient far above the others, and still no longer than at the start.
    grown = growths[at] > (_GROWN_BESIDE if troubled else _GROWN)
    if not grown or not norms[row] > _ABOVE_START * norms[blocks[0]].max():
        return None
    lasts = float(median(norms[blocks[-1]])) > (_GROWN_BESIDE if troubled else _GROWN) * before[at]
    stays = ", and stays there" if lasts else ""
    return training_finding(
        evidence,
        EXPLODING_GRADIENTS,
        f"The norm of the gradient grew from about {number(before[at])} to {number(norms[row])} at step "
        f"{steps[row]}{stays}.",
        f"a norm up to {number(_GROWN)} times the median before",
        numbers={"step": int(steps[row]), "gradient_norm": float(norms[row]), "before": before[at]},
        causes=("a cliff of the loss", "a rate at the edge of what the curvature bears", "a batch with broken rows"),
        remedies=("clip the gradient's norm", "a smaller learning rate"),
        if_unknown=troubled or lasts,
    )


def _leaves_its_scatter(evidence: TrainingEvidence, step: int) -> bool:
    """Tell whether the loss is not finite in the end, or lies above what it was before a step by more than chance."""
    if evidence.failed or evidence.loss_rose:
        return True
    known = np.isfinite(evidence.loss)
    loss, steps = evidence.loss[known], evidence.step[known]
    before, after = loss[steps < step], loss[steps >= step]
    if len(before) < _BEFORE or not len(after):
        return False
    recent = Blocks(before[-max(len(before) // 5, _BEFORE) :])
    # Of the rows after it, as many as an error is known of.
    near = after[: max(len(recent.numbers) // len(recent.rows), 3)]
    rise = float(median(near)) - float(recent.medians.min())
    return rise > max(recent.limit * recent.error, _RISE * abs(float(recent.medians.min())))
