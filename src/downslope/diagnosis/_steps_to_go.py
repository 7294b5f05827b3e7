"""How many steps a descent still needs, by the theory that fits its ground.

A flat bottom is reached by a power of the step, a bowl by one factor along each curvature, a normalised method comes at
a steady speed; where none of these fits, the latest contraction is assumed to continue.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from downslope.diagnosis._evidence import Evidence

# Steps within 26° of one direction: a normalised method on its way, at a steady speed.
_STRAIGHT = 0.9
_LONG = 1e12  # more steps to go than this are as good as endless
_FLAT = 2.5  # a bottom that rises by a higher power than this is flat: it has no curvature to go by


def steps_to_go(evidence: Evidence) -> int | None:
    """Return the steps until the gradient's norm falls to the target; None if that cannot be told."""
    if evidence.gradient_norm[-1] <= evidence.target:
        return 0
    steps = _foreseen(evidence)
    return None if steps is None or not 0 <= steps < _LONG else math.ceil(steps)


def steps_at_speed(evidence: Evidence) -> float | None:
    """Return the steps to the bottom of the bowl at the length of the last steps."""
    late = evidence.update_norm[len(evidence.update_norm) // 2 :]
    late = late[np.isfinite(late)]
    way = evidence.end.newton_length
    if not len(late) or way is None or not np.median(late) > 0:
        return None
    return way / float(np.median(late))


def _foreseen(evidence: Evidence) -> float | None:
    """Return the steps to go by the theory that fits: a flat bottom, a bowl, a steady speed, or what was seen."""
    if not evidence.constant_rate or evidence.is_noisy:
        return None
    # No factor per step describes a flat bottom, so the power law comes first.
    if (evidence.end.order or 2.0) > _FLAT:
        return _by_power(evidence)
    by_modes = _by_modes(evidence)
    if by_modes is not None:
        return by_modes
    if not evidence.end.is_bowl or evidence.searches_line:
        return None
    if (evidence.method.scaled or evidence.bound is None) and _is_steady(evidence):
        return steps_at_speed(evidence)
    return _by_contraction(evidence)


def _is_steady(evidence: Evidence) -> bool:
    """Whether the last half went one way at one speed, as normalised methods do until they are near."""
    late = evidence.update_norm[len(evidence.update_norm) // 2 : -1]
    return len(late) > 0 and (evidence.cosine_late or 0) > _STRAIGHT and bool(np.min(late) > 0.8 * np.max(late))


def _by_modes(evidence: Evidence) -> float | None:
    """Return the steps m until Σ (gᵢρᵢᵐ)² is the target's square, each curvature having its own factor ρᵢ."""
    modes = np.array(evidence.end.modes)
    if evidence.learning_rate is None or not len(modes) or not evidence.end.is_bowl:
        return None
    factors = evidence.method.contraction(evidence.learning_rate * modes[:, 1])
    if factors is None:
        return None
    modes, factors = modes[modes[:, 0] > 0], factors[modes[:, 0] > 0]
    excess = modes[:, 0] / evidence.target
    root = math.sqrt(len(modes))
    # The norm lies between its largest mode and √n times it, which brackets the number of steps for the bisection.
    low = max(_until(ratio, factor) for ratio, factor in zip(excess, factors, strict=True))
    high = max(_until(ratio * root, factor) for ratio, factor in zip(excess, factors, strict=True))
    while math.isfinite(high) and high - low > max(0.5, 1e-9 * high):
        middle = (low + high) / 2
        low, high = (middle, high) if np.linalg.norm(excess * factors**middle) > 1 else (low, middle)
    return high


def _by_contraction(evidence: Evidence) -> float | None:
    """Return the steps if the gradient goes on shrinking as in the last quarter."""
    if evidence.observed_contraction is None:
        return None
    return _until(evidence.gradient_norm[-1] / evidence.target, evidence.observed_contraction)


def _by_power(evidence: Evidence) -> float | None:
    """Return the steps if the gradient falls as a power of the step, as it does towards a flat bottom."""
    step, norm = evidence.step, evidence.gradient_norm
    middle, last = len(step) // 2, len(step) - 1
    if not norm[middle] > norm[last] > 0 or step[middle] < 1:
        return None
    slopes, steps = np.log(norm[[middle, last]]), np.log(step[[middle, last]])
    # On |x|ᵖ with p > 2 gradient descent shrinks the slope as a power of the step, a line in logarithms.
    power = (slopes[0] - slopes[1]) / (steps[1] - steps[0])
    return evidence.last_step * float(np.expm1((slopes[1] - np.log(evidence.target)) / power))


def _until(ratio: float, factor: float) -> float:
    """Return the steps in which something shrinks by `ratio` at a factor a step."""
    if ratio <= 1:
        return 0.0
    if factor >= 1:
        return math.inf
    return 1.0 if factor <= 0 else math.log(ratio) / -math.log(factor)
