"""The conventional parameters among equivalent ones: positive widths, like terms in order, phases within ±π.

Many parameter vectors give the same curve: a Gaussian with width −σ, two exponentials swapped, a phase plus 2π. A fit
ends at any of them by chance. The candidates follow from the equation; each is checked on the data before it is kept,
so that a wrong guess about a symmetry can do no harm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from downslope._types import Columns
from downslope.fitting._model import EquationModel
from downslope.formulas import divisors, evaluate, interchangeable, linear_names, numpy_functions, wave_arguments

_SAME = 1e-9  # of the range of the predictions: two curves nearer than this are one


@dataclass(frozen=True)
class Rewriting:
    """A change of the parameters that leaves the curve unchanged.

    Args:
        of: by parameter, the source whose value it takes, the sign of that value, and the number added.
    """

    of: Mapping[str, tuple[str, float, float]]

    def __call__(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters after the change."""
        return {name: sign * values[source] + shift for name, (source, sign, shift) in self.of.items()}

    def permuted(self, sources: Mapping[str, str]) -> Rewriting:
        """Return this change followed by a permutation, with the source of each name that moves."""
        return Rewriting({name: self.of[sources.get(name, name)] for name in self.of})

    def negated(self, names: Sequence[str]) -> Rewriting:
        """Return this change followed by a change of sign of some parameters."""
        negated = {name: (source, -sign, -shift) for name, (source, sign, shift) in self.of.items() if name in names}
        return Rewriting({**self.of, **negated})

    def shifted(self, name: str, by: float) -> Rewriting:
        """Return this change followed by adding a number to a parameter."""
        source, sign, shift = self.of[name]
        return Rewriting({**self.of, name: (source, sign, shift + by)})


def as_written(model: EquationModel, parameters: Mapping[str, float], columns: Columns) -> Rewriting:
    """Return the change to the conventional parameters of the same curve.

    Interchangeable terms are put in ascending order of the first parameter that the model is not linear in; in
    descending order if that parameter divides, so that rates and periods give the same order. Such a parameter is made
    positive where that leaves the curve unchanged, possibly together with the sign of another. A phase is reduced to
    half a period on either side of 0, and a negative amplitude becomes a phase shift by half a period.

    Args:
        model: the equation.
        parameters: the fitted values, by name.
        columns: the data.
    """
    return _ConventionalForm(model, parameters, columns).rewriting()


class _ConventionalForm:
    """Builds up the change: tries one candidate after another and keeps those that leave the curve unchanged."""

    def __init__(self, model: EquationModel, parameters: Mapping[str, float], columns: Columns) -> None:
        self._model = model
        self._parameters = parameters
        self._columns = columns
        self._target = model.predicted(parameters, columns)
        self._now = Rewriting({name: (name, 1.0, 0.0) for name in parameters})
        self._linear = linear_names(model.equation.right.body, model.parameters)
        others = [name for name in model.parameters if name not in self._linear]
        self._phases = [name for name in others if model.dimensions[name] == {}]
        self._others = others

    def rewriting(self) -> Rewriting:
        """Return the composition of all changes that were kept."""
        self._order()
        for name in self._others:
            self._make_positive(name)
        for name in self._others:
            self._reduce_phase(name)
        self._order()
        return self._now

    def _take(self, change: Rewriting) -> bool:
        """Keep a change if it leaves the predictions unchanged, and return whether it did."""
        predictions = self._model.predicted(change(self._parameters), self._columns)
        same = np.allclose(predictions, self._target, rtol=_SAME, atol=_SAME * np.ptp(self._target))
        if same:
            self._now = change
        return bool(same)

    def _order(self) -> None:
        """Sort interchangeable terms."""
        body = self._model.equation.right.body
        for group in interchangeable(body, self._model.parameters):
            values = self._now(self._parameters)
            # Amplitudes tie and cross; a rate or a position, which enters nonlinearly, tells terms apart.
            key = next((index for index, name in enumerate(group[0]) if name not in self._linear), 0)
            falling = group[0][key] in divisors(body)
            rows = sorted(group, key=lambda term, at=key: values[term[at]], reverse=falling)
            self._now = self._now.permuted(dict(zip(itertools.chain(*group), itertools.chain(*rows), strict=True)))

    def _make_positive(self, name: str) -> None:
        """Make a negative parameter positive, changing the signs of others with it where needed."""
        if self._now(self._parameters)[name] >= 0:
            return
        phases = [other for other in self._phases if other != name]
        # The smallest change first: alone (an even function), with an amplitude or a phase (an odd one), with both.
        pairs = itertools.product(phases, self._linear)
        for also in ((), *((other,) for other in (*self._linear, *phases)), *pairs):
            if self._take(self._now.negated((name, *also))):
                return

    def _reduce_phase(self, name: str) -> None:
        """Move a phase to within half a period of 0, and turn a negative amplitude into a shift by half a period."""
        period = fixed_period(self._model, name, self._now(self._parameters), self._columns)
        if period is None:
            return
        turns = round(self._now(self._parameters)[name] / period)
        if turns and not self._take(self._now.shifted(name, -period * turns)):
            return
        values = self._now(self._parameters)
        half = -math.copysign(period / 2, values[name])
        for amplitude in self._linear:
            if values[amplitude] < 0 and self._take(self._now.negated((amplitude,)).shifted(name, half)):
                return


def fixed_period(
    model: EquationModel, name: str, values: Mapping[str, float], columns: Columns, *, of_others: bool = False
) -> float | None:
    """Return the period of a phase: what can be added to it without any change of the curve.

    Args:
        model: the equation.
        name: a parameter.
        values: all parameters.
        columns: the data.
        of_others: whether to return a period that other parameters decide, instead of one that is fixed.

    Returns:
        None for a parameter that is no phase.
    """
    slopes, depends = [], False
    for argument in wave_arguments(model.equation.right.body, name):
        for shares in (values, {**values, **{other: 1.1 * values[other] + 0.1 for other in values if other != name}}):
            with np.errstate(all="ignore"):
                at = [
                    np.asarray(evaluate(argument, {**columns, **shares, name: shift}, numpy_functions()), float)
                    for shift in (0.0, 1.0, 2.0)
                ]
            first, second = (np.unique(np.round(later - earlier, 9)) for earlier, later in itertools.pairwise(at))
            # A phase enters linearly, with the same slope in every row.
            if len(first) != 1 or len(second) != 1 or not np.isclose(first[0], second[0]) or first[0] == 0:
                return None
            slopes.append(float(np.mean(at[1] - at[0])))
        depends |= not np.isclose(slopes[-1], slopes[-2])
    if not slopes or depends != of_others or not np.all(np.isfinite(slopes)):
        return None
    return math.tau / abs(slopes[0])


def turns_of(change: Rewriting, model: EquationModel, values: Mapping[str, float], columns: Columns) -> dict[str, int]:
    """Return by how many whole periods a change moves phases, by name."""
    turns = {}
    for name, (_, _, shift) in change.of.items():
        period = fixed_period(model, name, values, columns) if shift else None
        if period is not None and round(shift / period):
            turns[name] = round(shift / period)
    return turns


def turns_home(model: EquationModel, values: Mapping[str, float], columns: Columns) -> dict[str, int]:
    """Return how many periods phases lie away from 0, or from the data where 0 is outside, by name.

    Only phases whose period is fitted as well: to move them changes their covariance with the period.
    """
    away = {}
    for name in model.parameters:
        period = fixed_period(model, name, values, columns, of_others=True)
        if period is None:
            continue
        powers = model.dimensions[name] or {}
        origin = 0.0
        if list(powers.values()) == [1.0] and next(iter(powers)) in columns:
            column = columns[next(iter(powers))]
            origin = 0.0 if column.min() <= 0 <= column.max() else float(column.min())
        turns = math.floor((values[name] - origin) / period) if origin else round(values[name] / period)
        if turns:
            away[name] = turns
    return away
