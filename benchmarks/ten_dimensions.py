"""Rastrigin, Ackley, Griewank and Schwefel in ten dimensions, their minimum moved to a random place, and rotated.

Each is written for NumPy and JAX alike, with its gradient by hand for the peers. References: Molga and Smutnicki, "Test
functions for optimization needs", 2005, for the functions and their boxes; Liang, Qu and Suganthan, "Problem
definitions for the CEC 2014 competition", 2013, for Schwefel's function beyond its box, where it would fall on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = 10
_ROOTS = np.sqrt(np.arange(1.0, SIZE + 1))
_LOWEST, _DEPTH = 420.9687462275036, 418.9828872724337  # Schwefel's z·sin(√|z|) at its highest in the box


@dataclass(frozen=True)
class Shifted:
    """A function of x in a box, with its minimum 0 somewhere in it.

    Args:
        name: what it is called.
        low, high: the box, shape (10,).
        value, gradient: by NumPy, at a row.
        traced: by JAX, at a point {"x": row}.
    """

    name: str
    low: np.ndarray
    high: np.ndarray
    value: Callable[[Any], float]
    gradient: Callable[[Any], Any]
    traced: Callable[[Any], Any]


def rastrigin(u: Any, numpy: Any) -> Any:
    return 10 * SIZE + numpy.sum(u * u - 10 * numpy.cos(2 * np.pi * u))


def rastrigin_slope(u: np.ndarray) -> np.ndarray:
    return 2 * u + 20 * np.pi * np.sin(2 * np.pi * u)


def ackley(u: Any, numpy: Any) -> Any:
    square, wave = numpy.mean(u * u), numpy.mean(numpy.cos(2 * np.pi * u))
    return 20 + np.e - 20 * numpy.exp(-0.2 * numpy.sqrt(square)) - numpy.exp(wave)


def ackley_slope(u: np.ndarray) -> np.ndarray:
    root, wave = max(np.sqrt(np.mean(u * u)), 1e-300), np.mean(np.cos(2 * np.pi * u))
    return 4 * np.exp(-0.2 * root) * u / (SIZE * root) + np.exp(wave) * 2 * np.pi * np.sin(2 * np.pi * u) / SIZE


def griewank(u: Any, numpy: Any) -> Any:
    return 1 + numpy.sum(u * u) / 4000 - numpy.prod(numpy.cos(u / _ROOTS))


def griewank_slope(u: np.ndarray) -> np.ndarray:
    waves = np.cos(u / _ROOTS)
    others = np.array([np.prod(np.delete(waves, place)) for place in range(SIZE)])
    return u / 2000 + others * np.sin(u / _ROOTS) / _ROOTS


def schwefel(u: Any, numpy: Any) -> Any:
    z = u + _LOWEST
    over = numpy.where(numpy.abs(z) > 500, z - numpy.sign(z) * 500, 0.0)
    w = _folded(z, numpy)
    return _DEPTH * SIZE - numpy.sum(w * numpy.sin(numpy.sqrt(numpy.abs(w)))) + numpy.sum(over**2) / (10_000 * SIZE)


def schwefel_slope(u: np.ndarray) -> np.ndarray:
    z = u + _LOWEST
    out = np.abs(z) > 500
    root = np.sqrt(np.abs(_folded(z, np)))
    wave = np.where(out, 1.0, -1.0) * (np.sin(root) + root / 2 * np.cos(root))
    return wave + np.where(out, 2 * (z - np.sign(z) * 500) / (10_000 * SIZE), 0.0)


def _folded(z: Any, numpy: Any) -> Any:
    """Return where the wave is read: z itself in the box, mirrored at each 500 beyond."""
    return numpy.where(numpy.abs(z) <= 500, z, numpy.sign(z) * (500 - numpy.mod(numpy.abs(z), 500)))


FUNCTIONS = {
    "Rastrigin": (rastrigin, rastrigin_slope, 5.12),
    "Ackley": (ackley, ackley_slope, 32.0),
    "Griewank": (griewank, griewank_slope, 600.0),
    "Schwefel": (schwefel, schwefel_slope, 500.0),
}


def ten_dimensional(seed: int) -> list[Shifted]:
    """Return the four shifted ones, then the same rotated.

    Args:
        seed: of the places and the rotations.
    """
    random = np.random.default_rng(seed)
    return [_shifted(name, rotated, random) for rotated in (False, True) for name in FUNCTIONS]


def _shifted(name: str, rotated: bool, random: np.random.Generator) -> Shifted:
    """Return one of them, f(R(x − s)) with s in the inner four fifths of the box."""
    value, slope, half = FUNCTIONS[name]
    turn = np.linalg.qr(random.normal(size=(SIZE, SIZE)))[0] if rotated else np.eye(SIZE)
    place = random.uniform(-0.8, 0.8, SIZE) * half

    def traced(point: Any) -> Any:
        from jax import numpy as jax_numpy

        return value(turn @ (point["x"] - place), jax_numpy)

    return Shifted(
        f"{name} 10-D, {'rotated' if rotated else 'shifted'}",
        np.full(SIZE, -half),
        np.full(SIZE, half),
        lambda x: float(value(turn @ (np.asarray(x) - place), np)),
        lambda x: turn.T @ slope(turn @ (np.asarray(x) - place)),
        traced,
    )
