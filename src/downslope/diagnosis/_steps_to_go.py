"""The number of steps that a descent still needs, by the theory that fits it.

Two estimates are made: by theory, and by how the gradient shrank over the last decade of its size. Where the ground is
known to be a bowl of one curvature the theory is exact; elsewhere a number is returned only if both agree.

    bowl                  r = −d ln‖g‖/dk is constant: ln(‖g‖/target)/r steps
    |x|ᵖ, 1/xᵖ, e^(−x)    r ∝ ‖g‖^q with q = (p−2)/(p−1), (p+2)/(p+1), 1: ((‖g‖/target)^q − 1)/(q r) steps
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from downslope._numbers import median

if TYPE_CHECKING:
    from downslope.diagnosis._evidence import Evidence

# Steps within 26° of one direction: a normalised method on its way, at a steady speed.
_STRAIGHT = 0.9
_LONG = 1e18  # more steps to go than this are as good as endless
_AGREE = 2.0  # factor within which two estimates must lie
_DECADE = 10.0  # of the gradient's norm or of the step: the rows that are fitted
_FEW = 8  # rows, fewer of which show no law
_GEOMETRIC = 0.02  # a smaller exponent q is none
_CLEAR = 1e-6  # of the gradient: a smaller change from row to row is rounding
_SAME_CURVATURE = 1e-6


def steps_to_go(evidence: Evidence) -> int | None:
    """Return the steps until the gradient's norm falls to the target; None if they cannot be estimated."""
    if evidence.gradient_norm[-1] <= evidence.target:
        return 0
    steps = _foreseen(evidence)
    return math.ceil(steps) if steps is not None and 0 <= steps < _LONG else None


def steps_at_speed(evidence: Evidence) -> float | None:
    """Return the steps to the bottom of the bowl at the length of the last steps."""
    late = evidence.update_norm[len(evidence.update_norm) // 2 :]
    late = late[np.isfinite(late)]
    way = evidence.end.newton_length
    if not len(late) or way is None or not median(late) > 0:
        return None
    return way / float(median(late))


def is_quadratic(evidence: Evidence) -> bool:
    """Tell whether the curvature is the same at both ends and within its range between them, as that of a quadratic."""
    spectra = [spectrum for spectrum in evidence.trace.spectra if np.all(np.isfinite(spectrum.eigenvalues))]
    if not spectra or any(len(s.eigenvalues) != len(spectra[0].eigenvalues) for s in spectra):
        return False
    size = max(abs(spectra[0].lowest), abs(spectra[0].highest))
    ends = all(np.allclose(s.eigenvalues, spectra[0].eigenvalues, rtol=0, atol=_SAME_CURVATURE * size) for s in spectra)
    met = evidence.curvature[np.isfinite(evidence.curvature)]
    margin = _SAME_CURVATURE * size
    within = np.all((met >= spectra[0].lowest - margin) & (met <= spectra[0].highest + margin))
    return bool(size > 0 and ends and within and (len(spectra) > 1 or len(met) > 1))


def _foreseen(evidence: Evidence) -> float | None:
    """Return the remaining steps if theory and observation agree, or theory is exact; else None."""
    if not evidence.constant_rate or evidence.is_noisy or evidence.searches_line:
        return None
    by_modes = _by_modes(evidence)
    if by_modes is not None and is_quadratic(evidence):
        return by_modes
    if (evidence.method.scaled or evidence.bound is None) and evidence.end.is_bowl and _is_steady(evidence):
        steps = None if evidence.falls_ahead else steps_at_speed(evidence)
        # A step as long as the way that is left jumps over the bottom: it is not the last one.
        return None if steps is None or steps < 1 else steps
    observed = _by_decay(evidence)
    if observed is None:
        return None if evidence.trace.gradients is not None else by_modes
    theory = _by_curvature(evidence)
    if theory is None:
        theory = by_modes if by_modes is not None else _by_contraction(evidence)
    return observed if theory is not None and _agree(observed, theory) else None


def _agree(first: float, second: float) -> bool:
    """Tell whether two numbers of steps are the same within a factor of 2."""
    return max(first, second) <= _AGREE * min(first, second) + 2


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
    """Return the steps if the gradient keeps shrinking as in the last quarter."""
    if evidence.observed_contraction is None:
        return None
    return _until(evidence.gradient_norm[-1] / evidence.target, evidence.observed_contraction)


def _by_decay(evidence: Evidence) -> float | None:
    """Return the steps if the gradient keeps shrinking by the law of its last decade, r ∝ ‖g‖^q."""
    rows = _late_rows(evidence)
    if len(rows) < _FEW:
        return None
    norm, step = evidence.gradient_norm[rows], evidence.step[rows]
    with np.errstate(all="ignore"):
        pace = -np.diff(np.log(norm)) / np.diff(step)
    return _by_law(evidence, np.sqrt(norm[1:] * norm[:-1]), pace)


def _by_curvature(evidence: Evidence) -> float | None:
    """Return the steps if the curvature along the gradient keeps following its size, with r = −ln ρ(αλ)."""
    rows = _late_rows(evidence)
    if len(rows) < _FEW or evidence.method.scaled or evidence.learning_rate is None:
        return None
    factors = evidence.method.contraction(evidence.learning_rate * evidence.curvature[rows])
    if factors is None:
        return None
    with np.errstate(all="ignore"):
        pace = -np.log(np.abs(factors))
    return _by_law(evidence, evidence.gradient_norm[rows], pace)


def _by_law(evidence: Evidence, norm: np.ndarray, pace: np.ndarray) -> float | None:
    """Return the steps by r ∝ ‖g‖^q, from norms and r at each; None if both halves of the rows disagree on it.

    Along it dk = −d‖g‖/(r‖g‖), so that k = ((‖g‖/target)^q − 1)/(q r).
    """
    known = np.isfinite(pace) & np.isfinite(norm) & (norm > 0)
    norm, pace = norm[known], pace[known]
    if len(norm) < _FEW or not np.all(pace > 0):
        return None
    logs = np.log(norm), np.log(pace)
    half = len(norm) // 2
    laws = [_line(logs[0][rows], logs[1][rows]) for rows in (slice(None), slice(half, None))]
    steps = [_steps_by_law(evidence, *law) for law in laws if law is not None]
    if len(steps) < 2 or not all(math.isfinite(count) for count in steps) or not _agree(*steps):
        return None
    return steps[-1]


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Return slope and intercept of a line through points; a slope of 0 where x hardly changes or y does not follow."""
    spread = float(np.ptp(x))
    if spread < _CLEAR:
        return 0.0, float(median(y))
    slope = float(np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2))
    if abs(slope) < _GEOMETRIC:
        return 0.0, float(median(y))
    if slope < 0:
        # A pace that rises as the slope falls levels off at the bottom's curvature: the last one is the nearest to it.
        return 0.0, float(y[-1])
    return slope, float(y.mean() - slope * x.mean())


def _steps_by_law(evidence: Evidence, power: float, level: float) -> float:
    """Return the steps by r = e^level · ‖g‖^power from the end to the target."""
    last, target = math.log(evidence.gradient_norm[-1]), math.log(evidence.target)
    pace = level + power * last  # the logarithm of r at the end
    grown = power * (last - target)
    with np.errstate(all="ignore"):
        slowness = float(np.exp(-pace))
        return (last - target) * slowness if power == 0 else float(np.expm1(grown)) / power * slowness


def _late_rows(evidence: Evidence) -> np.ndarray:
    """Return the rows of the last decade: in which the gradient fell tenfold, or the step grew tenfold."""
    norm, step = evidence.gradient_norm, evidence.step
    above = np.flatnonzero(norm > _DECADE * norm[-1])
    first = int(above[-1]) + 1 if len(above) else 0
    return np.arange(max(first, int(np.searchsorted(step, step[-1] / _DECADE))), len(norm))


def _until(ratio: float, factor: float) -> float:
    """Return the steps in which something shrinks by `ratio` at a factor a step."""
    if ratio <= 1:
        return 0.0
    if factor >= 1:
        return math.inf
    return 1.0 if factor <= 0 else math.log(ratio) / -math.log(factor)
