"""Problems that the tests of a fit share."""

from __future__ import annotations

import math

import numpy as np

import downslope as ds

DECAY = "y = a·e^(-k·x) + c"
WAVES = "y = b + a cos(2π t/T) + c sin(2π t/T) + d cos(2π t/S) + f sin(2π t/S)"
BUMPS = "y = a e^(-k x) + b e^(-(x - m)²/w²) + c e^(-(x - n)²/v²)"


def decay(noise: float = 0.05, rows: int = 40, seed: int = 1) -> dict[str, np.ndarray]:
    x = np.linspace(0, 10, rows)
    return {"x": x, "y": 3 * np.exp(-0.5 * x) + 1 + np.random.default_rng(seed).normal(0, noise, rows)}


def curve(x: np.ndarray, a: float, k: float, c: float) -> np.ndarray:
    return a * np.exp(-k * x) + c


def digits(found: dict[str, float], wanted: dict[str, float]) -> float:
    return min(-math.log10(max(abs(found[name] / value - 1), 1e-16)) for name, value in wanted.items())


def noisy(text: str, x: np.ndarray, truth: dict[str, float], noise: float, column: str = "x") -> dict[str, np.ndarray]:
    model = ds.formula(text.split("= ", 1)[1], columns=[column])
    y = model(**{column: x}, **truth) + np.random.default_rng(0).normal(0, noise, len(x))
    return {column: x, "y": y}
