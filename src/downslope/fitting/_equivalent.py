"""Of the many ways to write one curve, the one that people write: widths above zero, like terms in order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from downslope._types import Columns
from downslope.fitting._model import Model
from downslope.formulas import interchangeable, linear_names

_SAME = 1e-9


def as_written(model: Model, parameters: Mapping[str, float], columns: Columns) -> dict[str, float]:
    """Return parameters that give the same curve, with signs and order as a person would choose them.

    A parameter that the model is not linear in is made positive where that changes nothing but perhaps the sign of one
    that it is linear in; terms that may change places are put in ascending order of the first such parameter.

    Args:
        model: the equation.
        parameters: what was found, by name.
        columns: the data.
    """
    found = dict(parameters)
    body = model.equation.right.body
    linear = linear_names(body, model.parameters)
    for group in interchangeable(body, model.parameters):
        found |= _ordered(group, linear, found)
    wanted = model.predicted(found, columns)
    for name in model.parameters:
        if name not in linear and found[name] < 0:
            found = _positive(model, name, linear, found, columns, wanted)
    for group in interchangeable(body, model.parameters):
        found |= _ordered(group, linear, found)
    return found


def alike(found: Mapping[str, float], written: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Return other parameters with their places and signs changed as those of `found` were to be `written`."""
    left = list(found)
    changed = {}
    for name, value in written.items():
        source = next(one for one in (name, *left) if one in left and abs(found[one]) == abs(value))
        left.remove(source)
        changed[name] = other[source] if found[source] == value else -other[source]
    return changed


def _ordered(
    group: tuple[tuple[str, ...], ...], linear: tuple[str, ...], found: Mapping[str, float]
) -> dict[str, float]:
    """Return the parameters of like terms, the terms in ascending order."""
    place = next((place for place, name in enumerate(group[0]) if name not in linear), 0)
    rows = sorted(([found[name] for name in term] for term in group), key=lambda row: row[place])
    return dict(zip(itertools.chain(*group), itertools.chain(*rows), strict=True))


def _positive(
    model: Model,
    name: str,
    linear: tuple[str, ...],
    found: dict[str, float],
    columns: Columns,
    wanted: np.ndarray,
) -> dict[str, float]:
    """Return the parameters with one made positive, if the curve stays as it is."""
    for also in ((), *((other,) for other in linear)):
        changed = found | {one: -found[one] for one in (name, *also)}
        if np.allclose(model.predicted(changed, columns), wanted, rtol=_SAME, atol=_SAME * np.ptp(wanted)):
            return changed
    return found
