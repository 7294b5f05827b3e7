"""The classic sets of points in the plane, drawn with a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_POINTS = 150  # of each class
_SEED = 1


@dataclass(frozen=True)
class Planar:
    """A set of points in the plane.

    Args:
        draw: from a generator to the points of each class, each of shape (points, 2).
        classes: names of the classes.
        sentence: what it holds.
    """

    draw: Callable[[np.random.Generator], tuple[np.ndarray, ...]]
    classes: tuple[str, ...]
    sentence: str

    def columns(self) -> dict[str, np.ndarray]:
        """Return the points as columns x, y and class, the classes taking turns."""
        drawn = self.draw(np.random.default_rng(_SEED))
        points = np.stack(drawn, axis=1).reshape(-1, 2)
        names = np.array(self.classes, dtype=object)
        return {"x": points[:, 0], "y": points[:, 1], "class": np.tile(names, len(drawn[0]))}


def _around(centre: np.ndarray, spread: float, generator: np.random.Generator) -> np.ndarray:
    """Return points with normally distributed distances from their centres, shape (points, 2)."""
    return centre + generator.normal(0, spread, (_POINTS, 2))


def _on_circle(radius: np.ndarray | float, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _circles(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    return tuple(
        _around(_on_circle(radius, generator.uniform(0, 2 * np.pi, _POINTS)), 0.08, generator) for radius in (0.4, 1.0)
    )


def _moons(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    above, below = generator.uniform(0, np.pi, (2, _POINTS))
    upper, lower = _on_circle(1.0, above), np.array([1.0, 0.5]) - _on_circle(1.0, below)
    return _around(upper, 0.1, generator), _around(lower, 0.1, generator)


def _spirals(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    along = np.sqrt(generator.uniform(0.02, 1, (2, _POINTS)))  # as dense outside as inside
    return tuple(
        _around(_on_circle(share, 3 * np.pi * share + turn), 0.02, generator)
        for share, turn in zip(along, (0, np.pi), strict=True)
    )


def _blobs(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    centres = _on_circle(1.0, np.array([0.5, 7 / 6, 11 / 6]) * np.pi)
    return tuple(_around(centre, 0.3, generator) for centre in centres)


def _xor(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    first = generator.choice([-1.0, 1.0], (2, _POINTS))
    away = generator.uniform(0.1, 1, (2, 2, _POINTS))
    return tuple(
        np.stack([sign * far[0], turn * sign * far[1]], axis=1)
        for sign, far, turn in zip(first, away, (1, -1), strict=True)
    )


PLANAR = {
    "circles": Planar(_circles, ("inner", "outer"), "300 points on two circles about one centre"),
    "moons": Planar(_moons, ("upper", "lower"), "300 points on two half circles that reach into each other"),
    "spirals": Planar(_spirals, ("first", "second"), "300 points on two spirals that wind about each other"),
    "blobs": Planar(_blobs, ("up", "left", "right"), "450 points about three centres"),
    "xor": Planar(_xor, ("same", "different"), "300 points, by whether their coordinates have the same sign"),
}
