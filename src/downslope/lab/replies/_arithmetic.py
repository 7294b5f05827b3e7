"""The arithmetic of a step, as it is written by hand: x = 0.4 − 0.1 × (−3.2) = 0.72."""

from __future__ import annotations

import numpy as np

import downslope as ds
from downslope._text import number
from downslope.lab.replies._writing import enclosed

_DIGITS = 5


def lines(trace: ds.Trace, rows: np.ndarray) -> list[list[str]]:
    """Return for each row how it leads to the next step, a line for each variable; nothing for the last row.

    Gradient descent is written with its rate and gradient; the step of another method as what it moved by.

    Args:
        trace: a descent that kept its coordinates.
        rows: the places of the rows that are shown.
    """
    points, gradients = trace.coordinates, trace.gradients
    assert points is not None
    assert gradients is not None
    rates = trace.columns["learning_rate"]
    by_hand = trace.plan["method"] == "gradient descent"
    told = []
    for row in rows:
        if row + 1 >= len(points) or not np.all(np.isfinite(points[row + 1])):
            told.append([])
            continue
        told.append(
            [
                _with_rate(name, points[row, place], float(rates[row]), gradients[row, place], points[row + 1, place])
                if by_hand
                else _moved(name, points[row, place], points[row + 1, place])
                for place, name in enumerate(trace.coordinate_names)
            ]
        )
    return told


def _with_rate(name: str, at: float, rate: float, slope: float, then: float) -> str:
    start, by, end = (number(value, _DIGITS) for value in (at, rate, then))
    return f"{name} = {start} − {by} × {enclosed(slope, _DIGITS)} = {end}"


def _moved(name: str, at: float, then: float) -> str:
    sign = "+" if then >= at else "−"
    return f"{name} = {number(at, _DIGITS)} {sign} {number(abs(then - at), _DIGITS)} = {number(then, _DIGITS)}"
