"""Verbs about the formula alone: how it is read, how it is differentiated, and by what methods it can be descended."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope.formulas import book, evaluate, numpy_functions
from downslope.lab.replies._request import Request, plain, shown

_STARTS = (4.0, 3.0, 2.0, 1.0)  # of the first variables; any further one starts at 1
_SCALES = (1.0, 0.5, 0.1, -1.0, 10.0, 100.0)
_STEEPEST, _FLATTEST = 1e6, 1e-9
_NUDGE = 1e-6


def read(told: dict[str, Any]) -> dict[str, Any]:
    """Return how a formula is read: its name, its variables, notes, and a start that suits it."""
    objective = Request(told).objective
    formula = objective.formula
    assert formula is not None
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "variables": list(objective.names or ()),
        "notes": list(formula.notes),
        "start": start_of(formula),
    }


def derive(told: dict[str, Any]) -> dict[str, Any]:
    """Return the derivative by each variable, with the rules used."""
    formula = Request(told).objective.formula
    assert formula is not None
    return {"derivations": [_derivation(formula, name) for name in formula.variables]}


def methods(told: dict[str, Any]) -> dict[str, Any]:
    """Return the methods there are."""
    known = [ds.method(name) for name in ds.method_names()]
    return {
        "methods": [
            {
                "name": one.name,
                "takes_rate": one.takes_rate,
                "default_rate": one.default_rate if one.takes_rate else None,
            }
            for one in known
        ]
    }


def start_of(formula: ds.Formula) -> dict[str, float]:
    """Return a start for a formula: one where it has a value and a slope that is neither none nor enormous."""
    names = formula.variables
    pattern = [_STARTS[place] if place < len(_STARTS) else 1.0 for place in range(len(names))]
    points = [[scale * number for number in pattern] for scale in _SCALES]
    steepness = [_steepness(formula, point) for point in points]
    fit = (point for point, steep in zip(points, steepness, strict=True) if _FLATTEST < steep < _STEEPEST)
    chosen = next(fit, None) or next(
        (point for point, steep in zip(points, steepness, strict=True) if np.isfinite(steep)), points[0]
    )
    return {name: float(f"{number:.6g}") for name, number in zip(names, chosen, strict=True)}


def _steepness(formula: ds.Formula, point: list[float]) -> float:
    """Return about how steep the formula is at a point, NaN where it has no value."""
    there, functions = np.array(point), numpy_functions()

    def value(at: np.ndarray) -> float:
        named = dict(zip(formula.variables, map(float, at), strict=True))
        try:
            with np.errstate(all="ignore"):
                return float(evaluate(formula.body, named, functions))
        except (ArithmeticError, ValueError):
            return np.nan

    moves = _NUDGE * np.eye(len(there))
    return math.hypot(*((value(there + move) - value(there - move)) / (2 * _NUDGE) for move in moves))


def _derivation(formula: ds.Formula, by: str) -> dict[str, Any]:
    found = ds.derive(formula, by)
    told = found.as_dict()
    return {"by": by, "derivative": book(found.root.after), "steps": [_step(step) for step in told["steps"]]}


def _step(step: dict[str, Any]) -> dict[str, str]:
    bindings = ", ".join(f"{name} = {told}" for name, told in step["bindings"].items())
    return {
        "number": step["number"],
        "rule": step["rule"].replace("_", " "),
        "from": step["before"],
        "to": step["after"],
        "text": step["sentence"],
        "law": f"{step['law']} with {bindings}" if bindings else step["law"],
    }


# Which learning rates are stable from here, and which is best.


_NONE = {"stable": None, "bound": None, "best": None, "slider": None, "curve": None}
_MOST_STEPS = 2000


def rates(told: dict[str, Any]) -> dict[str, Any]:
    """Return how every rate does: the stable range, the best, and the value at the end by rate."""
    request = Request(told)
    made = request.plan
    if not made.method.takes_rate:
        return {**_NONE, "text": f"{made.method.name} finds the length of each step by itself."}
    steps = min(max(made.steps, 1), _MOST_STEPS)
    found = ds.sweep(made.objective, dict(made.start), method=made.method, steps=steps)
    low, high = float(found.rates[0]), float(found.rates[-1])
    bound = found.largest_stable_rate
    return {
        "stable": None if bound is None else [low, bound],
        "bound": plain(bound),
        "best": plain(found.best_rate),
        "slider": [low, high],
        "curve": {"rates": shown(found.rates), "values": shown(found.values)},
        "text": _text(bound, found.best_rate),
    }


def _text(bound: float | None, best: float) -> str:
    if bound is None:
        return f"Best α = {number(best, 3)}; this method has no fixed bound."
    return f"Stable up to α = {number(bound, 3)}, best α = {number(best, 3)}."
