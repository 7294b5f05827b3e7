"""Remedies of a training in how it steps: its rate, its method, its schedule, its clipping."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from downslope._text import number
from downslope.methods import ADAM, ADAMW, GRADIENT_DESCENT, MOMENTUM, NESTEROV, NOISY_GRADIENT_DESCENT, RMSPROP
from downslope.remedies._remedy import Remedy, TrainingCase, TrainingMaker, two_digits

_HEADROOM = 0.5  # of the largest stable rate
_SMALL_STEP = 0.01  # of the weights' root mean square
USUAL_RATE = 1e-3  # of Adam and its like


def rate_from_curvature(case: TrainingCase) -> Remedy | None:
    """Half of the largest stable rate."""
    bound = case.facts.bound
    if bound is None or case.sharpness is None or not math.isfinite(case.rate):
        return None
    rate = two_digits(_HEADROOM * bound / case.sharpness)
    if not rate / case.rate < 0.5 and not rate / case.rate > 2:
        return None
    why = f"Half of {number(bound)} / λ_max, the largest rate at which errors along the steepest direction shrink."
    return Remedy(f"rate {number(rate)}, from the curvature", why, {"learning_rate": rate}, _rate_quantity(case, rate))


def smaller_rate(case: TrainingCase) -> Remedy | None:
    """A tenth of the rate."""
    return _other_rate(case, 0.1)


def larger_rate(case: TrainingCase) -> Remedy | None:
    """Ten times the rate."""
    return _other_rate(case, 10.0)


def far_larger_rate(case: TrainingCase) -> Remedy | None:
    """A hundred times the rate."""
    return _other_rate(case, 100.0)


def _other_rate(case: TrainingCase, factor: float) -> Remedy | None:
    if not math.isfinite(case.rate):
        return None
    rate = two_digits(case.rate * factor)
    why = "Steps overshoot while αλ exceeds the method's bound." if factor < 1 else "Short steps take as many more."
    return Remedy(f"rate {number(rate)}", why, {"learning_rate": rate}, _rate_quantity(case, rate))


def _rate_quantity(case: TrainingCase, rate: float) -> str:
    """Return what a new rate moves."""
    return "way" if rate > case.rate else "highest_loss"


def adam(case: TrainingCase) -> Remedy | None:
    """Adam at its usual rate."""
    if case.method in (ADAM.name, ADAMW.name) and 0.3 < case.rate / USUAL_RATE < 3:
        return None
    changes = {"method": ADAM.name, "learning_rate": USUAL_RATE, "schedule": None}
    why = "Each coordinate steps by about the rate, whatever the size of its gradient (Kingma and Ba 2015)."
    return Remedy(f"Adam at {number(USUAL_RATE)}", why, changes, "training_score")


def momentum(case: TrainingCase) -> Remedy | None:
    """Heavy-ball momentum at the same rate."""
    if case.method != GRADIENT_DESCENT.name:
        return None
    why = "Velocity adds up along directions that keep their sign and cancels in the others (Polyak 1964)."
    return Remedy("momentum", why, {"method": MOMENTUM.name, "learning_rate": case.rate}, "training_score")


def nesterov(case: TrainingCase) -> Remedy | None:
    """Nesterov's momentum at the same rate."""
    if case.method != GRADIENT_DESCENT.name:
        return None
    why = "A look ahead along the velocity keeps it from swinging (Nesterov 1983)."
    return Remedy("Nesterov's momentum", why, {"method": NESTEROV.name, "learning_rate": case.rate}, "training_score")


def rmsprop(case: TrainingCase) -> Remedy | None:
    """RMSprop at its usual rate."""
    if case.method in (ADAM.name, ADAMW.name, RMSPROP.name):
        return None
    why = "Each coordinate is divided by the usual size of its gradient (Tieleman and Hinton 2012)."
    changes = {"method": RMSPROP.name, "learning_rate": USUAL_RATE, "schedule": None}
    return Remedy(f"RMSprop at {number(USUAL_RATE)}", why, changes, "training_score")


def noise(case: TrainingCase) -> Remedy | None:
    """Noise in the gradient whose steps are a hundredth of the size of the weights."""
    if case.method != GRADIENT_DESCENT.name or not case.rate > 0:
        return None
    size = math.sqrt(np.mean(np.concatenate([np.ravel(leaf) for leaf in case.trace.start.values()]) ** 2))
    if not size > 0:
        return None
    deviation = two_digits(_SMALL_STEP * size / case.rate)
    why = "Noise makes equal units unequal, and has a part along every way out (Neelakantan et al. 2015)."
    changes = {"method": NOISY_GRADIENT_DESCENT.name, "noise": deviation, "learning_rate": case.rate}
    return Remedy(f"noise of {number(deviation)} in the gradient", why, changes, "training_score")


def warm_up(case: TrainingCase) -> Remedy | None:
    """A rate that begins at 0 and decays."""
    if case.choice("schedule") is not None or not math.isfinite(case.rate):
        return None
    changes = {"schedule": "warm-up", "warm_up": max(case.steps // 10, 1), "learning_rate": case.rate}
    why = "Early curvature is the highest; short first steps lower it (Gilmer et al. 2021)."
    return Remedy("warm-up over a tenth of the steps", why, changes, "highest_loss")


def cosine(case: TrainingCase) -> Remedy | None:
    """A rate that decays to 0."""
    if case.choice("schedule") is not None or not math.isfinite(case.rate):
        return None
    why = "The noise of batches is averaged away as the rate goes to 0 (Robbins and Monro 1951)."
    return Remedy("a rate that decays as a cosine", why, {"schedule": "cosine"}, "training_score")


def clipping(case: TrainingCase) -> Remedy | None:
    """Gradients cut to the median of the norms that were recorded."""
    if case.choice("clip_norm") is not None or len(case.norms) < 10:
        return None
    norm = two_digits(float(np.quantile(case.norms, 0.5)))
    why = "A cliff's gradient is cut to the usual length (Pascanu, Mikolov and Bengio 2013)."
    return Remedy(f"gradients cut to {number(norm)}", why, {"clip_norm": norm}, "highest_loss")


def from_healthy(maker: TrainingMaker) -> TrainingMaker:
    """Return the maker of the same remedy that keeps the steps up to the last healthy one as they were."""

    def later(case: TrainingCase) -> Remedy | None:
        remedy = maker(case)
        if remedy is None or not case.healthy_steps or case.choice("begin") is not None:
            return None
        before = {name: case.choice(name) for name in remedy.changes}
        if "learning_rate" in before:
            before["learning_rate"] = case.rate
        if "method" in before:
            before = {"method": case.choice("method"), **case.settings, **before}
        changes = {**remedy.changes, "begin": {"steps": case.healthy_steps, **before}}
        return replace(remedy, name=f"{remedy.name} from step {case.healthy_steps} on", changes=changes)

    return later


smaller_rate_later = from_healthy(smaller_rate)
clipping_later = from_healthy(clipping)
adam_later = from_healthy(adam)
