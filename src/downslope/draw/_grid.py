"""The data of pictures of functions: which range to show, and the objective's values along it or on a grid there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from downslope._engine import jax, precision
from downslope._errors import PointError, described, unknown_variable, whole
from downslope._types import Columns
from downslope.draw._breaks import broken, height_range, neighbourhood
from downslope.draw._inputs import Bounds, Drawable, Units, bounds_of, objective_of, point_of, trace_of
from downslope.trace import Trace

if TYPE_CHECKING:
    from downslope.descent import Objective

Ranges = dict[str, tuple[float, float]]

_MARGIN = 0.18
_FAR = 40.0  # a path that ends so many times farther than its median reach has run away, and is not shown whole
_FIRST = 3  # the rows whose reach says how far a path may go that ran away
_EARLY = 12  # the rows by whose reach a path that ran away is shown
_WIDE = 20.0  # times: ranges that differ more are of different kinds, and each keeps its own scale
_SLOW = 0.1  # of the slope at the end
_LEAST = 0.5  # of the wider range is shown along the other


class Grid(NamedTuple):
    """Values of a function along one variable, or on a grid over two.

    Args:
        axes: the variables by name, shape (count,) each.
        heights: the values, shape (count,) for one variable and (count, count) for two, whose rows follow the second;
            NaN where a value is not finite.
    """

    axes: dict[str, np.ndarray]
    heights: np.ndarray

    @property
    def height_range(self) -> tuple[float, float]:
        """The heights to show: all of them, except a wall or a pole that would flatten the rest."""
        return height_range(self.heights)


def grid(
    objective: Drawable,
    bounds: Bounds,
    *,
    at: Mapping[str, float] | None = None,
    count: int = 120,
    breaks: bool = False,
    units: Units = None,
) -> Grid:
    """Return the values that a curve or a landscape shows.

    Args:
        objective: a formula, its text, a JAX function, or an objective.
        bounds: the range of one or two variables, by name, or a pair for the only variable.
        at: where the other variables are; 0 if None.
        count: the number of points along each axis.
        breaks: put NaN beside each pole and jump of a curve, so that no line is drawn across.
        units: units by name, where `objective` is text.

    Raises:
        PointError: for no such variable, or a range that makes no sense.
        SettingError: for a count below 2.

    >>> grid("x² + 2y²", {"x": (-1, 1), "y": (0, 1)}, count=3).heights.tolist()
    [[1.0, 0.0, 1.0], [1.5, 0.5, 1.5], [3.0, 2.0, 3.0]]
    """
    function = objective_of(objective, units)
    ranges = bounds_of(bounds, function.names or ())
    if len(ranges) not in (1, 2):
        raise PointError(f"a grid is over one or two variables, not {len(ranges)}", hint='for example {"x": (-2, 2)}')
    count = whole("count", count, least=2)
    rest = rest_of(function, None, point_of(function, at))
    axes = {name: np.linspace(low, high, count) for name, (low, high) in ranges.items()}
    names = tuple(ranges)
    if len(names) == 1:
        x = axes[names[0]]
        heights = along(function, names[0], x, rest)
        if breaks:
            cut, line = broken(lambda values: along(function, names[0], values, rest), x, heights)
            gaps = cut[~np.isfinite(line) & ~np.isin(cut, x)]
            heights[np.clip(np.searchsorted(x, gaps), 0, count - 1)] = np.nan
        return Grid(axes, heights)
    return Grid(axes, over_grid(function, names, ranges, rest, count)[2])


def box(
    around: Trace | Mapping[str, float],
    over: tuple[str, ...],
    *,
    objective: Drawable | None = None,
    units: Units = None,
) -> Ranges:
    """Return the range that a picture shows along each variable.

    Args:
        around: a trace, whose path is seen and whose end lies well inside; or a point.
        over: the variables along the axes.
        objective: what is drawn, for curves: its turning points nearby are shown as well.
        units: units by name, where `objective` is text.

    Raises:
        PointError: if the trace holds no coordinates, or there is no such variable.
        SettingError: for something that is neither.
    """
    if isinstance(around, Mapping):
        missing = [name for name in over if name not in around]
        if missing:
            raise PointError(f"the point has no value for {', '.join(missing)}")
        at = {name: float(value) for name, value in around.items()}
        ranges, centre = window(over, np.array([[at[name] for name in over]])), at
        trace = None
    else:
        trace, at = trace_of(around, "box"), None
        centre = dict(zip(over, resting(trace, over), strict=True))
        ranges = roomy(window(over, path(trace, over)), {}, [centre[name] for name in over])
    if objective is None or len(over) != 1:
        return ranges
    function = objective_of(objective, units)
    rest = rest_of(function, trace, at)
    return {over[0]: near(function, over[0], ranges[over[0]], centre[over[0]], rest)}


def near(
    objective: Objective, name: str, low_high: tuple[float, float], centre: float, rest: Mapping[str, float]
) -> tuple[float, float]:
    """Return the range of a curve, widened to its turning points nearby."""
    return neighbourhood(lambda x: along(objective, name, x, rest), *low_high, centre)


def variables(objective: Objective, wanted: int, over: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the names along the axes of a picture.

    Args:
        objective: what is drawn.
        wanted: how many axes there are.
        over: the names to show, or None to take the first ones.

    Raises:
        PointError: if the objective has not so many names, or none of these.
    """
    names = objective.names or ()
    if over is not None:
        if isinstance(over, str) or len(over) != wanted or len(set(over)) != wanted:
            raise PointError(f"over names {wanted} variable{'s' if wanted > 1 else ''}, not {described(over)}")
        for name in over:
            if name not in names:
                raise unknown_variable(objective.read_as, name, names)
        return tuple(over)
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
    missing = [name for name in names if name not in trace.coordinate_names]
    if missing:
        raise PointError(
            f"the trace has no {missing[0]!r}; it has {', '.join(trace.coordinate_names)}",
            hint="draw a descent over the function that it minimised",
        )
    return trace.coordinates[:, [trace.coordinate_names.index(name) for name in names]]


def resting(trace: Trace, names: tuple[str, ...]) -> tuple[float, ...]:
    """Return the end of a path, or the point where it was far slower: a saddle that it left again."""
    norms = trace.columns.get("gradient_norm")
    if norms is not None and trace.coordinates is not None and len(norms) == len(trace.coordinates):
        slowest = int(np.argmin(np.where(np.isfinite(norms), norms, np.inf)))
        if norms[slowest] < _SLOW * norms[-1]:
            return tuple(map(float, path(trace, names)[slowest]))
    return tuple(float(trace.end[name]) for name in names)


def rest_of(objective: Objective, trace: Trace | None, at: Mapping[str, float] | None) -> dict[str, float]:
    """Return the values of the names that are not shown: those of a point, else of the end of the way, else 0."""
    rest = dict.fromkeys(objective.names or (), 0.0)
    if trace is not None:
        rest |= {name: float(value) for name, value in trace.end.items() if np.ndim(value) == 0}
    return rest | {name: float(value) for name, value in (at or {}).items()}


def window(names: tuple[str, ...], points: np.ndarray, bounds: Bounds = None) -> Ranges:
    """Return the range to show along each name.

    Args:
        names: the names of the axes.
        points: shape (rows, names), what must be seen, except for the end of a path that ran away.
        bounds: ranges by name that are to be kept.
    """
    fixed = bounds_of(bounds, names)
    points = _before_running_away(points)
    return {name: fixed[name] if name in fixed else _range(points[:, index]) for index, name in enumerate(names)}


def _before_running_away(points: np.ndarray) -> np.ndarray:
    """Return the rows of a path up to where it has left the region in which it began, if it never comes back."""
    points = points[np.all(np.isfinite(points), axis=1)]
    if len(points) < 3:
        return points
    reach = np.abs(points - points[0])
    typical = np.median(reach, axis=0)
    largest = reach.max(axis=0)
    ran_away = (reach[-3:].max(axis=0) > 0.8 * largest) & (largest > _FAR * typical)
    # What grows by a constant factor is at half of its steps still far below its end, and still far out.
    early = reach[:_EARLY].max(axis=0)
    ran_away |= (reach[-3:].max(axis=0) > 0.8 * largest) & (largest > _FAR**2 * early) & (early > 0)
    if not ran_away.any():
        return points
    first = reach[:_FIRST].max(axis=0)
    first = np.where(first > 0, first, np.inf)
    near = np.all(reach[:, ran_away] <= _FAR * first[ran_away], axis=1)
    return points[: max(int(np.argmin(near)) if not near.all() else len(points), _FIRST)]


def _range(values: np.ndarray) -> tuple[float, float]:
    """Return a range around values."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return (-5.0, 5.0)
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
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
    ranges: Ranges, fixed: Mapping[str, object] | None, centre: list[float | None], *, least: float = _LEAST
) -> Ranges:
    """Return the ranges widened around the end of the way, and none much narrower than the other of its scale.

    Args:
        ranges: by name.
        fixed: the names whose range stays as it is.
        centre: what should lie well inside, in the order of the ranges.
        least: the share of the widest range that is shown along every variable.
    """
    fixed = fixed or {}
    wide = {
        name: span if name in fixed else around(span, middle)
        for (name, span), middle in zip(ranges.items(), centre, strict=True)
    }
    spans = {name: high - low for name, (low, high) in wide.items()}
    if not is_one_scale(wide):
        return wide
    for name, (low, high) in wide.items():
        # A range much narrower than the other would look like a line.
        lacking = least * max(spans.values()) - (high - low)
        if lacking > 0 and name not in fixed:
            wide[name] = (low - lacking / 2, high + lacking / 2)
    return wide


def filling(ranges: Ranges, ratio: float) -> Ranges:
    """Return the ranges of two names widened to a picture so many times as wide as high; both axes have one scale."""
    spans = [high - low for low, high in ranges.values()]
    height = max(spans[0] / ratio, spans[1])
    slack = [(wanted - span) / 2 for wanted, span in zip((height * ratio, height), spans, strict=True)]
    return {name: (low - more, high + more) for (name, (low, high)), more in zip(ranges.items(), slack, strict=True)}


def is_one_scale(ranges: Ranges) -> bool:
    """Return whether ranges are of comparable width, so that one scale serves both axes."""
    spans = [high - low for low, high in ranges.values()]
    return max(spans) <= _WIDE * min(spans)


def is_one_kind(objective: Objective, names: tuple[str, ...]) -> bool:
    """Return whether variables have the same unit, or none."""
    return len({objective.units.get(name) for name in names}) == 1


def along(objective: Objective, name: str, values: np.ndarray, rest: Mapping[str, float]) -> np.ndarray:
    """Return the objective at values of one name, the others staying where they are."""
    return _on(objective, {name: values}, rest)


def over_grid(
    objective: Objective, names: tuple[str, ...], ranges: Ranges, rest: Mapping[str, float], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a grid over two names and the objective on it, shape (count, count); NaN where it is not finite."""
    first, second = (np.linspace(*ranges[name], count) for name in names)
    x, y = np.meshgrid(first, second)
    return x, y, _on(objective, {names[0]: x, names[1]: y}, rest)


def gradient_at(objective: Objective, point: Mapping[str, float]) -> dict[str, float]:
    """Return the gradient at a point, by name."""
    if objective.numeric is not None:
        names = objective.numeric.variables
        gradient = objective.numeric.value_and_gradient([float(point[name]) for name in names])[1]
        return {name: float(part) for name, part in zip(names, gradient, strict=True)}
    with precision(objective.precision):
        slope = jax().grad(objective.function)(
            {name: np.float64(value) for name, value in point.items()}, objective.data
        )
        return {name: float(part) for name, part in slope.items()}


def _on(objective: Objective, varying: Columns, rest: Mapping[str, float]) -> np.ndarray:
    """Return the objective where some names vary together, NaN where it is not finite."""
    shape = next(iter(varying.values())).shape
    flat = {name: np.ravel(values) for name, values in varying.items()}
    fixed = {name: np.full(flat[next(iter(flat))].shape, value) for name, value in rest.items() if name not in flat}
    values = objective.values({**flat, **fixed})
    values[~np.isfinite(values)] = np.nan
    return values.reshape(shape)
