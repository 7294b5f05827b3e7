"""Verbs of a formula: how it is read, its derivatives, the methods that descend it, and its learning rates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope._types import plain
from downslope.lab.replies._request import PageRequest, rounded

_STARTS = (4.0, 3.0, 2.0, 1.0)  # of the first variables; any further variable starts at 1
_SCALES = (1.0, 0.5, 0.1, -1.0, 10.0, 100.0)  # tried in turn
_STEEPEST, _FLATTEST = 1e6, 1e-9  # gradient norms between which a start suits
_DIFFERENCE = 1e-6
_SWEEP_STEPS = 2000
_NO_RATES = {"stable": None, "bound": None, "best": None, "slider": None, "curve": None}


def read(fields: dict[str, Any]) -> dict[str, Any]:
    """Return how a formula is read: its name, its variables, notes, and a start that suits it."""
    objective = PageRequest(fields).objective
    formula = objective.formula
    assert formula is not None
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "variables": list(objective.names or ()),
        "notes": list(formula.notes),
        "start": start_of(formula),
    }


def derive(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the derivative by each variable, with the rules used."""
    formula = PageRequest(fields).objective.formula
    assert formula is not None
    return {"derivations": [_derivation(formula, name) for name in formula.variables]}


def methods(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the methods, the plainest first."""
    known = [ds.method(name) for name in ds.method_names()]
    return {
        "methods": [
            {
                "name": method.name,
                "takes_rate": method.takes_rate,
                "default_rate": method.default_rate if method.takes_rate else None,
                "in_races": method.spec.in_races,
            }
            for method in known
        ]
    }


def start_of(formula: ds.Formula) -> dict[str, float]:
    """Return a start at which a formula has a value and a slope that is neither zero nor enormous."""
    names = formula.variables
    pattern = [_STARTS[index] if index < len(_STARTS) else 1.0 for index in range(len(names))]
    points = [[scale * coordinate for coordinate in pattern] for scale in _SCALES]
    steepness = [_steepness(formula, point) for point in points]
    candidates = list(zip(points, steepness, strict=True))
    suited = [point for point, steep in candidates if _FLATTEST < steep < _STEEPEST]
    finite = [point for point, steep in candidates if np.isfinite(steep)]
    start = [*suited, *finite, points[0]][0]
    return {name: float(f"{coordinate:.6g}") for name, coordinate in zip(names, start, strict=True)}


def _steepness(formula: ds.Formula, point: list[float]) -> float:
    """Return the gradient norm by central differences, NaN where the formula has no value.

    Differences and not the exact gradient: they need no compilation, and the page waits for this reply at each key.
    """
    centre = np.array(point)

    def value(coordinates: np.ndarray) -> float:
        named = dict(zip(formula.variables, map(float, coordinates), strict=True))
        try:
            with np.errstate(all="ignore"):
                return float(formula(**named))
        except (ArithmeticError, ValueError):
            return np.nan

    moves = _DIFFERENCE * np.eye(len(centre))
    return math.hypot(*((value(centre + move) - value(centre - move)) / (2 * _DIFFERENCE) for move in moves))


def _derivation(formula: ds.Formula, by: str) -> dict[str, Any]:
    steps = ds.derive(formula, by).as_dict()["steps"]  # the outermost first, which gives the answer
    return {"by": by, "derivative": steps[0]["after"], "steps": [_step(step) for step in steps]}


def _step(step: dict[str, Any]) -> dict[str, str]:
    bindings = ", ".join(f"{name} = {expression}" for name, expression in step["bindings"].items())
    return {
        "number": step["number"],
        "rule": step["rule"].replace("_", " "),
        "from": step["before"],
        "to": step["after"],
        "text": step["sentence"],
        "law": f"{step['law']} with {bindings}" if bindings else step["law"],
    }


def rates(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the stable learning rates from a start, the best, and the value at the end by rate."""
    plan = PageRequest(fields).plan
    if not plan.method.takes_rate:
        return {**_NO_RATES, "text": f"{plan.method.name} finds the length of each step by itself."}
    steps = min(max(plan.steps, 1), _SWEEP_STEPS)
    result = ds.sweep(plan.objective, dict(plan.start), method=plan.method, steps=steps)
    low, high = float(result.rates[0]), float(result.rates[-1])
    bound = result.largest_stable_rate
    return {
        "stable": None if bound is None else [low, bound],
        "bound": plain(bound),
        "best": plain(result.best_rate),
        "slider": [low, high],
        "curve": {"rates": rounded(result.rates), "values": rounded(result.values)},
        "text": _rate_text(bound, result.best_rate),
    }


def _rate_text(bound: float | None, best: float) -> str:
    if bound is None:
        return f"Best α = {number(best, 3)}; this method has no fixed bound."
    return f"Stable up to α = {number(bound, 3)}, best α = {number(best, 3)}."
