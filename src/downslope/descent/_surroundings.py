"""The behaviour of the objective around the end of a descent, from its values alone.

A path tells little of the ground beside it: a saddle entered along its stable axis, a tail that fades for ever and a
bottom look alike. A formula costs microseconds, so its values are looked at along rays from the end, across the last
swing, and where a step failed. The result is plain data in the trace, so that a diagnosis reads traces only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from downslope._judge import judge
from downslope._looks import value_noise
from downslope._types import Plain
from downslope.descent._objective import Objective
from downslope.descent._plan import Plan
from downslope.trace import Outcome, Trace

Values = Callable[[np.ndarray], np.ndarray]

_MOST_WORK = 2_000_000  # values of a table's rows that a look may cost
_NEAR, _FAR = -8, 12  # powers of ten of the point's scale: nearest and farthest look
_PER_DECADE = 8
# The bottom of |x|ᵖ lies p − 1 Newton lengths away: beyond 8 of them every bottom of order up to 8 has turned up.
_REACHES = (8.0, 32.0)
_LEVELS, _CELLS = 7, 64  # of a zoom: each level is 32 times as fine as the one before
_LASTING = 0.9  # of a decrease that must stay from level to level or from decade to decade, for it to be endless
_ORDERS = ((1e-3, 1e-5), (1e-2, 1e-4), (1e-1, 1e-2))  # of the swing: distances that tell the order of a bottom
_FLAT = 1e-13  # of the largest curvature: a smaller one is none
# Of the decrease that slope and curvature leave: a smaller fall proves nothing. Every tail falls by twice that.
_OF_REST = 1.5
_SHORTEST = 1e-9  # of the scale: between points that are closer rounding decides
_PLAIN = 1e-9  # of the path's length, within which the flat point of a plain minimum lies
_RUNAWAY = 1e6  # times the size of the start: a descent that ends farther away has run away
_ROUND = 9  # digits of the scale to which a place is rounded
_CLEAR = 1e-6  # of a value: a smaller change is no growth
_DECIDED = 1e-7  # of the highest curvature: a lowest one above it decides the kind
_FADED = 1e-3  # of the lowest curvature at the start: one below it may be on its way to 0 or below
_FAR_OFF = 0.1  # of the scale: a flat point farther away than this is not the one that the descent came to
_KINKED = 1.15  # |x|ᵖ with a smaller p has no derivative there, whatever the gradient close by
_SHARP = 1.8  # |x|ᵖ with a smaller p has no finite curvature at its bottom
_BEYOND = 0.09  # of a swing, on both sides of it
_BLOCKED = 0.1  # of the decrease that the slope promises


def surroundings(plan: Plan, trace: Trace) -> Plain:
    """Return how the objective behaves around the end of a descent; empty if it cannot be evaluated cheaply.

    `scale`: the length that distances are held against. `falls`: the ray along which the value falls on, if any, by
    how much, and whether it does so both ways. `rises`: whether the value rises along some ray. `edge`: whether the
    domain ends on some ray. `endless`: the ray along which the value falls without end. `judged`: the kind of the end
    by the judge of points. `crossing`: what lies between two points of the path. `blocked`: whether the slope promises
    a decrease that the values do not keep. `failure`: what is where a step failed.
    """
    values = _values_of(plan.objective, trace)
    if values is None or trace.coordinates is None or trace.gradients is None or not len(trace):
        return {}
    with np.errstate(all="ignore"):
        if _is_plain_minimum(trace):
            return {}
        look = _Look(values, plan, trace)
        if not np.all(np.isfinite(look.end)) or not math.isfinite(look.value):
            return {}
        return {
            "scale": look.scale,
            **look.along_rays(),
            "judged": look.judged(),
            "crossing": look.crossing(),
            "blocked": look.is_blocked(),
            "failure": look.failure(),
        }


def values_at(objective: Objective) -> Values | None:
    """Return the values of a formula at rows of coordinates, by NumPy; None for other objectives."""
    if objective.formula is None or objective.names is None or objective.precision != "float64":
        return None
    names = objective.names
    return lambda rows: objective.values(dict(zip(names, rows.T, strict=True)))


def _values_of(objective: Objective, trace: Trace) -> Values | None:
    """Return the function of values of an objective; None if evaluating it is expensive."""
    rows = max((np.size(column) for column in objective.data.values()), default=0)
    looks = 4 * (len(trace.coordinate_names) + 4) * _PER_DECADE * (_FAR - _NEAR)
    return values_at(objective) if rows * looks <= _MOST_WORK else None


def _is_plain_minimum(trace: Trace) -> bool:
    """Tell whether gradient and curvature alone prove a minimum, as at the end of most descents that converge.

    All directions curve up as much as at the start, and the flat point lies within a billionth of the path's length.
    """
    if trace.outcome is not Outcome.CONVERGED or len(trace.spectra) < 2 or trace.end_spectrum is None:
        return False
    assert trace.coordinates is not None
    first, last = trace.spectra[0], trace.spectra[-1]
    length = float(np.linalg.norm(trace.coordinates[-1] - trace.coordinates[0]))
    curves = last.lowest > _DECIDED * max(abs(first.highest), abs(first.lowest), last.highest)
    if last.lowest <= _FADED * abs(first.lowest) or trace.columns["value"][-1] > trace.columns["value"][0]:
        return False
    slope = float(trace.columns["gradient_norm"][-1])
    return bool(curves and slope <= _PLAIN * length * last.lowest)


class _Look:
    """The end of a descent, and the objective around it.

    Args:
        values: the objective at rows of coordinates.
        plan: the plan of the descent.
        trace: its trace.
    """

    def __init__(self, values: Values, plan: Plan, trace: Trace) -> None:
        assert trace.coordinates is not None
        assert trace.gradients is not None
        self._values, self._plan, self._trace = values, plan, trace
        self._points, self._gradients = trace.coordinates, trace.gradients
        self.end, self._gradient = self._points[-1], self._gradients[-1]
        self.value = float(trace.columns["value"][-1])
        start = self._points[0]
        self._start_scale = _length(start) or 1.0
        self.scale = max(_length(row) for row in (start, self.end, self.end - start)) or 1.0
        lengths = np.max(np.abs([start, self.end, self.end - start]), axis=0)
        lengths = np.where(lengths > 0, lengths, self._start_scale)
        self._noises = value_noise(values, self.end, self.value, self._gradient, lengths, self.scale)
        self._noise = float(np.max(self._noises))

    def _noise_along(self, ray: np.ndarray) -> float:
        """Return how far rounding moves the value along a ray."""
        return float(np.max(self._noises[ray != 0]))

    # --- along rays ----------------------------------------------------------------------------------------------

    def along_rays(self) -> Plain:
        """Return the rays from the end along which the value keeps falling, rises, or falls without end."""
        reach, rest = self._reach(), self._rest()
        distances = self.scale * 10.0 ** np.arange(_NEAR, _FAR, 1 / _PER_DECADE)
        nearby = distances[(distances > reach[-1]) & (distances <= 1e3 * self.scale)]
        near, far = np.concatenate([reach, nearby]), distances[distances >= 1e-3 * self.scale]
        rays = self._rays()
        falls: list[tuple[float, float, np.ndarray]] = []
        rises, edge, endless = False, False, None
        rows = self.end + (near[:, None] * rays[:, None, :]).reshape(-1, len(self.end))
        for ray, changes in zip(rays, self._values(rows).reshape(len(rays), -1) - self.value, strict=True):
            noise = self._noise_along(ray)
            first = _first(changes, noise)
            if first is None:
                edge |= bool(np.any(np.isnan(changes[near <= self.scale])))
                continue
            rises |= bool(changes[first] > 0)
            after = changes[min(max(first + 1, len(reach) - 1), len(changes) - 1)]
            if changes[first] < 0 and not after >= 0 and self._falls_at_once(changes[first], near[first], ray):
                last = _last_fall(changes, first, int(np.searchsorted(near, max(reach[-1], self.scale), "right")))
                # Along a floor the rounding of the coordinates moves the value, by less than is left to the bottom.
                if not -changes[last] > _OF_REST * rest:
                    continue
                falls.append((float(changes[last]), float(near[last]), ray))
                endless = endless or self._endless(self.end, self.value, far, ray)
        if self.scale > _RUNAWAY * self._start_scale:
            endless = self._endless_from_start() or endless
        described = [self._fall(*fall, falls) for fall in falls]
        nearest = min(described, key=lambda fall: (not fall["both_ways"], fall["distance"]), default=None)
        if reach[0] > _REACHES[0] * _FAR_OFF * self.scale:
            # No flat point is near: that the value falls both ways across the slope makes it no saddle.
            down = -self._gradient / _length(self._gradient)
            nearest = next((fall for fall in described if np.allclose(fall["along"], down, atol=1e-6)), nearest)
        return {"falls": nearest, "rises": rises, "edge": edge, "endless": endless}

    def _reach(self) -> np.ndarray:
        """Return the distances at which a look begins: past the bottom that slope and curvature promise."""
        curvature = self._gentlest()
        way = _length(self._gradient) / curvature if curvature > 0 else 0.0
        nearest = 10.0**_NEAR * self.scale
        return np.array([max(factor * way, nearest) for factor in _REACHES])

    def _rest(self) -> float:
        """Return Σ gᵢ²/2|λᵢ| over the directions that curve: the decrease that a bowl would still allow."""
        spectrum, gradient = self._trace.end_spectrum, self._gradient
        curved = self._gentlest()
        if curved == 0 or spectrum is None or spectrum.lowest_direction is None or spectrum.highest_direction is None:
            return 0.0
        rest, left = 0.0, gradient
        ways = {spectrum.highest: spectrum.highest_direction, spectrum.lowest: spectrum.lowest_direction}
        for curvature, direction in ways.items():
            way = np.concatenate([np.ravel(leaf) for leaf in direction.values()])
            along = float(gradient @ way)
            left = left - along * way
            rest += along * along / (2 * abs(curvature)) if abs(curvature) >= curved else 0.0
        more = _length(left)
        return rest + more * (more / (2 * curved)) if len(gradient) > 2 else rest

    def _gentlest(self) -> float:
        """Return the smallest |λ| at the end that is not zero beside the largest; 0 if there is none."""
        spectrum = self._trace.end_spectrum
        if spectrum is None or not np.all(np.isfinite(spectrum.eigenvalues)):
            return 0.0
        sizes = np.abs(np.asarray(spectrum.eigenvalues, dtype=float))
        curved = sizes[sizes > _FLAT * np.max(sizes)]
        return float(np.min(curved)) if len(curved) else 0.0

    def _rays(self) -> np.ndarray:
        """Return unit directions: both ways along the path, the slope, the extreme curvatures and the axes."""
        rows = [self._points[-1] - self._points[0], -self._gradient]
        if len(self._points) > 1:
            rows.append(self._points[-1] - self._points[-2])
        spectrum = self._trace.end_spectrum
        if spectrum is not None and spectrum.lowest_direction is not None and spectrum.highest_direction is not None:
            for direction in (spectrum.lowest_direction, spectrum.highest_direction):
                rows.append(np.concatenate([np.ravel(leaf) for leaf in direction.values()]))
        units = [row / _length(row) for row in (*rows, *np.eye(len(self.end)))]
        known = np.array([unit for unit in units if np.all(np.isfinite(unit))])
        # The axes first: a path that runs along one but for rounding leaves it far out.
        size = len(self.end)
        both = np.concatenate([known[-size:], -known[-size:], known[:-size], -known[:-size]])
        _, first = np.unique(np.round(both, 9), axis=0, return_index=True)
        return both[np.sort(first)]

    def _endless_from_start(self) -> Plain | None:
        """Return where the ray from the start to an end far away leads, if the value falls along it without end."""
        way = self.end - self._points[0]
        distances = self._start_scale * 10.0 ** np.arange(0, _FAR, 1 / _PER_DECADE)
        first = float(self._trace.columns["value"][0])
        return self._endless(self._points[0], first, distances, way / _length(way))

    def _endless(self, origin: np.ndarray, value: float, distances: np.ndarray, ray: np.ndarray) -> Plain | None:
        """Return the far end of a ray along which the value falls without end; None if it does not."""
        values = self._values(origin + distances[:, None] * ray)
        known = np.flatnonzero(~np.isfinite(values))
        stop = int(known[0]) if len(known) else len(values)
        overflows = stop < len(values) and values[stop] == -math.inf
        if stop < 2 * _PER_DECADE or (stop < len(values) and not overflows):
            return None
        steps = -np.diff(np.concatenate([[value], values[:stop]]))
        # A value that tends to a bound loses a fixed share less in every decade; rounding ends what it loses at 0.
        if not np.all(steps >= 0) or not _lasts(-np.diff(values[:stop:_PER_DECADE])):
            return None
        return {"along": _listed(ray), "distance": float(distances[stop - 1]), "value": float(values[stop - 1])}

    def _fall(self, change: float, distance: float, ray: np.ndarray, falls: list[Any]) -> Plain:
        """Return a ray along which the value falls on as plain data."""
        both = any(np.allclose(other, -ray, atol=1e-6) for _, _, other in falls)
        return {"along": _listed(ray), "distance": distance, "change": change, "both_ways": both}

    def _falls_at_once(self, change: float, distance: float, ray: np.ndarray) -> bool:
        """Tell whether no hill lies between the end and a fall: a tail falls on the other side of its hill as well."""
        shares = np.linspace(0, 1, _CELLS + 1)[1:]
        highest = float(np.nanmax(self._values(self.end + distance * shares[:, None] * ray))) - self.value
        return highest <= max(abs(change), self._noise)

    # --- at the end itself ---------------------------------------------------------------------------------------

    def judged(self) -> str:
        """Return the kind of the end by the judge of points; "" where the curvature decides, or the end does not rest.

        Straight rays miss a way out that is bent, as the parabola between the two of (x² − y)(x² − 3y).
        """
        spectrum, objective = self._trace.end_spectrum, self._plan.objective
        if spectrum is None or objective.formula is None or objective.data:
            return ""
        start = abs(self._trace.spectra[0].lowest) if self._trace.spectra else 0.0
        decided = max(_DECIDED * abs(spectrum.highest), _FADED * start if start < math.inf else 0.0)
        if not np.all(np.isfinite(spectrum.eigenvalues)) or spectrum.lowest > decided:
            return ""
        from downslope.formulas import surface  # whose folder few descents need

        ground, size = surface(objective.formula, is_smooth=False), len(self.end)
        if self._trace.outcome not in (Outcome.CONVERGED, Outcome.STALLED) and np.any(self._gradient):
            assert ground.hessian is not None
            hessian = ground.hessian(self.end)
            known = bool(np.all(np.isfinite([*hessian, self._gradient])))
            if not known or _length(np.linalg.lstsq(hessian, self._gradient, rcond=1e-15)[0]) > _CLEAR * self.scale:
                return ""
        # Near a flat point, not at it, curvatures of either sign may be left: judge the rounder point if it is flatter.
        snapped = self._snapped(self.end)
        flatter = _length(ground.gradients(snapped[None])[0]) <= _length(self._gradient)
        missed = 0.0 if flatter else float(self._reach()[0]) / _REACHES[0] / self.scale
        judgement = judge(
            ground,
            snapped if flatter else self.end,
            lengths=np.full(size, self.scale),
            blur=missed,
            at_rest=True,
        )
        return judgement.kind

    # --- between two points of the path --------------------------------------------------------------------------

    def crossing(self) -> Plain | None:
        """Return what lies between two points of the path where the slope changed sign or a pole was crossed.

        `kind` is "pole", "sharp" for a kink or a cusp, or "smooth"; `order` is the power of the distance by which the
        value rises. None for nothing of the kind.
        """
        if not np.any(self._gradient) or self._trace.outcome is Outcome.CONVERGED:
            sharpest = _SHARP if not np.any(self._gradient) else _KINKED
            for axis in np.eye(len(self.end)):
                bottom = self._bottom(self.end, axis * self.scale)
                if bottom is not None and bottom["order"] < sharpest:
                    return {**bottom, "row": len(self._points) - 1}
        for first, last, row in self._segments():
            between = self._between(first, last)
            if between is not None:
                return {**between, "row": row}
        return None

    def _segments(self) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """Yield segments to examine, each with its first row: jumps upward, the failed step, the last swing."""
        points, gradients, values = self._points, self._gradients, self._trace.columns["value"]
        if self._trace.outcome is Outcome.STALLED and (ahead := self._ahead()) is not None:
            yield self.end, ahead, len(points) - 1
        if len(points) > 1:
            updates = np.diff(points, axis=0)
            leaving = np.sum(gradients[:-1] * updates, axis=1)
            reaching = np.sum(gradients[1:] * updates, axis=1)
            jumps = np.flatnonzero((leaving < 0) & (reaching < 0) & (values[1:] > values[:-1]))
            for row in jumps[:2]:
                yield points[row], points[row + 1], int(row)
        failed = self._failed_point()
        if failed is not None:
            yield self.end, failed, len(points) - 1
        if len(points) > 1 and self._trace.outcome is not Outcome.CONVERGED:
            long = np.max(np.abs(updates), axis=1) > _SHORTEST * self.scale
            swings = np.flatnonzero((leaving < 0) & (reaching > 0) & long)
            for row in swings[-2:][::-1]:
                yield points[row], points[row + 1], int(row)
        if self.is_blocked():
            way = self._gradient / _length(self._gradient) * 1e-4 * self.scale
            yield self.end + way, self.end - way, len(points) - 1

    def _ahead(self) -> np.ndarray | None:
        """Return a point beyond a cusp or a pole ahead: those of |x|ᵖ and 1/|x|ᵖ lie 1 − p and 1 + p times g/λ away."""
        slope, curvature = _length(self._gradient), float(self._trace.columns["curvature"][-1])
        return self.end + 16.0 * self._gradient / curvature if slope > 0 > curvature else None

    def _between(self, first: np.ndarray, last: np.ndarray) -> Plain | None:
        """Return what lies between two points: a pole, or the lowest point with its order; None if it is neither."""
        length = _length(last - first)
        if not _SHORTEST * max(_length(first), _length(last)) < length < math.inf:
            return None
        way = last - first
        for pick in (np.nanargmin, np.nanargmax):
            extreme = self._snapped(first + self._zoomed(first, last, pick) * way)
            height = self._pole(extreme, way)
            if height is not None:
                return {"kind": "pole", "point": _listed(extreme), "value": height}
        # A step may have landed on the tip itself: look beyond both of its ends.
        first, last = first - _BEYOND * way, last + _BEYOND * way
        share = self._zoomed(first, last, np.nanargmin)
        bottom = self._snapped(first + share * (last - first))
        return self._bottom(bottom, way) if 0 < share < 1 else None

    def _pole(self, point: np.ndarray, way: np.ndarray) -> float | None:
        """Return the value at the nearest look if it goes to infinity on a side of a point; else None."""
        shares = 10.0 ** -np.arange(2.0, 9.0)
        looks = [self._values(point + shares[:, None] * side) for side in (way, -way)]
        for values, beyond in (looks, looks[::-1]):
            gains = np.diff(values) if values[-1] > values[0] else -np.diff(values)
            grows = abs(values[-1]) > abs(values[0]) or abs(values[-1] - values[0]) > abs(values[0])
            grows &= not np.all(np.isinf(beyond))  # as they are where numbers overflow
            if np.all(np.isfinite(values)) and grows and _lasts(gains) and gains[-1] > _CLEAR * abs(values[-1]):
                return float(values[-1])
        return None

    def _bottom(self, bottom: np.ndarray, way: np.ndarray) -> Plain | None:
        """Return the kind of the bottom on a segment; None if rounding hides it."""
        value, length = float(self._values(bottom[None])[0]), _length(way)
        for wide, narrow in _ORDERS:
            rises = [self._rise(bottom, way, size, value) for size in (wide, narrow)]
            if all(rise > 100 * self._noise and math.isfinite(rise) for rise in rises):
                order = math.log(rises[0] / rises[1]) / math.log(wide / narrow)
                return {
                    "kind": "sharp" if order < _SHARP else "smooth",
                    "point": _listed(bottom),
                    "value": value,
                    "order": order,
                    "slope": rises[1] / (2 * narrow * length),
                    "curvature": rises[1] / (narrow * length * narrow * length),
                }
        return None

    def _snapped(self, point: np.ndarray) -> np.ndarray:
        """Return a point at rounder coordinates, unless the value there differs by more than rounding and is higher."""
        digits = _ROUND - math.ceil(math.log10(self.scale))
        if not -300 < digits < 300:
            return point
        snapped = np.round(point, digits) + 0.0
        values = self._values(np.array([point, snapped]))
        return point if math.isfinite(values[1]) and values[1] > values[0] + self._noise else snapped

    def _rise(self, bottom: np.ndarray, way: np.ndarray, share: float, lowest: float) -> float:
        """Return by how much the value rises on both sides of a bottom together."""
        return float(np.sum(self._values(np.array([bottom - share * way, bottom + share * way])))) - 2 * lowest

    def _zoomed(self, first: np.ndarray, last: np.ndarray, pick: Any) -> float:
        """Return the position of an extreme value on a segment, as a share of its length."""
        low, high, share = 0.0, 1.0, 0.5
        for _ in range(_LEVELS):
            shares = np.linspace(low, high, _CELLS + 1)
            values = self._values(first + shares[:, None] * (last - first))
            if np.all(np.isnan(values)):
                break
            index = int(pick(values))
            share = float(shares[index])
            low, high = float(shares[max(index - 1, 0)]), float(shares[min(index + 1, _CELLS)])
        return share

    # --- where a step failed -------------------------------------------------------------------------------------

    def is_blocked(self) -> bool:
        """Tell whether the value rises along −∇f at every distance, though the slope says that it falls."""
        slope, curvature = _length(self._gradient), abs(float(self._trace.columns["curvature"][-1]))
        # Beyond the bottom of a bowl the value rises without any kink.
        bottom = slope / curvature if curvature > 0 else math.inf
        distances = min(self.scale, bottom) * 10.0 ** np.arange(-8.0, -5.0)
        if not slope * distances[0] > 10 * self._noise or not distances[0] > 1e-15 * self.scale:
            return False
        changes = self._values(self.end - distances[:, None] * self._gradient / slope) - self.value
        return bool(np.all(changes > -_BLOCKED * slope * distances))

    def failure(self) -> Plain | None:
        """Return a description of the point where a step of gradient descent failed, or None.

        `kind` is "outside" (no value), "infinite" (the value is), or "no slope" (a value, but no gradient), and then
        `lowest` says whether the value rises all around.
        """
        point = self._failed_point()
        if point is None:
            return None
        value = float(self._values(point[None])[0])
        if not math.isfinite(value):
            return {"kind": "outside" if math.isnan(value) else "infinite", "point": _listed(point)}
        ways = np.concatenate([np.eye(len(point)), -np.eye(len(point)), self._rays()])
        around = point + self.scale * np.repeat([1e-8, 1e-5, 1e-3], len(ways))[:, None] * np.tile(ways, (3, 1))
        lowest = bool(np.all(self._values(around) >= value))
        return {"kind": "no slope", "point": _listed(point), "value": value, "lowest": lowest}

    def _failed_point(self) -> np.ndarray | None:
        """Return the point that the step after the last row reached; None where that does not follow from the row."""
        plan = self._plan
        simple = (
            plan.method.spec.follows_gradient and plan.schedule.name == "constant" and plan.schedule.function is None
        )
        if self._trace.outcome is not Outcome.NOT_FINITE or not simple or self._trace.not_finite_step == 0:
            return None
        if plan.clip_norm is not None or plan.clip_value is not None or plan.record.every != 1:
            return None
        return self.end - plan.learning_rate * self._gradient


def _first(changes: np.ndarray, noise: float) -> int | None:
    """Return the index of the first change beyond rounding; None if there is none, or the domain ends first."""
    clear = np.flatnonzero(~(np.abs(changes) <= noise))
    if not len(clear) or np.isnan(changes[clear[0]]):
        return None
    return int(clear[0])


def _last_fall(changes: np.ndarray, first: int, stop: int) -> int:
    """Return the last row up to `stop` to which the value keeps falling from the first on."""
    later = changes[first:stop]
    turns = np.flatnonzero(~(np.isfinite(later[1:]) & (np.diff(later) <= 0)))
    return first + (int(turns[0]) if len(turns) else max(len(later) - 1, 0))


def _lasts(gains: np.ndarray) -> bool:
    """Tell whether the gain per decade stays above 0 and does not shrink in the second half."""
    late = gains[len(gains) // 2 :]
    return len(late) > 1 and bool(np.all(late[1:] >= _LASTING * late[:-1]) and late[-1] > 0)


def _length(row: np.ndarray) -> float:
    """Return the norm of a row, whose squares may overflow."""
    most = float(np.max(np.abs(row), initial=0.0))
    return most * float(np.linalg.norm(row / most)) if 0 < most < math.inf else most


def _listed(row: np.ndarray) -> list[float]:
    return [float(entry) for entry in row]
