"""The plane through the end of a descent, along the steepest curvature and the gradient, and the loss on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import PointError
from downslope._types import Columns
from downslope.trace import Spectrum, Trace

if TYPE_CHECKING:
    from downslope.descent import Objective

_MOST_ROWS = 1000  # of the examples of a network
_RISE = 0.25  # of what the descent gained, or of the loss at the end, is how high the slice reaches
_PARALLEL = 1e-3


class Plane:
    """The plane through the end of a descent, and the loss on it; it exists while it is drawn."""

    def __init__(self, objective: Objective, trace: Trace, like: Any) -> None:
        self._objective, self._trace = objective, trace
        self._tree = _tree_of(trace, like)
        self._data = _some(objective)
        self.end = _flat(trace, trace.end)
        spectrum = _spectrum(trace)
        self.curvature = spectrum.highest
        steepest = _flat(trace, spectrum.highest_direction or {})
        self._slope = self._gradient()
        beside, self.second = self._slope - (self._slope @ steepest) * steepest, "the rest of the gradient"
        if not np.linalg.norm(beside) > _PARALLEL * np.linalg.norm(self._slope):
            beside, self.second = _flat(trace, spectrum.lowest_direction or {}), "the lowest curvature"
            beside = beside - (beside @ steepest) * steepest
        if not np.linalg.norm(beside) > 0:
            raise PointError("a slice has two directions, and this point has but one", hint="draw.curve shows it")
        self.directions = np.stack([steepest, beside / np.linalg.norm(beside)])

    def natural_reach(self) -> float:
        """Return how far to go for the curvature alone to lift the loss by a good share of what was gained."""
        values = np.asarray(self._trace.columns["value"], dtype=float)
        end = abs(float(self.heights(np.zeros((1, 1)), np.zeros((1, 1)))[0, 0]))
        gained = values[0] - values[-1] if np.isfinite(values[0]) else 0.0
        rise = _RISE * max(gained, end, 1e-12)
        bent = np.sqrt(2 * rise / self.curvature) if self.curvature > 0 else np.inf
        size = max(float(np.linalg.norm(self.end)), 1e-6)
        return float(min(bent, size))

    def way(self) -> np.ndarray:
        """Return the points that were kept, as places on the plane, shape (points, 2): the start first."""
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
        chosen = np.unique(np.linspace(0, len(known) - 1, most).round().astype(int))
        shown = [known[place] for place in chosen]
        return [(one.step, self.directions @ _flat(self._trace, one.highest_direction or {})) for one in shown]

    def heights(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the loss at places on the plane; NaN where it is not finite."""
        places = np.stack([x.ravel(), y.ravel()], axis=1)
        with precision(self._objective.precision):
            numpy = jax().numpy
            end, directions = numpy.asarray(self.end), numpy.asarray(self.directions)

            def height(place: Any) -> Any:
                return self._objective.function(self._tree(end + place @ directions), self._data)

            found = jax().jit(lambda places: jax().lax.map(height, places))(numpy.asarray(places))
        heights = np.array(found, dtype=float).reshape(x.shape)
        return np.where(np.isfinite(heights), heights, np.nan)

    def _gradient(self) -> np.ndarray:
        """Return the gradient at the end point, flat."""
        with precision(self._objective.precision):
            slope = jax().grad(lambda flat: self._objective.function(self._tree(flat), self._data))
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
    rows = len(next(iter(objective.data.values())))
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:_MOST_ROWS])
    return {name: np.asarray(column)[chosen] for name, column in objective.data.items()}


def _spectrum(trace: Trace) -> Spectrum:
    """Return the curvature at the end, or the last one that was measured."""
    known = _with_directions(trace)
    if not known:
        raise PointError("this trace holds no curvature to slice along", hint="train(…, probe_every=…) looks at it")
    return known[-1]


def _with_directions(trace: Trace) -> list[Spectrum]:
    """Return the finite spectra whose directions were kept."""
    return [one for one in trace.spectra if one.has_directions and np.all(np.isfinite(one.eigenvalues))]


def _flat(trace: Trace, point: Columns) -> np.ndarray:
    """Return a point as one row."""
    return np.concatenate([np.ravel(np.asarray(point[part], dtype=float)) for part in trace.part_names])
