"""The ground under a picture: what range to show, and the objective's values on a grid there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax, kept, precision
from downslope._errors import PointError, nearest
from downslope._types import Columns
from downslope.trace import Trace

if TYPE_CHECKING:
    from downslope.descent import Objective

Within = Mapping[str, tuple[float, float]] | None
_MARGIN = 0.18
_FAR = 40.0  # a path that ends so many times farther than its median reach has run away, and is not shown whole
_EARLY = 12  # the rows by whose reach one that ran away is shown


def variables(objective: Objective, wanted: int, over: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the names along the axes of a picture.

    Args:
        objective: what is drawn.
        wanted: how many axes there are.
        over: the names to show, or None to take the only ones.

    Raises:
        PointError: if the objective has not so many names, or none of these.
    """
    names = objective.names or ()
    if over is not None:
        for name in over:
            if name not in names:
                close = nearest(name, names)
                raise PointError(
                    f"{objective.read_as} has no {name!r}", hint=f"did you mean {close}?" if close else None
                )
        return over
    if len(names) < wanted:
        kind = "a curve" if wanted == 1 else "a landscape"
        listed = ", ".join(names) or "no names"
        raise PointError(
            f"{kind} needs {wanted} variable{'s' if wanted > 1 else ''}; {objective.read_as} has {listed}",
            hint="draw a formula of two variables as a landscape and one of one variable as a curve",
        )
    return names[:wanted]


def path(trace: Trace | None, names: tuple[str, ...]) -> np.ndarray:
    """Return the coordinates of a trace along these names, shape (rows, names); no rows without a trace."""
    if trace is None:
        return np.empty((0, len(names)))
    if trace.coordinates is None:
        raise PointError("this trace holds no coordinates to draw", hint="points of up to 16 numbers keep them")
    places = [trace.coordinate_names.index(name) for name in names]
    return trace.coordinates[:, places]


def window(names: tuple[str, ...], points: np.ndarray, within: Within) -> dict[str, tuple[float, float]]:
    """Return the range to show along each name.

    Args:
        names: the names of the axes.
        points: shape (rows, names), what must be seen; the last row counts most.
        within: ranges that were asked for; they win.
    """
    shown = dict(within or {})
    for place, name in enumerate(names):
        if name not in shown:
            shown[name] = _range(points[:, place])
    return {name: shown[name] for name in names}


def _range(values: np.ndarray) -> tuple[float, float]:
    """Return a range around values, those of a path that ran away left out."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return (-5.0, 5.0)
    start, reach = values[0], np.abs(values - values[0])
    typical = np.median(reach[reach > 0]) if np.any(reach > 0) else 0.0
    ran_away = reach[-3:].max() > 0.8 * reach.max() > 0.8 * _FAR * typical
    if ran_away:
        early = reach[:_EARLY]
        typical = min(typical, np.median(early[early > 0])) if np.any(early > 0) else typical
    near = values[reach <= _FAR * typical] if ran_away else values
    low, high = float(near.min()), float(near.max())
    if high - low <= 1e-9 * max(1.0, abs(start)):
        half = max(1.0, abs(low))
        return (low - half, high + half)
    margin = _MARGIN * (high - low)
    return (low - margin, high + margin)


def around(low_high: tuple[float, float], centre: float | None) -> tuple[float, float]:
    """Return a range widened so that a point in it lies well inside; one that ran away, out of it, changes nothing."""
    low, high = low_high
    if centre is None or not low <= centre <= high:
        return low_high
    reach = max(abs(low - centre), abs(high - centre))
    return (min(low, centre - 0.45 * reach), max(high, centre + 0.45 * reach))


def roomy(
    ranges: Mapping[str, tuple[float, float]], within: Within, centre: list[float | None]
) -> dict[str, tuple[float, float]]:
    """Return the ranges widened around the end of the way, and none much narrower than the other."""
    roomy = {
        name: span if within is not None and name in within else around(span, place)
        for (name, span), place in zip(ranges.items(), centre, strict=True)
    }
    widest = max(high - low for low, high in roomy.values())
    for name, (low, high) in roomy.items():
        lacking = 0.25 * widest - (high - low)
        if lacking > 0 and not (within is not None and name in within):
            roomy[name] = (low - lacking / 2, high + lacking / 2)
    return roomy


def along(objective: Objective, name: str, values: np.ndarray, rest: Mapping[str, float]) -> np.ndarray:
    """Return the objective at values of one name, the others staying where they are."""
    return _on(objective, {name: values}, rest)


def over_grid(
    objective: Objective,
    names: tuple[str, ...],
    ranges: Mapping[str, tuple[float, float]],
    rest: Mapping[str, float],
    count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a grid over two names and the objective on it, shape (count, count); NaN where it is not finite."""
    first, second = (np.linspace(*ranges[name], count) for name in names)
    x, y = np.meshgrid(first, second)
    return x, y, _on(objective, {names[0]: x, names[1]: y}, rest)


def gradient_at(objective: Objective, point: Mapping[str, float]) -> dict[str, float]:
    """Return the gradient at a point, by name."""
    with precision(objective.precision):
        slope = jax().grad(objective.function)(
            {name: np.float64(value) for name, value in point.items()}, objective.data
        )
        return {name: float(part) for name, part in slope.items()}


def gradients_over(objective: Objective, points: Columns) -> Columns:
    """Return the gradient at many points, by name, each of shape (points,)."""
    with precision(objective.precision):
        slope = jax().vmap(jax().grad(objective.function), in_axes=(0, None))
        return {name: np.asarray(part) for name, part in slope(dict(points), objective.data).items()}


def _on(objective: Objective, varying: Columns, rest: Mapping[str, float]) -> np.ndarray:
    """Return the objective where some names vary together, NaN where it is not finite."""
    shape = next(iter(varying.values())).shape
    flat = {name: np.ravel(values) for name, values in varying.items()}
    fixed = {name: np.full(flat[next(iter(flat))].shape, value) for name, value in rest.items() if name not in flat}
    with precision(objective.precision):
        values = np.array(_values(objective)({**flat, **fixed}, objective.data), dtype=float)
    values[~np.isfinite(values)] = np.nan
    return values.reshape(shape)


def _values(objective: Objective) -> Any:
    """Return the compiled value at many points."""
    return kept(objective, "values", lambda: jax().jit(jax().vmap(objective.function, in_axes=(0, None))))
