"""Values along rays from a point: limits, one-sided slopes, and whether two opposite rays fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from downslope._judgement import Side

_EPSILON = float(np.finfo(float).eps)
_RADII = 10.0 ** -np.arange(1, 14)  # shares of the lengths, largest first
_NEAREST = 1e4  # roundings of a coordinate below which a distance is too short to be meant
_UNBOUNDED = 1.5  # growth over the smaller half of the decades against the larger: ln 2, a convergent value below 1
_SHRINKS = 0.8  # from one decade to the next; ⁵√h shrinks to 0.63
_KINK = 0.08  # exponents of h below which a difference of slopes does not fade: |x|^1.1 is smooth, x·ln|x| is not
_FADES = 0.1  # exponents above which slopes fade to 0
_STEEP = -0.02  # exponents below which a slope grows without bound
_SPOILT = 1e3  # growth of the changes from decade to decade that only rounding explains
_SIGNAL = 30.0  # roundings that a difference must exceed to count


@dataclass(frozen=True)
class Ray:
    """Values along one ray.

    Args:
        direction: unit vector, shape (size,).
        radii: distances, descending.
        values: shape (radii,).
        rounding: of the coordinates, as a distance.
    """

    direction: np.ndarray
    radii: np.ndarray
    values: np.ndarray
    rounding: float

    @property
    def is_defined(self) -> bool:
        """Whether there are values close to the point."""
        return bool(np.all(np.isfinite(self.values[-3:])))

    def side(self, value: float) -> Side:
        """Return the trend, limit and slope along the ray; `value` is that at the point, or NaN."""
        direction = tuple(float(part) + 0.0 for part in self.direction)
        close = self.values[-3:]
        if np.all(np.isinf(close)) and np.all(close == close[0]):
            return Side(direction, "rises" if close[0] > 0 else "falls", float("nan"), float("nan"))
        if not self.is_defined:
            return Side(direction, "undefined", float("nan"), float("nan"))
        trend = self._trend()
        if trend != "finite":
            return Side(direction, trend, float("nan"), float("nan"))
        limit, spoilt = self._limit()
        if np.isfinite(value):
            return Side(direction, trend, value if self._reaches(value) else limit, self.slope(value))
        # A limit is an estimate, and what surrounds a gap has lost digits that cancel.
        clean = Ray(self.direction, self.radii[:spoilt], self.values[:spoilt], self.rounding)
        return Side(direction, trend, limit, clean.slope(limit, 1e-11 * float(np.max(np.abs(clean.values[:2])))))

    def _reaches(self, value: float) -> bool:
        """Tell whether the values tend to that at the point: the difference shrinks up to the smallest distance."""
        last, before = np.abs(self.values[-1] - value), np.abs(self.values[-2] - value)
        return bool(last <= _SHRINKS * before or last <= _SIGNAL * _EPSILON * abs(value))

    def _trend(self) -> str:
        """Return whether the values have a limit, rise without bound, or fall without bound."""
        known = self.values[np.isfinite(self.values)]
        count = len(known) // 4
        if count == 0 or not _stays(np.diff(known[-1 - 2 * count :])):
            return "finite"
        # Over decades, ln h changes at a constant pace and a pole faster; what has a limit slows down.
        later, earlier = known[-1] - known[-1 - 2 * count], known[-1 - 2 * count] - known[-1 - 3 * count]
        grows = np.sign(later) == np.sign(earlier) and abs(later) > _UNBOUNDED * abs(earlier)
        steady = abs(known[-1] - known[-2]) >= 0.5 * abs(later) / (2 * count)
        noise = _SIGNAL * _EPSILON * float(np.max(np.abs(known)))
        if not (grows and steady) or abs(earlier) <= noise:
            return "finite"
        return "rises" if later > 0 else "falls"

    def _limit(self) -> tuple[float, int]:
        """Return the limit, extrapolated from changes that shrink steadily, and the number of values that are clean."""
        values = np.where(np.isfinite(self.values), self.values, np.nan)
        changes = np.diff(values)
        if len(changes) < 2:
            return float(values[-1]), len(values)
        spread = np.abs(changes[:-1]) + np.abs(changes[1:])
        index = int(np.argmax(np.isfinite(spread)))
        for later in range(index, len(spread)):
            # Cancellation spoils the smallest distances of quotients such as (1 − cos x)/x²: stop where it sets in.
            if spread[later] > _SPOILT * spread[index]:
                break
            index = later if spread[later] <= spread[index] else index
        before, after = changes[index], changes[index + 1]
        ratio = after / before if before != 0 else 0.0
        # Aitken's rule is exact for c + a·hᵖ, whose changes shrink by the same factor from decade to decade.
        return float(values[index + 2] + (after * ratio / (1 - ratio) if 0 < ratio < 0.95 else 0.0)), index + 3

    def slope(self, value: float, doubt: float = 0.0) -> float:
        """Return the one-sided slope; infinite where it grows without bound, NaN where rounding hides it.

        Args:
            value: the value at the point.
            doubt: its error.
        """
        slopes, errors = self.slopes(value, doubt)
        usable = np.isfinite(slopes) & (np.abs(slopes) > _SIGNAL * errors)
        if not usable.any() or not np.any(slopes[-3:]):
            return 0.0 if np.all(np.isfinite(slopes[-3:])) else float("nan")
        last = np.flatnonzero(usable)[-5:]
        if len(last) >= 4 and _exponent(self.radii[last], slopes[last]) < _STEEP:
            return float(np.copysign(np.inf, slopes[last[-1]]))
        # x^(4/3) has slopes h^(1/3), which fade slowly, but to 0.
        halves = (last[:3], last[-3:])
        if len(last) >= 4 and all(_exponent(self.radii[half], slopes[half]) > _FADES for half in halves):
            return 0.0
        # The balance of the formula's error, h, and rounding, ε/h, lies near √ε.
        known = np.flatnonzero(usable)
        formula_error = self.radii[known] / self.radii[0] * np.max(np.abs(slopes[known]))
        return float(slopes[known[np.argmin(errors[known] + formula_error)]])

    def slopes(self, value: float, doubt: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the slopes (f(h) − f(0))/h at each distance, and the rounding that they may contain."""
        with np.errstate(all="ignore"):
            slopes = (self.values - value) / self.radii
            errors = (4 * _EPSILON * np.maximum(np.abs(self.values), abs(value)) + doubt) / self.radii
            errors = errors + np.abs(slopes) * self.rounding / self.radii
        return slopes, errors


def rays(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    lengths: np.ndarray,
    directions: np.ndarray,
    blur: float = 0.0,
) -> list[Ray]:
    """Return the values along rays.

    Args:
        values: the function at rows of coordinates.
        point: shape (size,).
        lengths: a length for each coordinate, shape (size,); distances are shares of them.
        directions: shape (rays, size).
        blur: the smallest distance that is looked at, as a share of the lengths.
    """
    least = max(blur, _NEAREST * _EPSILON * float(np.max(np.abs(point) / lengths, initial=0.0)))
    radii = _RADII[min(least, 1e-3) <= _RADII]
    ways = directions * lengths
    rows = point + ways[:, None, :] * radii[:, None]
    table = values(rows.reshape(-1, len(point))).reshape(len(directions), len(radii))
    stretches = np.linalg.norm(ways, axis=1)
    rounding = _EPSILON * float(np.linalg.norm(point))
    return [
        Ray(way / stretch, radii * stretch, row, rounding)
        for way, stretch, row in zip(ways, stretches, table, strict=True)
    ]


def directions_of(size: int, more: int = 3) -> np.ndarray:
    """Return unit directions in opposite pairs: the axes, and a few others; shape (2 pairs, size)."""
    ahead = np.eye(size)
    if size > 1:
        others = np.random.default_rng(0).normal(size=(more, size))
        ahead = np.concatenate([ahead, others / np.linalg.norm(others, axis=1, keepdims=True)])
    return np.stack([ahead, -ahead], axis=1).reshape(-1, size)


def joint(ahead: Ray, behind: Ray, value: float) -> str:
    """Return how two opposite rays fit together at the point: "smooth", "kink" or "cusp".

    Where a derivative exists, the two one-sided slopes add up to a number that fades with the distance h, as f″h; at a
    kink it stays, and at a cusp it grows.
    """
    first, first_error = ahead.slopes(value)
    second, second_error = behind.slopes(value)
    if ahead.slope(value) in (np.inf, -np.inf) or behind.slope(value) in (np.inf, -np.inf):
        return "cusp"
    total, error = first + second, first_error + second_error
    usable = np.flatnonzero(np.isfinite(total) & (np.abs(total) > _SIGNAL * error))[-4:]
    if len(usable) < 3:
        return "smooth"
    exponent = _exponent(ahead.radii[usable], total[usable])
    if exponent < _STEEP:
        return "cusp"
    # A kink close by is none here: at distances that do not reach it the slopes fit together.
    typical = abs(total[usable[-1]])
    closer = slice(usable[-1] + 1, None)
    if np.any((error[closer] < 0.1 * typical) & (np.abs(total[closer]) < 0.5 * typical)):
        return "smooth"
    return "kink" if exponent < _KINK and _stays(total[usable]) else "smooth"


def _stays(numbers: np.ndarray) -> bool:
    """Tell whether numbers keep their sign."""
    return bool(np.all(numbers > 0) or np.all(numbers < 0))


def _exponent(radii: np.ndarray, numbers: np.ndarray) -> float:
    """Return the exponent p of the power hᵖ that numbers follow at the smallest distances."""
    size = np.abs(numbers)
    if np.any(size == 0):
        return 1.0
    return float(np.log(size[0] / size[-1]) / np.log(radii[0] / radii[-1]))
