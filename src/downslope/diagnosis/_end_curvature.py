"""The curvature at the end of a descent, and the decrease that a quadratic of that curvature would still allow."""

from __future__ import annotations

import functools
import math

import numpy as np

from downslope._types import Columns
from downslope.trace import Spectrum, Trace

# Eigenvalues of a symmetric matrix are right to about n·ε·‖H‖; 64 leaves room for how H itself was rounded.
_EIGENVALUE_ROUNDINGS = 64
# The two ends found by Lanczos: the lower is right to about 1 % of the upper at worst, 0.1 % as a rule.
_LANCZOS_SHARE = 1e-3
# Across the Newton step s the curvature itself changes, by about its own size over the length L of the path: a negative
# eigenvalue counts only above that change, here ten times |λ|s/L.
_DRIFTS = 10.0
# A floor whose curvature is below √ε of the steepest is flat to working accuracy.
_FLAT = 1e-8
# A curvature that fell to less than a tenth of the highest met may be on its way to zero: then look at how it falls,
# over the last two decades of the slope, where the leading power has taken over.
_FADED = 0.1
_DECADES = (100.0, 10.0, 1.0)
# A power above 50 is an exponential tail; one close to 2 is a bowl that is a little rounder than a parabola.
_LEAST_EXPONENT = 0.02
_LEAST_ORDER = 7 / 3
# On |x|³, the ground is twice as curved along the way to ten times the slope; half of what theory asks for counts.
_MORE_CURVED = 1.5
_STEPS_FOR_FADING = 8.0


class EndCurvature:
    """The curvature at the end point, and what follows from it and the gradient there.

    Args:
        trace: the trace.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    @functools.cached_property
    def spectrum(self) -> Spectrum | None:
        """The curvature at the end, if it was measured and finite."""
        return _finite(self._trace.end_spectrum)

    @functools.cached_property
    def lowest(self) -> float | None:
        """The lowest eigenvalue at the end."""
        return None if self.spectrum is None else self.spectrum.lowest

    @functools.cached_property
    def highest(self) -> float | None:
        """The highest eigenvalue at the end."""
        return None if self.spectrum is None else self.spectrum.highest

    @functools.cached_property
    def start_highest(self) -> float | None:
        """The highest eigenvalue at the start."""
        spectra = self._trace.spectra
        first = _finite(spectra[0]) if spectra and spectra[0].step == 0 else None
        return None if first is None else first.highest

    @functools.cached_property
    def preconditioned_highest(self) -> float | None:
        """The highest eigenvalue of P⁻¹H at the end."""
        highest = None if self.spectrum is None else self.spectrum.preconditioned_highest
        return highest if highest is not None and math.isfinite(highest) else None

    @functools.cached_property
    def epsilon(self) -> float:
        """The rounding of the numbers that the descent was made in."""
        # The coarsest type decides: a point with one float32 part is known to float32.
        leaves = [np.asarray(leaf).dtype for leaf in self._trace.end.values()]
        return float(
            max(
                (np.finfo(kind).eps for kind in leaves if kind.kind == "f"),
                default=np.finfo(float).eps,
            )
        )

    @functools.cached_property
    def scale(self) -> float:
        """A length to hold others against: the farthest of start and end from 0 and from each other."""
        start, end = _flat(self._trace.start), _flat(self._trace.end)
        lengths = (
            np.linalg.norm(start),
            np.linalg.norm(end),
            np.linalg.norm(end - start),
        )
        return float(max(lengths))

    @functools.cached_property
    def size(self) -> float:
        """The largest |λ| at the end."""
        return 0.0 if self.spectrum is None else max(abs(self.spectrum.lowest), abs(self.spectrum.highest))

    @functools.cached_property
    def rounding(self) -> float:
        """Eigenvalues nearer to zero than this are zero as far as the numbers tell."""
        if self.spectrum is None:
            return 0.0
        count = len(_flat(self._trace.end))
        # A complete spectrum is exact to rounding; the two ends from Lanczos iterations are not.
        share = _EIGENVALUE_ROUNDINGS * self.epsilon * count if self.spectrum.complete else _LANCZOS_SHARE
        return share * self.size

    @functools.cached_property
    def gradient_rounding(self) -> float:
        """Components of the gradient below this are rounding."""
        return 8 * self.epsilon * self.size * self.scale

    @functools.cached_property
    def gradient_norm(self) -> float:
        """The gradient's norm at the end."""
        return float(self._trace.columns["gradient_norm"][-1])

    @functools.cached_property
    def modes(self) -> list[tuple[float, float]]:
        """The gradient's components at the end with their curvatures: along the two end directions, and the rest.

        The rest is given the curvature nearest to zero among those between, so that what is left to gain is rather
        overstated. Where no gradient was kept, all of it counts along the gentler end.
        """
        spectrum, gradients = self.spectrum, self._trace.gradients
        if spectrum is None:
            return []
        # Large points keep norms only: attribute the whole gradient to the gentler end, which overstates what is left.
        if gradients is None or spectrum.lowest_direction is None or spectrum.highest_direction is None:
            along = float(self._trace.columns["curvature"][-1])
            ends = [λ for λ in (spectrum.lowest, spectrum.highest) if abs(λ) > self.rounding]
            return [(self.gradient_norm, min(ends, key=abs, default=along))]
        gradient = np.asarray(gradients[-1], dtype=float)
        low = abs(float(gradient @ _flat(spectrum.lowest_direction)))
        if len(gradient) == 1:
            return [(low, spectrum.lowest)]
        high = abs(float(gradient @ _flat(spectrum.highest_direction)))
        modes = [(low, spectrum.lowest), (high, spectrum.highest)]
        # The part of the gradient outside the two end directions counts with the smallest |λ| between them, again so
        # that what is left is rather overstated.
        if len(gradient) > 2 and spectrum.complete:
            between = spectrum.eigenvalues[1:-1]
            rest = math.sqrt(max(float(gradient @ gradient) - low * low - high * high, 0.0))
            modes.append((rest, float(between[np.argmin(np.abs(between))])))
        return modes

    @functools.cached_property
    def remaining_decrease(self) -> float | None:
        """½ Σ gᵢ²/|λᵢ|: how far below (or above) the flat point lies, to second order; infinite without curvature."""
        if not self.modes:
            return 0.0 if self.spectrum is not None and self.gradient_norm == 0 else None
        return sum(self._over(component, λ) * component / 2 for component, λ in self.modes)

    @functools.cached_property
    def newton_length(self) -> float | None:
        """The length of H⁻¹g: how far away the flat point lies, to second order."""
        if not self.modes:
            return 0.0 if self.spectrum is not None and self.gradient_norm == 0 else None
        return math.hypot(*(self._over(component, λ) for component, λ in self.modes))

    def _over(self, component: float, λ: float) -> float:
        """Return gᵢ/|λᵢ|, none of it if gᵢ is rounding, infinite if only λᵢ is."""
        # A component that is rounding is no gradient. A curvature that is rounding, under a gradient that is none,
        # means that the flat point may be anywhere: infinitely far.
        if component <= self.gradient_rounding * self.epsilon or (
            component <= self.gradient_rounding and abs(λ) <= self.rounding
        ):
            return 0.0
        return math.inf if abs(λ) <= self.rounding else component / abs(λ)

    @functools.cached_property
    def zero(self) -> float:
        """Eigenvalues nearer to zero than this do not tell which way the ground curves at the flat point."""
        way = self.newton_length
        if way is None or not math.isfinite(way) or self.scale == 0:
            return self.rounding
        # The farther the flat point, the more the curvature may change until there; the cap keeps a clear negative
        # eigenvalue clear.
        return max(self.rounding, _DRIFTS * self.size * min(way / self.scale, 0.05))

    @functools.cached_property
    def flat(self) -> float:
        """Eigenvalues of a bowl below this are flat directions."""
        return max(self.rounding, min(self.zero, _FLAT * self.size))

    @property
    def curves_down(self) -> bool:
        """Whether some direction clearly curves downward."""
        return self.lowest is not None and self.lowest < -self.zero

    @property
    def curves_up(self) -> bool:
        """Whether some direction clearly curves upward."""
        return self.highest is not None and self.highest > self.zero

    @property
    def is_bowl(self) -> bool:
        """Whether no direction curves downward, and some upward."""
        return self.curves_up and not self.curves_down

    @functools.cached_property
    def curved_eigenvalues(self) -> np.ndarray | None:
        """The eigenvalues that are not zero."""
        if self.spectrum is None:
            return None
        eigenvalues = np.asarray(self.spectrum.eigenvalues, dtype=float)
        return eigenvalues[np.abs(eigenvalues) > self.flat]

    @functools.cached_property
    def lowest_rising(self) -> float | None:
        """The lowest eigenvalue above zero of a bowl, else None."""
        if not self.is_bowl or self.curved_eigenvalues is None:
            return None
        rising = self.curved_eigenvalues[self.curved_eigenvalues > 0]
        return float(rising[0]) if len(rising) else None

    @functools.cached_property
    def condition_number(self) -> float | None:
        """λ_max / λ_min of a bowl, flat directions left aside."""
        if self.lowest_rising is None or self.highest is None:
            return None
        return self.highest / self.lowest_rising

    @functools.cached_property
    def flat_directions(self) -> tuple[str, ...]:
        """The parts along which a bowl's floor is flat, empty if it is curved everywhere."""
        if self.spectrum is None or not self.is_bowl or self.spectrum.lowest > self.flat:
            return ()
        return main_parts(self.spectrum.lowest_direction)

    @functools.cached_property
    def is_level(self) -> bool:
        """Whether slope and curvature change the value by less than rounding across the point's whole scale."""
        if self.spectrum is None:
            return False
        value = abs(float(self._trace.recorded["value"][-1]))
        # Over the whole scale s, slope and curvature change the value by ‖g‖s and ‖H‖s²; below its rounding it is
        # level.
        change = max(self.size * (self.scale or 1.0) ** 2, self.gradient_norm * self.scale)
        return change <= 4 * self.epsilon * value or self.size == self.gradient_norm == 0

    @functools.cached_property
    def order(self) -> float | None:
        """The power p if the ground rises as |x|ᵖ along its flattest direction; None if the curvature has not faded.

        Along |x|ᵖ the slope g goes as x^(p−1), so that gᵗ with t = 1/(p−1) is a straight line in x: the t at which
        three rows lie on one line gives p, however far apart they are. A limit at infinity, as of exp(x), has t = 0.
        """
        rows = self._flattest_rows()
        if rows is None:
            return None
        slope, position = rows
        gaps = np.diff(position)
        if not np.all(gaps) or gaps[0] * gaps[1] < 0:
            return None

        def bend(t: float) -> float:
            """Return how much steeper the line through the first two rows is than that through the last two."""
            first, second = np.diff((slope / slope[-1]) ** t) / np.abs(gaps)
            return float(second - first)

        low, high = _LEAST_EXPONENT, 1.0
        if not bend(high) > 0:
            return None
        if bend(low) >= 0:
            return math.inf
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if bend(middle) > 0 else (middle, high)
        order = 1 + 1 / high
        return order if order > _LEAST_ORDER else None

    @functools.cached_property
    def has_faded(self) -> bool:
        """Whether the ground was more curved one decade of the slope ago than in any direction at the end.

        On a quadratic, the secant curvature Δg·Δx/‖Δx‖² lies between the lowest and the highest eigenvalue. Where it
        exceeds the highest, curvature fades toward the flat point, as on x³ + y³, and does not show what lies beyond.
        Over k Newton steps, the secant curvature of |x|ᵖ is at least k/4 times that at the end, and that of a bowl does
        not grow with k, which is a million before the last step of a superlinear method.
        """
        trace, way = self._trace, self.newton_length
        if trace.gradients is None or trace.coordinates is None or not way or self.highest is None:
            return False
        earlier = np.flatnonzero(np.linalg.norm(trace.gradients, axis=1) >= _DECADES[1] * self.gradient_norm)
        if not len(earlier) or not self.gradient_norm > self.gradient_rounding:
            return False
        row = int(earlier[-1])
        moved = trace.coordinates[row] - trace.coordinates[-1]
        squared = float(moved @ moved)
        if not (math.isfinite(way) and 0 < squared < math.inf):
            return False
        secant = float((trace.gradients[row] - trace.gradients[-1]) @ moved) / squared
        return secant > max(_MORE_CURVED, math.sqrt(squared) / way / _STEPS_FOR_FADING) * self.highest

    def _flattest_rows(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return slope and position along the flattest direction, for slopes of 100, 10 and 1 times that of the end."""
        trace, spectrum = self._trace, self.spectrum
        if spectrum is None or spectrum.lowest_direction is None:
            return None
        if trace.gradients is None or trace.coordinates is None:
            return None
        path = max([abs(s.highest) for s in trace.spectra if math.isfinite(s.highest)], default=0.0)
        if not self.rounding < spectrum.lowest < _FADED * path:
            return None
        direction = _flat(spectrum.lowest_direction)
        slopes = trace.gradients @ direction
        slopes = slopes * np.copysign(1.0, slopes[-1])
        if not slopes[-1] > self.gradient_rounding * self.epsilon:
            return None
        matches = [np.flatnonzero(slopes >= decade * slopes[-1]) for decade in _DECADES]
        if not all(len(rows) for rows in matches):
            return None
        rows = [int(rows[-1]) for rows in matches]
        if len(set(rows)) < 3:
            return None
        moves = np.diff(trace.coordinates[rows], axis=0)
        # Rows that moved mostly across the flattest direction say nothing about it.
        along = np.abs(moves @ direction) >= np.linalg.norm(moves, axis=1) / 2
        return (slopes[rows], trace.coordinates[rows] @ direction) if np.all(along) else None


def main_parts(direction: Columns | None) -> tuple[str, ...]:
    """Return the parts that a unit direction mainly points along: those with a tenth of its square, largest first.

    None for a direction that was not kept gives no parts.
    """
    if direction is None:
        return ()
    shares = {name: float(np.sum(np.square(leaf))) for name, leaf in direction.items()}
    return tuple(
        sorted(
            (name for name, share in shares.items() if share > 0.1),
            key=lambda name: -shares[name],
        )
    )


def _finite(spectrum: Spectrum | None) -> Spectrum | None:
    """Return the spectrum if all of it is finite."""
    if spectrum is None or not np.all(np.isfinite(spectrum.eigenvalues)):
        return None
    return spectrum


def _flat(parts: Columns) -> np.ndarray:
    """Return arrays by part as one row of numbers."""
    return np.concatenate([np.ravel(np.asarray(leaf, dtype=float)) for leaf in parts.values()] or [np.zeros(0)])
