"""The quantities that the checks share, each computed once for a trace.

Nothing here judges. What can be made free of units is: scaling the objective or the point changes none of `stability`,
`pace`, `share_left`, `condition_number`, the contractions and the steps to go.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._end_curvature import EndCurvature
from downslope.diagnosis._steps_to_go import steps_to_go
from downslope.diagnosis._surroundings import Surroundings, surroundings_of
from downslope.methods import facts_of
from downslope.trace import Outcome, Trace

# What a swing has to shrink to before it counts as gone.
_DIED_AWAY = 1e-3
_AHEAD = 0.5  # cosine between a ray and the way down: the ray leads ahead


class Evidence:
    """The quantities of a descent that the checks share.

    Args:
        trace: the trace to be judged.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        columns = trace.columns
        self.step = np.asarray(columns["step"])
        self.value = np.asarray(columns["value"], dtype=float)
        self.gradient_norm = np.asarray(columns["gradient_norm"], dtype=float)
        self.update_norm = np.asarray(columns["update_norm"], dtype=float)
        self.cosine = np.asarray(columns["cosine"], dtype=float)
        self.curvature = np.asarray(columns["curvature"], dtype=float)
        self.method = facts_of(trace.plan)
        self.settings: Mapping[str, float] = trace.plan.get("settings") or {}
        self.end = EndCurvature(trace)

    @functools.cached_property
    def around(self) -> Surroundings | None:
        """The values around the end, if they were evaluated."""
        return surroundings_of(self.trace)

    @functools.cached_property
    def falls_ahead(self) -> bool:
        """Whether the value keeps falling from the end along −∇f, so that no bottom is ahead."""
        fall = None if self.around is None else self.around.falls
        if fall is None or self.trace.gradients is None:
            return False
        gradient = self.trace.gradients[-1]
        return bool(-gradient @ fall.along > _AHEAD * np.linalg.norm(gradient))

    @property
    def last_step(self) -> int:
        """The number of steps taken."""
        return self.trace.last_step

    @property
    def failed(self) -> bool:
        """Whether the descent met something that was not a finite number."""
        return self.trace.outcome is Outcome.NOT_FINITE

    @property
    def searches_line(self) -> bool:
        """Whether the method finds the length of each step by itself."""
        return self.method.searches_line

    @property
    def is_noisy(self) -> bool:
        """Whether the method adds noise to the gradient."""
        return self.method.noisy

    @property
    def constant_rate(self) -> bool:
        """Whether the learning rate never changes."""
        return self.trace.plan.get("schedule", "constant") in (None, "constant")

    # --- the learning rate against the curvature -----------------------------------------------------------------

    @functools.cached_property
    def learning_rate(self) -> float | None:
        """The rate of the last step, or None where the method knows none."""
        return last_rate(self.trace)

    @functools.cached_property
    def bound(self) -> float | None:
        """The bound on αλ below which the method settles."""
        return None if self.learning_rate is None else self.method.bound

    @functools.cached_property
    def seen_curvature(self) -> float | None:
        """The highest curvature λ, to compare the bound with: at the end, or where a run that fails first passed it.

        Where a run explodes, the curvature at its end says nothing of why; that of the first row past the bound does.
        """
        # A run that explodes leaves the region where it went wrong: the first curvature past the bound is the cause,
        # the one at the end an effect.
        if (self.is_rising or self.failed) and len(self._past_bound):
            return float(self._past_bound[0])
        if self.method.scaled:
            # Methods that divide by a scale P are bounded by the curvature of P⁻¹H, not of H.
            return self.end.preconditioned_highest
        highest, late = self.end.highest, self.curvature[len(self.curvature) // 2 :]
        if highest is None or self.is_falling or not np.any(np.isfinite(late)):
            return highest
        # Going round without getting lower, the end may happen to lie where the ground is gentle.
        return max(highest, float(np.max(late[np.isfinite(late)])), self._crossed_curvature)

    @property
    def _crossed_curvature(self) -> float:
        """The curvature of the bottom that the last swing crossed; 0 if it is not known."""
        crossing = None if self.around is None else self.around.crossing
        return crossing.curvature if crossing is not None and crossing.kind == "smooth" else 0.0

    @functools.cached_property
    def stability(self) -> float | None:
        """α over the largest stable rate: αλ/2 for gradient descent; above 1 the error along λ grows."""
        if self.largest_stable_rate is None or self.seen_curvature is None:
            return None
        return (self.learning_rate or 0.0) * self.seen_curvature / (self.bound or math.nan)

    @functools.cached_property
    def largest_stable_rate(self) -> float | None:
        """The rate at which the error along the highest curvature stops shrinking: 2/λ_max for gradient descent."""
        curvature = self.seen_curvature
        if self.bound is None or curvature is None or not curvature > 0:
            return None
        return self.bound / curvature

    @functools.cached_property
    def best_rate(self) -> float | None:
        """The fixed rate that shrinks the slowest error the most: 2/(λ_max + λ_min) for gradient descent."""
        highest, lowest = self.end.highest, self.end.lowest_rising
        # The best rate is that of a bowl: where a higher curvature was met elsewhere, the end is not all of the ground.
        if self.bound is None or highest is None or lowest is None or self.seen_curvature != highest:
            return None
        return self.method.best_rate(lowest, highest)

    @functools.cached_property
    def pace(self) -> float | None:
        """λ‖u‖ / 2‖g‖ with λ the highest curvature met: αλ/2 for gradient descent, and means the same for every method.

        A step covers twice the pace of the way to the bottom along the steepest curvature.
        """
        with np.errstate(all="ignore"):
            lengths = self.update_norm[:-1] / self.gradient_norm[:-1]
        lengths = lengths[np.isfinite(lengths)]
        # A line search chooses each length by itself, so that its pace says nothing about a rate.
        if not len(lengths) or self.searches_line or not self.path_curvature:
            return None
        return float(median(lengths) * self.path_curvature / 2)

    @functools.cached_property
    def path_curvature(self) -> float:
        """The largest |λ| of any recorded point; 0 if none was measured."""
        looks = [λ for spectrum in self.trace.spectra for λ in (spectrum.lowest, spectrum.highest)]
        met = np.abs(np.concatenate([self.curvature, looks]))
        return float(np.max(met[np.isfinite(met)], initial=0.0))

    @functools.cached_property
    def highest_met(self) -> float:
        """The highest curvature met: at a recorded point, at the bottom of a swing, or between two late points.

        Between two points it is ‖Δg‖/‖Δx‖, which is what a step across both of them sees.
        """
        looks = [spectrum.highest for spectrum in self.trace.spectra]
        points, gradients = self.trace.coordinates, self.trace.gradients
        secants = np.zeros(0)
        if points is not None and gradients is not None and len(points) > 1:
            late = slice(len(points) // 2, None)
            lengths = np.linalg.norm(np.diff(points[late], axis=0), axis=1)
            with np.errstate(all="ignore"):
                secants = np.linalg.norm(np.diff(gradients[late], axis=0), axis=1) / lengths
        met = np.concatenate([self.curvature, looks, secants, [self._crossed_curvature]])
        return float(np.max(met[np.isfinite(met)], initial=0.0))

    # --- how the descent moved -----------------------------------------------------------------------------------

    @functools.cached_property
    def decrease(self) -> float:
        """The decrease of the value from start to end."""
        return float(self.value[0] - self.value[-1])

    @functools.cached_property
    def share_left(self) -> float:
        """The remaining decrease as a share of the whole decrease from the start; 1 if unknown."""
        left = self.end.remaining_decrease
        # Without curvature, or on ground that rises, the decrease left is unknown: then nothing counts as arrived.
        if left is None or not math.isfinite(left) or self.decrease + left <= 0:
            return 1.0
        return float(left / (max(self.decrease, 0.0) + left))

    @functools.cached_property
    def observed_contraction(self) -> float | None:
        """The factor by which the gradient's norm shrank in each step of the last quarter, as a geometric mean.

        With momentum the norm swings as it shrinks: its maximum over that quarter is compared with the one before.
        """
        quarter = max(1, len(self.step) // 4)
        # Momentum makes the norm swing: two single rows would compare two phases of the swing.
        rows = quarter if self.method.swings else 1
        before = np.max(self.gradient_norm[-quarter - rows : -quarter], initial=0.0)
        if not before > 0:
            return None
        steps = self.step[-1] - self.step[-1 - quarter]
        with np.errstate(all="ignore"):
            return float((np.max(self.gradient_norm[-rows:]) / before) ** (1 / steps))

    @functools.cached_property
    def predicted_contraction(self) -> float | None:
        """The slowest factor max|1 − αλ| over the curvatures at the end (its like for momentum and Nesterov)."""
        eigenvalues = self.end.curved_eigenvalues
        if eigenvalues is None or self.learning_rate is None or not len(eigenvalues):
            return None
        factors = self.method.contraction(self.learning_rate * eigenvalues)
        return None if factors is None else float(np.max(factors))

    @functools.cached_property
    def cosine_late(self) -> float | None:
        """The median cosine between successive updates over the last half: −1 bounces, +1 crawls."""
        late = self.cosine[len(self.cosine) // 2 :]
        late = late[np.isfinite(late)]
        return float(median(late)) if len(late) else None

    @functools.cached_property
    def is_rising(self) -> bool:
        """Whether the value's upper envelope rises at the end, to above where it began or past the stable rate.

        Envelopes, because a momentum method may climb for a while in a healthy swing.
        """
        rows = len(self.value)
        third = max(1, rows // 3)
        # A transient of momentum can rise for a while and die away: without a curvature past the bound it is no alarm.
        if rows < 2 or (not len(self._past_bound) and self.may_still_swell):
            return False
        # Noise makes single values rise; only a rise far beyond the scatter of the start counts.
        if self.is_noisy:
            return bool(self.value[-1] > self.value[0] + 10 * np.ptp(self.value[:third]))
        late, middle = self.envelope
        # Rounding alone may lift a value that stands still.
        margin = 64 * self.end.epsilon * max(abs(late), abs(middle))
        if not late > middle:
            return bool(self.value[-1] > self.value[0] + margin)
        growing = (self.observed_contraction or 0) > 1 and late > middle + margin
        return bool(late > self.value[0] + margin or (growing and self._ends_past_bound))

    @property
    def envelope(self) -> tuple[float, float]:
        """The highest values of the last third and of the one before."""
        rows, third = len(self.value), max(1, len(self.value) // 3)
        return float(np.max(self.value[-third:])), float(np.max(self.value[max(0, rows - 2 * third) : -third]))

    @property
    def jumped(self) -> bool:
        """Whether the value ended above its start without rising lately: an early step threw it there."""
        return self.is_rising and not self.is_noisy and self.envelope[0] <= self.envelope[1]

    @functools.cached_property
    def _met_curvatures(self) -> np.ndarray:
        """The highest curvature at the start, those along the way, the highest at the end; NaN where not measured."""
        if self.method.scaled:
            ends = (None, self.end.preconditioned_highest)
            along = np.zeros(0)
        else:
            ends = (self.end.start_highest, self.end.highest)
            along = self.curvature
        first, last = (math.nan if λ is None else λ for λ in ends)
        return np.concatenate([[first], along, [last]])

    @functools.cached_property
    def _past_bound(self) -> np.ndarray:
        """The curvatures met that were above what the rate can bear, in the order in which they were met."""
        if self.bound is None or self.learning_rate is None:
            return np.zeros(0)
        # The tolerance keeps a rate that equals the bound but for rounding from being past it: x² at α = 1.
        met = self._met_curvatures
        return met[np.isfinite(met) & (met * self.learning_rate > self.bound * (1 + 1e-9))]

    @property
    def _ends_past_bound(self) -> bool:
        """Whether the curvature at the end was above what the rate can bear."""
        return bool(len(self._past_bound)) and self._met_curvatures[-1] == self._past_bound[-1]

    @property
    def may_still_swell(self) -> bool:
        """Whether a transient of momentum β from the first steps, which decays by √β per step, may still be present."""
        return self.method.swings and self.method.swing_decay ** (self.last_step / 2) > _DIED_AWAY

    @functools.cached_property
    def is_falling(self) -> bool:
        """Whether the smoothed value falls over the last half, by more than a tenth of its scatter."""
        late = self.value[len(self.value) // 2 :]
        # Too few rows for means: compare both ends.
        if len(late) < 4:
            return bool(self.value[-1] < self.value[0])
        earlier, later = late[: len(late) // 2], late[len(late) // 2 :]
        return bool(np.mean(earlier) - np.mean(later) > 0.1 * np.std(later))

    @functools.cached_property
    def swing(self) -> float:
        """The change of the value in a step, to first order, ½‖g‖‖u‖, as a share of the decrease from the start."""
        late = slice(len(self.step) // 2, len(self.step) - 1)
        # A bounce across the floor changes the value by at most ‖g‖‖u‖ in a step; half of it is the usual amount.
        products = self.gradient_norm[late] * self.update_norm[late] / 2
        products = products[np.isfinite(products)]
        if not len(products):
            return 0.0
        return float(median(products)) / self.decrease if self.decrease > 0 else math.inf

    @functools.cached_property
    def straightness(self) -> float | None:
        """Displacement over path length in the last half: 1 straight ahead, 0 to and fro; None without a path."""
        coordinates = self.trace.coordinates
        if coordinates is None or len(coordinates) < 8:
            return None
        late = coordinates[len(coordinates) // 2 :]
        walked = float(np.sum(np.linalg.norm(np.diff(late, axis=0), axis=1)))
        return float(np.linalg.norm(late[-1] - late[0])) / walked if walked > 0 else None

    # --- how far it is still -------------------------------------------------------------------------------------

    @functools.cached_property
    def target(self) -> float:
        """The gradient's norm at which the descent would stop: the tolerance, or where rounding takes over."""
        tolerance = float(self.trace.plan.get("tolerance") or 0.0)
        return max(tolerance, self.end.gradient_rounding, np.finfo(float).tiny)

    @functools.cached_property
    def steps_to_go(self) -> int | None:
        """Steps until the gradient's norm falls to the target, other things being equal; None if unknown."""
        return steps_to_go(self)

    # --- for the findings ----------------------------------------------------------------------------------------

    def numbers(self, *names: str) -> dict[str, Any]:
        """Return the quantities that are known, by name, as plain numbers."""
        numbers: dict[str, Any] = {}
        for name in names:
            value = _PLAIN_NUMBERS[name](self)
            if value is not None and (isinstance(value, dict) or math.isfinite(value)):
                numbers[name] = value
        return numbers

    @property
    def all_steps(self) -> tuple[int, int]:
        """The first and the last step."""
        return int(self.step[0]), int(self.step[-1])

    @property
    def at_end(self) -> tuple[int, int]:
        """The last step, as a range."""
        return self.last_step, self.last_step


_PLAIN_NUMBERS: Mapping[str, Any] = {
    "learning_rate": lambda e: e.learning_rate,
    "largest_stable_rate": lambda e: e.largest_stable_rate,
    "best_rate": lambda e: e.best_rate,
    "predicted_contraction": lambda e: e.predicted_contraction,
    "observed_contraction": lambda e: e.observed_contraction,
    "steps_to_go": lambda e: e.steps_to_go,
    "stability": lambda e: e.stability,
    "pace": lambda e: e.pace,
    "condition_number": lambda e: e.end.condition_number,
    "lowest_eigenvalue": lambda e: e.end.lowest,
    "highest_eigenvalue": lambda e: e.end.highest,
    "gradient_norm": lambda e: float(e.gradient_norm[-1]),
    "value": lambda e: float(e.value[-1]),
    "start_value": lambda e: float(e.value[0]),
    "remaining_decrease": lambda e: e.end.remaining_decrease,
    "cosine": lambda e: e.cosine_late,
}


def last_rate(trace: Trace) -> float | None:
    """Return the learning rate of a trace's last step, else the planned one; None where the method knows none."""
    rates = np.asarray(trace.columns["learning_rate"], dtype=float)
    rates = rates[np.isfinite(rates)]
    if len(rates):
        return float(rates[-1])
    planned = trace.plan.get("learning_rate")
    return float(planned) if planned is not None and math.isfinite(planned) else None
