"""A plain NumPy descent that fills a trace: an oracle for the compiled loop, and runs to be judged without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from downslope.trace import Outcome, Spectrum, Trace

Function = Callable[[np.ndarray], float]
Gradient = Callable[[np.ndarray], np.ndarray]
Hessian = Callable[[np.ndarray], np.ndarray]


def numpy_descent(
    function: Function,
    gradient: Gradient,
    hessian: Hessian | None,
    start: Mapping[str, float],
    *,
    learning_rate: float = 0.1,
    steps: int = 100,
    tolerance: float = 1e-10,
    method: str = "gradient descent",
    **settings: float,
) -> Trace:
    """Go down by gradient descent, momentum, Nesterov, Adam or RMSprop, one NumPy step after another.

    Args:
        function: the objective of an array of coordinates.
        gradient: its gradient, shape (size,).
        hessian: its Hessian, shape (size, size); None to measure no curvature.
        start: the coordinates by name.
        learning_rate: the rate α.
        steps: the most steps to take.
        tolerance: stop when the norm of the gradient falls to this.
        method: "gradient descent", "momentum", "nesterov", "adam" or "rmsprop".
        settings: the method's settings.
    """
    names, point = tuple(sorted(start)), np.array([float(start[name]) for name in sorted(start)])
    settings = _DEFAULTS[method] | settings
    rule, memory = _RULES[method], np.zeros((3, len(point)))
    rows: list[tuple[float, np.ndarray, np.ndarray]] = []
    outcome, bad_part = Outcome.STEPS_USED, None
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            value, slope = float(function(point)), np.asarray(gradient(point), dtype=float)
            finite = np.isfinite([value, *slope])
            if not finite.all():
                outcome, bad_part = Outcome.NOT_FINITE, ("value", *names)[int(np.argmin(finite))]
                break
            rows.append((value, point, slope))
            if np.sqrt(slope @ slope) <= tolerance:
                outcome = Outcome.CONVERGED
                break
            if step == steps:
                break
            reached = point + rule(slope, memory, step, learning_rate, settings)
            if np.array_equal(reached, point):
                outcome = Outcome.STALLED
                break
            point = reached
        return _trace(
            rows, names, hessian, outcome, bad_part, memory, _plan(method, settings, learning_rate, steps, tolerance)
        )


def _trace(
    rows: list[tuple[float, np.ndarray, np.ndarray]],
    names: tuple[str, ...],
    hessian: Hessian | None,
    outcome: Outcome,
    bad_part: str | None,
    memory: np.ndarray,
    plan: Mapping[str, Any],
) -> Trace:
    values, points, slopes = (np.array(column) for column in zip(*rows, strict=True))
    curvature = np.full(len(rows), np.nan)
    spectra: tuple[Spectrum, ...] = ()
    if hessian is not None:
        curvature = np.array([g @ hessian(x) @ g / (g @ g) for x, g in zip(points, slopes, strict=True)])
        last = len(rows) - 1
        moments = [0] if last == 0 else [0, last]
        scale = _scale(plan, memory, last)
        spectra = tuple(_spectrum(hessian(points[row]), row, names, scale if row == last else None) for row in moments)
    return Trace(
        outcome=outcome,
        recorded={
            "step": np.arange(len(rows)),
            "value": values,
            "curvature": curvature,
            "learning_rate": np.asarray(plan["learning_rate"]),
        },
        coordinate_names=names,
        coordinates=points,
        gradients=slopes,
        part_names=names,
        part_columns={},
        start=dict(zip(names, points[0], strict=True)),
        end=dict(zip(names, points[-1], strict=True)),
        spectra=spectra,
        plan=plan,
        not_finite_part=bad_part,
        not_finite_step=len(rows) if bad_part is not None else None,
    )


def _plan(
    method: str, settings: Mapping[str, float], learning_rate: float, steps: int, tolerance: float
) -> dict[str, Any]:
    return {
        "read_as": "a NumPy function",
        "method": method,
        "settings": dict(settings),
        "learning_rate": learning_rate,
        "schedule": "constant",
        "steps": steps,
        "tolerance": tolerance,
    }


def _spectrum(hessian: np.ndarray, step: int, names: tuple[str, ...], scale: np.ndarray | None) -> Spectrum:
    eigenvalues, directions = np.linalg.eigh((hessian + hessian.T) / 2)
    low, high = (v * np.copysign(1.0, v[np.argmax(np.abs(v))]) for v in (directions[:, 0], directions[:, -1]))
    highest = None
    if scale is not None:
        highest = float(np.linalg.eigvalsh(hessian / np.sqrt(np.outer(scale, scale)))[-1])
    by_part = [dict(zip(names, direction, strict=True)) for direction in (low, high)]
    return Spectrum(step, eigenvalues, True, by_part[0], by_part[1], highest)


def _scale(plan: Mapping[str, Any], memory: np.ndarray, taken: int) -> np.ndarray | None:
    settings = plan["settings"]
    if plan["method"] == "adam":
        return np.sqrt(memory[1] / (1 - settings["beta2"] ** max(taken, 1))) + settings["epsilon"]
    return np.sqrt(memory[1] + settings["epsilon"]) if plan["method"] == "rmsprop" else None


def _downhill(
    slope: np.ndarray, memory: np.ndarray, step: int, rate: float, settings: Mapping[str, float]
) -> np.ndarray:
    return -rate * slope


def _momentum(
    slope: np.ndarray, memory: np.ndarray, step: int, rate: float, settings: Mapping[str, float]
) -> np.ndarray:
    memory[0] = slope + settings["momentum"] * memory[0]
    return -rate * memory[0]


def _nesterov(
    slope: np.ndarray, memory: np.ndarray, step: int, rate: float, settings: Mapping[str, float]
) -> np.ndarray:
    memory[0] = slope + settings["momentum"] * memory[0]
    return -rate * (slope + settings["momentum"] * memory[0])


def _adam(slope: np.ndarray, memory: np.ndarray, step: int, rate: float, settings: Mapping[str, float]) -> np.ndarray:
    beta1, beta2 = settings["beta1"], settings["beta2"]
    memory[0] = beta1 * memory[0] + (1 - beta1) * slope
    memory[1] = beta2 * memory[1] + (1 - beta2) * slope * slope
    mean, square = memory[0] / (1 - beta1 ** (step + 1)), memory[1] / (1 - beta2 ** (step + 1))
    return -rate * mean / (np.sqrt(square) + settings["epsilon"])


def _rmsprop(
    slope: np.ndarray, memory: np.ndarray, step: int, rate: float, settings: Mapping[str, float]
) -> np.ndarray:
    memory[1] = settings["decay"] * memory[1] + (1 - settings["decay"]) * slope * slope
    return -rate * slope / np.sqrt(memory[1] + settings["epsilon"])


_RULES = {
    "gradient descent": _downhill,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adam": _adam,
    "rmsprop": _rmsprop,
}
_DEFAULTS: dict[str, dict[str, float]] = {
    "gradient descent": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "rmsprop": {"decay": 0.9, "epsilon": 1e-8},
}
