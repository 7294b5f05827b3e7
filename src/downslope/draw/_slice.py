"""The picture of the loss around the end of a training: a slice along the steepest curvature and the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import PointError, SettingError, described
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope._types import Columns
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._levels import levels
from downslope.draw._style import picture
from downslope.trace import HasTrace, Spectrum, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

__all__ = ["slice"]

_GRID = 31
_FARTHEST = 3.0  # times its own reach: a start that lies farther out is pointed at
_MOST_STROKES, _STROKE = 6, 0.7  # of the reach is how long a stroke is that lies in the plane
_MOST_ROWS = 1000  # of the examples of a network
_RISE = 0.25  # of what the descent gained, or of the loss at the end, is how high the slice reaches
_PARALLEL = 1e-3


class Plane:
    """The plane through the end of a descent along the steepest curvature and the gradient, and the loss on it."""

    def __init__(self, objective: Objective, trace: Trace, like: Any) -> None:
        self._objective, self._trace = objective, trace
        self._tree = _tree_of(trace, like)
        self._data = _some(objective)
        self.end = _flat(trace, trace.end)
        spectrum = _spectrum(trace)
        self.curvature = spectrum.highest
        steepest = _flat(trace, spectrum.highest_direction or {})
        self._slope = self._gradient()
        # Gram–Schmidt: the gradient often lies along the steepest direction, so only its rest spans a plane.
        beside, self.second = self._slope - (self._slope @ steepest) * steepest, "the rest of the gradient"
        if not np.linalg.norm(beside) > _PARALLEL * np.linalg.norm(self._slope):
            beside, self.second = _flat(trace, spectrum.lowest_direction or {}), "the lowest curvature"
            beside = beside - (beside @ steepest) * steepest
        if not np.linalg.norm(beside) > 0:
            raise PointError("a slice needs two directions, and this point has only one", hint="draw.curve shows it")
        self.directions = np.stack([steepest, beside / np.linalg.norm(beside)])

    def natural_reach(self) -> float:
        """Return the distance at which the curvature alone raises the loss by a quarter of what the descent gained."""
        values = np.asarray(self._trace.columns["value"], dtype=float)
        end = abs(float(self.heights(np.zeros((1, 1)), np.zeros((1, 1)))[0, 0]))
        gained = values[0] - values[-1] if np.isfinite(values[0]) else 0.0
        rise = _RISE * max(gained, end, 1e-12)
        # ½λr² = rise, solved for the reach r.
        bent = np.sqrt(2 * rise / self.curvature) if self.curvature > 0 else np.inf
        size = max(float(np.linalg.norm(self.end)), 1e-6)
        return float(min(bent, size))

    def way(self) -> np.ndarray:
        """Return the points that were kept, as positions on the plane, shape (points, 2): the start first."""
        trace = self._trace
        if trace.coordinates is not None:
            return (np.asarray(trace.coordinates, dtype=float) - self.end) @ self.directions.T
        return np.stack([self.directions @ (_flat(trace, trace.start) - self.end), np.zeros(2)])

    def away(self) -> float:
        """Return the distance of the start from the plane."""
        offset = _flat(self._trace, self._trace.start) - self.end
        return float(np.linalg.norm(offset - self.directions.T @ (self.directions @ offset)))

    def steepest(self, most: int) -> list[tuple[int, np.ndarray]]:
        """Return steps whose directions were kept, so many at most, and the steepest direction on the plane."""
        known = _with_directions(self._trace)
        chosen = evenly_spread(len(known), most)
        shown = [known[index] for index in chosen]
        return [(look.step, self.directions @ _flat(self._trace, look.highest_direction or {})) for look in shown]

    def heights(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the loss at positions on the plane; NaN where it is not finite."""
        positions = np.stack([x.ravel(), y.ravel()], axis=1)
        with precision(self._objective.precision):
            numpy = jax().numpy
            end, directions = numpy.asarray(self.end), numpy.asarray(self.directions)

            def height(position: Any) -> Any:
                return self._objective.function(self._tree(end + position @ directions), self._data)

            # One point after another: a whole grid of networks at once would not fit in memory.
            losses = jax().jit(lambda rows: jax().lax.map(height, rows))(numpy.asarray(positions))
        heights = np.array(losses, dtype=float).reshape(x.shape)
        return np.where(np.isfinite(heights), heights, np.nan)

    def _gradient(self) -> np.ndarray:
        """Return the gradient at the end point, flat."""
        with precision(self._objective.precision):
            slope = jax().jit(jax().grad(lambda flat: self._objective.function(self._tree(flat), self._data)))
            return np.asarray(slope(jax().numpy.asarray(self.end)), dtype=float)


def _tree_of(trace: Trace, like: Any) -> Any:
    """Return the function that makes a point of the objective from a flat row."""
    parts = trace.part_names
    shapes = [np.shape(trace.end[part]) for part in parts]
    kinds = [np.asarray(trace.end[part]).dtype for part in parts]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    form = None
    if like is not None:
        point = jax().tree.map(lambda leaf: leaf if _is_number(leaf) else None, like)
        if _tree.part_names(point) != parts:
            raise PointError(f"the point has the parts {', '.join(parts[:4])} …, and `like` has others")
        form = jax().tree.structure(point)

    def tree(flat: Any) -> Any:
        numpy = jax().numpy
        pieces = [
            piece.reshape(shape).astype(kind)
            for piece, shape, kind in zip(numpy.split(flat, cuts), shapes, kinds, strict=True)
        ]
        return dict(zip(parts, pieces, strict=True)) if form is None else jax().tree.unflatten(form, pieces)

    return tree


def _is_number(leaf: Any) -> bool:
    """Tell whether a leaf of a network is an array of real numbers, which is what is trained."""
    return hasattr(leaf, "dtype") and jax().numpy.issubdtype(leaf.dtype, np.floating)


def _some(objective: Objective) -> Columns:
    """Return the data, but no more examples of a network than are needed."""
    if objective.batched is None:
        return objective.data
    # A fixed sample, so that two slices of one network agree.
    rows = len(next(iter(objective.data.values())))
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:_MOST_ROWS])
    return {name: np.asarray(column)[chosen] for name, column in objective.data.items()}


def _spectrum(trace: Trace) -> Spectrum:
    """Return the curvature at the end, or the last one that was measured."""
    known = _with_directions(trace)
    if not known:
        raise PointError("this trace holds no curvature to slice along", hint="train(…, probe_every=…) records it")
    return known[-1]


def _with_directions(trace: Trace) -> list[Spectrum]:
    """Return the finite spectra whose directions were kept."""
    return [look for look in trace.spectra if look.has_directions and np.all(np.isfinite(look.eigenvalues))]


def _flat(trace: Trace, point: Columns) -> np.ndarray:
    """Return a point as one row."""
    return np.concatenate([np.ravel(np.asarray(point[part], dtype=float)) for part in trace.part_names])


@picture(
    "function",
    example="ds.draw.slice(training.objective, training.trace, like=training.model)",
    order=50,
)
def slice(
    objective: inputs.Drawable,
    trace: Trace | HasTrace,
    *,
    like: Any = None,
    reach: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the loss on a plane through the end point.

    The plane is spanned by the direction of highest curvature there and by what is left of the gradient beside it; both
    are of length 1, so that distances on the picture are distances between points. The start, and the way where it was
    kept, are seen from straight above the plane, and the legend gives the start's distance from it.

    Args:
        objective: what was descended: a formula, its text, or an objective; of a network, the loss is taken over at
            most a thousand of its examples.
        trace: a descent on it, with the curvature at its end.
        like: a point of the objective, or the network itself, where a point is a tree and not a dict of parts.
        reach: how far the slice goes to each side; by default to where the curvature alone lifts the loss by a
            quarter of what the descent gained.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if the trace holds no curvature, or the point has but one number.
    """
    function, trace = inputs.objective_of(objective), inputs.trace_of(trace, "slice")
    if function.names is not None and set(function.names) != set(trace.part_names):
        raise PointError(
            f"the trace has the parts {', '.join(trace.part_names)}, and {function.read_as} has others",
            hint="pass the objective that was minimised",
        )
    if reach is not None and (isinstance(reach, bool) or not isinstance(reach, int | float) or not 0 < reach < np.inf):
        raise SettingError(f"reach must be a finite number above 0, not {described(reach)}")
    plane = Plane(function, trace, like)
    reach = plane.natural_reach() if reach is None else float(reach)
    way = plane.way()
    ranges = [_including(reach, way[0, axis]) for axis in (0, 1)]
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=(7.4, 5.4)))
    x, y = np.meshgrid(*(np.linspace(low, high, _GRID) for low, high in ranges))
    _ground(axes, x, y, plane.heights(x, y))
    _turning(axes, plane.steepest(_MOST_STROKES), _STROKE * reach)
    _marks(axes, way, plane.away(), ranges)
    axes.set_xlabel(f"along the steepest curvature (λ = {number(plane.curvature, 3)})")
    axes.set_ylabel(f"along {plane.second}")
    axes.set_xlim(*ranges[0])
    axes.set_ylim(*ranges[1])
    style.title(axes, f"The loss around the end of {trace.steps_taken} steps, in distances between points")
    style.calm(axes)
    axes.grid(visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.13), fontsize=9, frameon=False, borderaxespad=0)
    return axes


def _including(reach: float, start: float) -> tuple[float, float]:
    """Return the range of an axis, with a start that lies near enough well inside."""
    if not abs(start) <= _FARTHEST * reach:
        return (-reach, reach)
    return (min(-reach, 1.15 * start), max(reach, 1.15 * start))


def _ground(axes: Axes, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> None:
    """Draw the loss as bands between contour lines, with a colour bar of the heights."""
    heights = levels(height, 14)
    if len(heights) < 2:
        axes.set_facecolor("#eef1f4")
        return
    from matplotlib import colormaps

    masked = np.ma.masked_invalid(height)
    shades = colormaps[style.CONTOURS](np.linspace(0.42, 0.97, len(heights) + 1))
    edges = [float(np.nanmin(height)), *heights, float(np.nanmax(height))]
    bands = axes.contourf(x, y, masked, levels=edges, colors=shades, zorder=0)
    axes.contour(x, y, masked, levels=heights, colors="white", linewidths=0.7, alpha=0.9, zorder=1)
    bar = axes.figure.colorbar(bands, ax=axes, pad=0.02, spacing="uniform")
    bar.set_ticks(edges[::3], labels=[number(edge, 2) for edge in edges[::3]])
    bar.ax.tick_params(labelsize=8)
    bar.ax.set_title("loss", fontsize=9, color=style.INK)
    bar.outline.set_visible(False)  # type: ignore[operator]  # the stubs take it for a dictionary


def _turning(axes: Axes, looks: list[tuple[int, np.ndarray]], length: float) -> None:
    """Draw from the end what the plane shows of the steepest directions so far, the later ones the stronger."""
    if len(looks) < 2:
        return
    name = f"steepest direction at steps {looks[0][0]} … {looks[-1][0]}, the stronger the later"
    for rank, (_, seen) in enumerate(looks, start=1):
        tip = length * (seen if seen[0] >= 0 else -seen)
        alpha = 0.25 + 0.75 * rank / len(looks)
        axes.plot([0, tip[0]], [0, tip[1]], color=style.NOTE, linewidth=1.8, alpha=alpha, zorder=3)
    axes.plot([], [], color=style.NOTE, linewidth=1.8, label=name)


def _marks(axes: Axes, way: np.ndarray, away: float, ranges: list[tuple[float, float]]) -> None:
    """Draw the way, the end, and the start or an arrow towards it."""
    dot = {"markersize": 9, "markeredgecolor": "white", "markeredgewidth": 1.3, "zorder": 6, "linestyle": "none"}
    if len(way) > 2:
        axes.plot(*way.T, color=style.PATH, linewidth=1.6, zorder=4, label="the path, from above")
    inside = all(low <= start <= high for start, (low, high) in zip(way[0], ranges, strict=True))
    above = f"the start, {number(away, 2)} above the plane" if away > 1e-6 else "the start"
    if inside:
        axes.plot(*way[:1].T, "o", color=style.START, label=above, **dot)
    else:
        tip = (
            way[0]
            / max(abs(start) / abs(end[int(start > 0)]) for start, end in zip(way[0], ranges, strict=True))
            * 0.97
        )
        arrow = {"arrowstyle": "-|>", "color": style.START, "linewidth": 1.8, "mutation_scale": 16}
        axes.annotate("", xy=tuple(tip), xytext=tuple(0.8 * tip), arrowprops=arrow, zorder=6)
        label = f"towards the start, {number(float(np.hypot(*way[0])), 2)} away and {number(away, 2)} above the plane"
        axes.plot([], [], ">", color=style.START, label=label)
    axes.plot(*way[-1:].T, "o", color=style.END, label="the end", **dot)
