"""Remedies of a training in the data, the batches, the penalties, and how long it goes on."""

from __future__ import annotations

import numpy as np

from downslope._text import number
from downslope.remedies._case import Case
from downslope.remedies._remedy import Remedy, two_digits

_SMALLEST, _SMALL = 8, 32  # batches


def standardised(case: Case) -> Remedy | None:
    """Inputs of mean 0 and deviation 1."""
    if case.asked("standardise") is not False:
        return None
    why = "Weights are drawn for inputs of size 1, and unequal scales make a narrow valley (LeCun et al. 1998)."
    return Remedy("standardised inputs", why, {"standardise": True}, "input_size")


def scaled_targets(case: Case) -> Remedy | None:
    """Targets of mean 0 and deviation 1."""
    if case.asked("scale_targets") is not False or case.trace.facts["network"].get("kind") != "numbers":
        return None
    why = "Outputs begin near 0 with a spread of 1; gradients grow with the distance to go."
    return Remedy("scaled targets", why, {"scale_targets": True}, "target_size")


def larger_batch(case: Case) -> Remedy | None:
    """Batches near the noise scale, at most eight times as large."""
    batch, rows = case.asked("batch"), case.trace.facts["data"].get("rows")
    if batch is None or not rows or batch * 2 > rows:
        return None
    wanted = 4.0 * batch if case.noise_scale is None else case.noise_scale
    size = int(min(max(2 * batch, wanted), 8 * batch, rows))
    why = "Noise falls with the root of the batch, up to the noise scale (McCandlish et al. 2018)."
    return Remedy(f"batches of {size}", why, {"batch": size}, "noise_ratio")


def smaller_batch(case: Case) -> Remedy | None:
    """Batches near the noise scale, from 8 to 32."""
    batch = case.asked("batch")
    size = int(min(max(case.noise_scale or _SMALL, _SMALLEST), _SMALL))
    if batch is not None and batch <= size:
        return None
    why = "What a larger batch than the noise scale adds is lost, and the noise of small ones leads to flatter valleys"
    references = "(McCandlish et al. 2018; Keskar et al. 2017)."
    return Remedy(f"batches of {size}", f"{why} {references}", {"batch": size}, "training_score")


def no_penalty(case: Case) -> Remedy | None:
    """No penalty and no decay."""
    changes = {name: 0.0 for name in ("l2", "weight_decay") if case.asked(name)}
    why = "At a minimum of loss and penalty the two gradients balance (Tikhonov 1943)."
    return Remedy("no penalty on the weights", why, changes, "penalty_share") if changes else None


def less_penalty(case: Case) -> Remedy | None:
    """A tenth of penalty and decay."""
    changes = {name: float(case.asked(name)) / 10 for name in ("l2", "weight_decay") if case.asked(name)}
    why = "At a minimum of loss and penalty the two gradients balance (Tikhonov 1943)."
    return Remedy("a tenth of the penalty", why, changes, "penalty_share") if changes else None


def weight_decay(case: Case) -> Remedy | None:
    """Weights that decay."""
    if case.asked("weight_decay") or case.asked("l2"):
        return None
    decay = two_digits(min(0.1 / case.rate / max(case.steps, 1) * 20, 0.1 / case.rate)) if case.rate > 0 else 0.01
    why = "Smaller weights make a smoother function (Krogh and Hertz 1991)."
    return Remedy(f"weight decay {number(decay)}", why, {"weight_decay": decay}, "score_gap")


def dropout(case: Case) -> Remedy | None:
    """Three tenths of the units dropped in each step."""
    if not case.hidden or any(layer["dropout"] for layer in case.hidden):
        return None
    why = "Units cannot rely on one another (Srivastava et al. 2014)."
    return Remedy("dropout of 0.3", why, {"dropout": 0.3}, "score_gap")


def no_dropout(case: Case) -> Remedy | None:
    """No dropout."""
    if not any(layer["dropout"] for layer in case.hidden):
        return None
    return Remedy("no dropout", "Every unit learns in every step.", {"dropout": 0.0}, "training_score")


def early_stopping(case: Case) -> Remedy | None:
    """The run ended soon after the lowest validation loss."""
    held = np.asarray(case.trace.metrics.get("validation_loss", ()), float)
    steps = np.asarray(case.trace.metrics.get("step", ()))
    if len(held) < 4 or not np.isfinite(held).any():
        return None
    best = int(steps[int(np.nanargmin(held))])
    if best == 0 or best > 0.8 * case.steps:
        return None
    why = "Stopping at the lowest validation loss bounds how far the weights go (Prechelt 1998)."
    return Remedy(f"stop at step {best}", why, {"steps": best}, "score_gap")


def more_steps(case: Case) -> Remedy | None:
    """Four times the steps."""
    if case.trace.last_step < case.steps:
        return None
    why = "The loss was still falling; this costs four times as much."
    return Remedy(f"{4 * case.steps} steps", why, {"steps": 4 * case.steps}, "training_score")
