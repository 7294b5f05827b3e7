"""Errors in the columns of the right side: orthogonal distances.

Where a column x has deviations σₓ of its own, the squares are minimised over the parameters p and over a shift δ of
each x,

    S = Σ ((f(xᵢ + δᵢ; p) − yᵢ)/σᵢ)² + Σ (δᵢ/σₓᵢ)².

The shifts of a row depend on p alone, so they are solved for within every evaluation, and a fit sees one residual a
row, ρ with ρ² the row's part of S at the best shift. There dS/dδ = 0, that is δⱼ = −σⱼ² fⱼ (f − y)/σ² with fⱼ the slope
by column j. By the envelope theorem dρ²/dp = 2 (f − y)/σ² · df/dp, and with ρ² = (f − y)²/σ² · (σ² + Σ σⱼ²fⱼ²)/σ²

    dρ/dp = df/dp / √(σ² + Σ σⱼ²fⱼ²)          at x + δ.

JᵀJ of these slopes is what is left of the full problem's when its shifts are eliminated, so covariances are those of
ODRPACK, and profiles and regions follow as for any other squares.

Reference: Boggs, Byrd and Schnabel, "A stable and efficient algorithm for nonlinear orthogonal distance regression",
SIAM J. Sci. Stat. Comput. 8, 1987.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from downslope._errors import DataError, SettingError, described, nearest
from downslope._text import listed
from downslope._types import Columns
from downslope.formulas import ARRAYS, Formula, NumericFormula, with_limits

_TRIES = 100  # steps of the shifts; most settle within ten
TRIES_IN_JAX = 30  # of a compiled program, which has a fixed number of them; it draws pictures
_SETTLED = 1e-11  # of a deviation: a shift whose next step is shorter has settled
_ROUNDING = 4e-15
_NEAR = 1e-5  # of a deviation: a shorter step changes the squares by less than their rounding, which decides nothing
_SHORTEST = 1e-9  # a share of a step that is still too long: no step helps

At = Callable[[Any], tuple[Any, Any]]
ValueAndSlopes = Callable[[Sequence[Any]], tuple[Any, Sequence[Any]]]


class Shifts(NamedTuple):
    """The shifts of columns with errors, column by column and row by row.

    Args:
        shift: δ, shape (columns, …, rows).
        predicted: the right side there, shape (…, rows).
        slopes: its slopes by the columns, shape (columns, …, rows).
        squares: each row's part of S, shape (…, rows).
        share: which share of a step is tried next, shape (…, rows).
        length: of the last whole step, in deviations, shape (…, rows).
    """

    shift: Any
    predicted: Any
    slopes: Any
    squares: Any
    share: Any
    length: Any


def _settled(at: At, measured: Any, weight: Any, deviations: np.ndarray, columns: np.ndarray) -> Shifts:
    """Return the best shifts.

    Args:
        at: from shifts to the right side and its slopes by the columns.
        measured: the left side, shape (rows,).
        weight: 1/σ of the left side, shape (rows,).
        deviations: of the columns, shape (columns, …, rows); 0 for a cell without error.
        columns: the columns with errors, shaped likewise.
    """
    state = begin(np, at, measured, weight, deviations)
    least = np.max(_SETTLED + _ROUNDING * np.abs(columns) / np.where(deviations > 0, deviations, 1.0), axis=0)
    for _ in range(_TRIES):
        state = step(np, at, measured, weight, deviations, state)
        if not np.any((state.length > least) & (state.share > _SHORTEST)):
            break
    return state


def movable_model(
    right: Any, free: tuple[str, ...], known: Mapping[str, Any], columns: Columns, moved: tuple[str, ...]
) -> NumericFormula:
    """Return the right side as a function of the parameters, and of the columns with errors after them.

    Args:
        right: the right side.
        free: the parameters.
        known: everything else that it takes, the columns included.
        columns: the columns.
        moved: those with errors.
    """
    if any(np.any(columns[name] == 0) for name in moved):
        right = with_limits(right, frozenset(columns))
    rest = {name: value for name, value in known.items() if name not in moved}
    return NumericFormula(Formula(None, (*free, *moved), right, tuple(rest)), ARRAYS, rest)


def settled_slopes(
    value_and_slopes: ValueAndSlopes,
    point: Sequence[Any],
    shaped: Callable[[Any], np.ndarray],
    measured: Any,
    weight: Any,
    deviations: np.ndarray,
    columns: np.ndarray,
) -> tuple[Shifts, list[np.ndarray]]:
    """Return the best shifts, and the slopes of the right side by the parameters there.

    Args:
        value_and_slopes: from parameters and columns to the right side, and its slopes by all of them.
        point: the parameters.
        shaped: gives a value that may be the same for all rows their shape.
        measured: the left side, shape (rows,).
        weight: 1/σ of the left side, shape (rows,).
        deviations: of the columns, shape (columns, …, rows).
        columns: the columns with errors, shaped likewise.
    """

    def linear(shift: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        value, slopes = value_and_slopes([*point, *(columns + shift)])
        return shaped(value), [shaped(slope) for slope in slopes]

    def at(shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        predicted, slopes = linear(shift)
        along = np.stack(slopes[len(point) :])
        return predicted, np.where(np.isfinite(along), along, 0.0)

    best = _settled(at, measured, weight, deviations, columns)
    return best, linear(best.shift)[1][: len(point)]


def begin(numpy: ModuleType, at: At, measured: Any, weight: Any, deviations: Any) -> Shifts:
    """Return shifts of 0."""
    shift = numpy.zeros_like(deviations)
    predicted, slopes = at(shift)
    shift = shift + 0.0 * slopes
    squares = ((predicted - measured) * weight) ** 2
    return Shifts(shift, predicted, slopes, squares, numpy.ones_like(squares), numpy.ones_like(squares))


def step(numpy: ModuleType, at: At, measured: Any, weight: Any, deviations: Any, state: Shifts) -> Shifts:
    """Try a Gauss–Newton step of each row's shifts; a row whose squares rise tries half of it next."""
    lean = deviations * deviations * state.slopes
    variance = 1 / weight**2 + numpy.sum(lean * state.slopes, axis=0)
    straight = state.predicted - measured - numpy.sum(state.slopes * state.shift, axis=0)
    whole = -lean * straight / variance - state.shift
    tried = state.shift + state.share * whole
    predicted, slopes = at(tried)
    unit = numpy.where(deviations > 0, deviations, 1.0)
    apart = tried / unit
    length = numpy.max(numpy.abs(whole) / unit, axis=0)
    squares = ((predicted - measured) * weight) ** 2 + numpy.sum(apart * apart, axis=0)
    good = (squares <= state.squares) | ((length < _NEAR) & numpy.isfinite(squares))
    return Shifts(
        numpy.where(good, tried, state.shift),
        numpy.where(good, predicted, state.predicted),
        numpy.where(good, slopes, state.slopes),
        numpy.where(good, squares, state.squares),
        numpy.where(good, numpy.minimum(2 * state.share, 1.0), state.share / 2),
        length,
    )


def effective_weight(weight: Any, deviations: Any, slopes: Any) -> Any:
    """Return 1/√(σ² + Σ σⱼ²fⱼ²), which df/dp is multiplied by."""
    return weight / np.sqrt(1 + np.sum((deviations * slopes * weight) ** 2, axis=0))


def check_together(chosen: Mapping[str, Any], loss: str) -> None:
    """Raise for choices that errors in x do not go with.

    Raises:
        SettingError: for a loss other than squares, or where the measured column has no deviations.
    """
    if loss != "linear":
        raise SettingError(
            f"sigma_x is for least squares, not for the {loss.replace('_', '-')} loss", hint='loss="linear"'
        )
    if chosen["sigma"] is None and chosen["weights"] is None:
        raise SettingError(
            "sigma_x needs sigma: only the two together say how far a point may move in each direction",
            hint='for example sigma=0.5, sigma_x=0.1, or sigma="s_y", sigma_x="s_x"',
        )


def named_deviations(sigma_x: Any) -> tuple[str, ...]:
    """Return the columns that hold deviations."""
    values = sigma_x.values() if isinstance(sigma_x, Mapping) else (sigma_x,)
    return tuple(value for value in values if isinstance(value, str))


def by_column(sigma_x: Any, right: tuple[str, ...], left: tuple[str, ...], table: Any) -> dict[str, Any]:
    """Return deviations by the column that they belong to, as they were passed.

    Args:
        sigma_x: deviations of the only column on the right, or a mapping from columns to theirs.
        right: the columns of the right side.
        left: those of the left side.
        table: the table, which resolves names of columns.

    Raises:
        SettingError: where it is not clear which column they belong to.
        DataError: for a column that the right side does not have.
    """
    if not isinstance(sigma_x, Mapping):
        if len(right) != 1:
            several = f"the right side has the columns {listed(right)}" if right else "the right side has no column"
            example = ", ".join(f'"{name}": "s_{name}"' for name in right[:2])
            raise SettingError(
                f"sigma_x does not say to which column it belongs: {several}", hint=f"sigma_x={{{example}}}"
            )
        sigma_x = {right[0]: sigma_x}
    deviations = {}
    for key, value in sigma_x.items():
        if not isinstance(key, str):
            raise SettingError(f"the keys of sigma_x are names of columns, not {described(key)}")
        name = key if key in right else table.name_of(key)
        if name in left:
            raise SettingError(f"sigma_x: {name} is also on the left side, whose deviations are sigma")
        if name not in right:
            close = nearest(name, right)
            raise DataError(
                f"sigma_x: {name} is no column of the right side, which has {listed(right) or 'none'}",
                hint=f"did you mean {close}?" if close else None,
            )
        deviations[name] = table.name_of(value) if isinstance(value, str) else value
    if not deviations:
        raise SettingError("sigma_x names no column", hint="leave it out where columns have no errors")
    return deviations
