"""Inference from the sum of squares around a fit: profile intervals, profiles, regions, asymmetry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from downslope._errors import SettingError, nearest
from downslope.executors import Crew, ExecutorLike, Unit
from downslope.fitting._numeric_problem import NumericProblem
from downslope.fitting._profile import (
    Interval,
    MisfitSurface,
    Profile,
    intervals,
    profile_points,
)
from downslope.fitting._quantiles import t_quantile
from downslope.fitting._region import ConfidenceRegion, arcs, extent, region, runs_along
from downslope.formulas import linear_names

if TYPE_CHECKING:
    from downslope.fitting._result import Fit

_TOGETHER = 1 << 22  # numbers of a Jacobian at many points at once
_WIDE, _POINTS = 1.25, 25  # how far a profile goes beyond its interval, and in how many points
_FINITE_END = 4.0  # standard errors that a profile goes where its interval is open
_AWAY, _BENT = 2.0, 0.2  # standard errors, and the share of the squares' rise that may differ from the parabola there
_NO_RESIDUALS = 1e-26  # of the sum of measured squares: residuals are rounding


def checked_level(level: float) -> float:
    """Return a level between 0 and 1.

    Raises:
        SettingError: for anything else.
    """
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise SettingError(f"the level lies between 0 and 1, not {level}", hint="0.95 for 95 %")
    return float(level)


def with_intervals(fit: Fit, crew: Crew) -> Fit:
    """Return a fit with its profile intervals: all of them where they are wanted, else those that differ."""
    if fit.intervals == "profile":
        ends = _profile_intervals(fit, fit.confidence, crew)
        parameters = {
            name: replace(parameter, low=ends[name].low, high=ends[name].high) if name in ends else parameter
            for name, parameter in fit.parameters.items()
        }
        return replace(fit, parameters=parameters, profiled=ends, curved=_curved(fit))
    curved = _curved(fit)
    wanted = np.array([fit.free.index(name) for name in curved], dtype=int)
    return replace(fit, profiled=_intervals_of(fit, fit.confidence, wanted, crew), curved=curved) if curved else fit


def _curved(fit: Fit) -> tuple[str, ...]:
    """Return the free parameters along which the squares are far from the parabola of the linear interval.

    Each is moved two standard errors to either side while the others are refitted, which shows the part of Bates' and
    Watts' curvature that matters for its interval.
    """
    size = len(fit.measured) * len(fit.free) ** 2
    errors = fit.uncertainty.standard_errors
    straight = len(linear_names(fit.model.equation.right.body, fit.free)) == len(fit.free) and not fit.problem.ties
    straight = straight and not fit.arguments.deviations  # whose squares are no parabola, even of a straight line
    usable = np.flatnonzero(np.isfinite(errors) & (errors > 0))
    problem = "converged" not in fit.findings or bool(fit.uncertainty.undetermined)
    if fit.loss != "linear" or straight or problem or not len(usable) or size > _TOGETHER or _is_exact(fit):
        return ()
    surface = surface_of(fit)
    steps = np.concatenate([-np.eye(len(errors))[usable], np.eye(len(errors))[usable]]) * (
        _AWAY * np.where(np.isfinite(errors), errors, 0.0)
    )
    held = steps != 0
    with np.errstate(all="ignore"):
        inside = np.clip(surface.best + surface.followed(steps, held), *surface.bounds)
        _, squares = surface.refit(inside, held)
        distance = np.max(np.abs((inside - surface.best) / np.where(errors > 0, errors, np.inf)) * held, axis=-1)
        share = (surface.rise(squares) / distance) ** 2
    # A bound nearer than a tenth of an error leaves nothing to compare.
    bent = (~(np.abs(share - 1) <= _BENT) & (distance > 0.1)).reshape(2, -1).any(axis=0)
    return tuple(fit.free[index] for index in usable[bent])


def surface_of(fit: Fit) -> MisfitSurface:
    """Return the squares of a fit around its minimum.

    Raises:
        SettingError: where there is no profile: for a robust loss, or without degrees of freedom.
    """
    if fit.loss != "linear":
        raise SettingError(
            f"a profile needs least squares, not the {fit.loss.replace('_', '-')} loss",
            hint='fit with loss="linear", or use fit.bootstrap()',
        )
    if not fit.uncertainty.absolute and not fit.degrees_of_freedom > 0:
        raise SettingError("without degrees of freedom no interval can be known", hint="add rows, or fix a parameter")
    numeric = NumericProblem(fit.problem, fit.arguments)
    size = len(fit.measured) * (len(fit.free) + 1)
    return MisfitSurface(
        linearised=numeric.linearised,
        best=np.array([fit[name] for name in fit.free]),
        variance=1.0 if fit.uncertainty.absolute else fit.uncertainty.residual_variance,
        covariance=fit.uncertainty.determined,
        bounds=fit.bounds,
        together=max(1, _TOGETHER // size),
    )


def profile_intervals(fit: Fit, level: float, executor: ExecutorLike) -> dict[str, Interval]:
    """Return profile intervals of all parameters; see `Fit.profile_intervals`."""
    with Crew(executor) as crew:
        return _profile_intervals(fit, checked_level(level), crew)


def _profile_intervals(fit: Fit, level: float, crew: Crew) -> dict[str, Interval]:
    free = _intervals_of(fit, level, np.arange(len(fit.free)), crew)
    return {name: free[name] if name in free else _following(fit, name, free) for name in fit.parameters}


def _intervals_of(fit: Fit, level: float, wanted: np.ndarray, crew: Crew) -> dict[str, Interval]:
    """Return the intervals of free parameters, by name."""
    surface = surface_of(fit)
    if _is_exact(fit):
        exact = {index: float(surface.best[index]) for index in map(int, wanted)}
        return {fit.free[index]: Interval(value, value) for index, value in exact.items()}
    lost = set(fit.uncertainty.undetermined)
    chosen = np.array([index for index in wanted if index not in lost], dtype=int)
    errors = _scales(fit, surface)[chosen]
    target = t_quantile(level, np.inf if fit.uncertainty.absolute else fit.degrees_of_freedom)
    if 2 * len(chosen) <= surface.together:
        ends = intervals(surface, chosen, errors, target)
    else:  # so much data that both ends of one parameter are work enough
        units = [Unit(_interval_of, fit, (chosen[[k]], errors[[k]], target)) for k in range(len(chosen))]
        ends = {index: interval for part in crew.results(units) for index, interval in part.items()}
    low, high = fit.bounds
    return {fit.free[index]: ends.get(index, Interval(float(low[index]), float(high[index]))) for index in wanted}


def _interval_of(fit: Fit, chosen: np.ndarray, errors: np.ndarray, target: float) -> dict[int, Interval]:
    """Return the interval of a parameter, by its index."""
    return intervals(surface_of(fit), chosen, errors, target)


def _scales(fit: Fit, surface: MisfitSurface) -> np.ndarray:
    """Return about a standard error of each free parameter, also of one on a bound, shape (free,)."""
    errors = np.sqrt(np.diag(surface.covariance))
    _, jacobian = surface.linearised(surface.best[None])
    lengths = np.linalg.norm(jacobian[0], axis=0)
    alone = math.sqrt(surface.variance) / np.where(lengths > 0, lengths, 1.0)
    return np.where(np.isfinite(errors) & (errors > 0), errors, alone)


def _is_exact(fit: Fit) -> bool:
    """Return whether the residuals are rounding, so that every interval is a point."""
    if fit.uncertainty.absolute:
        return False
    return fit.residual_sum_of_squares <= _NO_RESIDUALS * float(np.sum((fit.measured * fit.arguments.weight) ** 2))


def _following(fit: Fit, name: str, free: dict[str, Interval]) -> Interval:
    """Return the interval of a fixed parameter, or of one that is tied: by the ends of the only one it follows."""
    parameter = fit.parameters[name]
    if parameter.role != "tied":
        return Interval(parameter.value, parameter.value)
    from downslope.formulas import names_in

    sources = [other for other in names_in(dict(fit.problem.ties)[name]) if other in fit.free]
    if len(sources) != 1:
        return Interval(parameter.low, parameter.high)
    index = fit.free.index(sources[0])
    ends = []
    with np.errstate(all="ignore"):
        for end in free[sources[0]]:
            point = np.array([fit[other] for other in fit.free])
            point[index] = end
            ends.append(float(fit.problem.everything(point, fit.arguments)[name]))
    return Interval(min(ends), max(ends))


def profile(fit: Fit, name: str, level: float, executor: ExecutorLike) -> Profile:
    """Return the profile of a parameter; see `Fit.profile`."""
    with Crew(executor) as crew:
        return _profile(fit, name, level, crew)


def _profile(fit: Fit, name: str, level: float, crew: Crew) -> Profile:
    index = _index(fit, name)
    interval = _intervals_of(fit, checked_level(level), np.array([index]), crew)[name]
    surface = surface_of(fit)
    error = float(_scales(fit, surface)[index])
    target = t_quantile(level, np.inf if fit.uncertainty.absolute else fit.degrees_of_freedom)
    best = float(surface.best[index])
    reach = [
        min(_WIDE * abs(end - best), _FINITE_END * 2 * error) if math.isfinite(end) else _FINITE_END * error
        for end in interval
    ]
    low, high = (float(side[index]) for side in fit.bounds)
    half = _POINTS // 2
    values = np.concatenate(
        [
            np.linspace(max(best - reach[0], low), best, half, endpoint=False),
            np.linspace(best, min(best + reach[1], high), half + 1),
        ]
    )
    sides = crew.results(Unit(_profile_side, fit, (index, side)) for side in (values[:half], values[half:]))
    points, zeta = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    usable = np.isfinite(zeta)
    return Profile(name, best, error, values[usable], zeta[usable], points[usable], fit.free, interval, target, level)


def _profile_side(fit: Fit, index: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points and the signed ζ of a profile on one side of the best."""
    return profile_points(surface_of(fit), index, values)


def confidence_region(fit: Fit, first: str, second: str, level: float, points: int) -> ConfidenceRegion:
    """Return the joint region of two parameters; see `Fit.confidence_region`."""
    level = checked_level(level)
    pair = _index(fit, first), _index(fit, second)
    if pair[0] == pair[1]:
        raise SettingError(f"a region is of two different parameters, not of {first} twice")
    lost = [fit.free[index] for index in pair if not np.isfinite(fit.uncertainty.standard_errors[index])]
    if lost:
        raise SettingError(f"{lost[0]} has no finite error, so there is no region", hint="fix a parameter")
    surface, quantile = surface_of(fit), _region_quantile(fit, level)
    border, ellipse = region(surface, pair, quantile, points)
    is_all = runs_along(surface, pair, quantile, border)
    return ConfidenceRegion((first, second), level, border, ellipse, extent(surface, pair, quantile), is_all)


def _region_quantile(fit: Fit, level: float) -> float:
    """Return ζ at the border of a joint region of two parameters."""
    from scipy.special import chdtri, fdtri

    twice = chdtri(2, 1 - level) if fit.uncertainty.absolute else 2 * fdtri(2, fit.degrees_of_freedom, level)
    return math.sqrt(float(twice))


def region_arcs(
    fit: Fit, region: ConfidenceRegion, ranges: np.ndarray | Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    """Return the border of a region within ranges; see `Fit.region_arcs`."""
    pair = fit.free.index(region.names[0]), fit.free.index(region.names[1])
    return arcs(surface_of(fit), pair, _region_quantile(fit, region.level), region.points, np.array(ranges, float))


def _index(fit: Fit, name: str) -> int:
    """Return the index of a free parameter.

    Raises:
        SettingError: if there is none of this name.
    """
    if name not in fit.free:
        close = nearest(str(name), fit.free)
        raise SettingError(
            f"{name!r} is no free parameter; these are {', '.join(fit.free)}",
            hint=f"did you mean {close}?" if close else None,
        )
    return fit.free.index(name)
