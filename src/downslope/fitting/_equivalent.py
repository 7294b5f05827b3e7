"""Of the many ways to write one curve the one that people write: positive widths, like terms in order, small phases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from downslope._types import Columns
from downslope.fitting._model import EquationModel
from downslope.formulas import divisors, interchangeable, linear_names

_SAME = 1e-9


@dataclass(frozen=True)
class Rewriting:
    """Other values for a curve's parameters that leave it as it is.

    Args:
        of: for each name the parameter whose value it gets, that value's sign, and what is added.
    """

    of: Mapping[str, tuple[str, float, float]]

    def __call__(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the new values."""
        return {name: sign * values[source] + shift for name, (source, sign, shift) in self.of.items()}

    def permuted(self, places: Mapping[str, str]) -> Rewriting:
        """Return the rewriting after which some names get what others had."""
        return Rewriting({name: self.of[places.get(name, name)] for name in self.of})

    def negated(self, names: Sequence[str]) -> Rewriting:
        """Return the rewriting after which some signs are turned."""
        turned = {name: (source, -sign, -shift) for name, (source, sign, shift) in self.of.items() if name in names}
        return Rewriting({**self.of, **turned})

    def shifted(self, name: str, by: float) -> Rewriting:
        """Return the rewriting after which something is added to a parameter."""
        source, sign, shift = self.of[name]
        return Rewriting({**self.of, name: (source, sign, shift + by)})


def as_written(model: EquationModel, parameters: Mapping[str, float], columns: Columns) -> Rewriting:
    """Return how to write the same curve with signs and order as a person would choose them.

    Terms that may change places are put in ascending order of the first parameter that the model is not linear in; in
    descending order if that one divides, so that rates and periods give the same order. Such a parameter is made
    positive where that leaves the curve as it is, perhaps with the sign of another. A phase is brought between −π and
    π, and the sign of an amplitude into it.

    Args:
        model: the equation.
        parameters: what was found, by name.
        columns: the data.
    """
    return _Convention(model, parameters, columns).rewriting()


class _Convention:
    """Tries one change after another, and keeps those that leave the curve as it is."""

    def __init__(self, model: EquationModel, parameters: Mapping[str, float], columns: Columns) -> None:
        self._model = model
        self._parameters = parameters
        self._columns = columns
        self._wanted = model.predicted(parameters, columns)
        self._now = Rewriting({name: (name, 1.0, 0.0) for name in parameters})
        self._linear = linear_names(model.equation.right.body, model.parameters)
        others = [name for name in model.parameters if name not in self._linear]
        self._phases = [name for name in others if model.dimensions[name] == {}]
        self._others = others

    def rewriting(self) -> Rewriting:
        """Return all changes, one after the other."""
        self._order()
        for name in self._others:
            self._make_positive(name)
        for name in self._phases:
            self._turn(name)
        self._order()
        return self._now

    def _take(self, change: Rewriting) -> bool:
        """Keep a change if it leaves the curve as it is."""
        reached = self._model.predicted(change(self._parameters), self._columns)
        same = np.allclose(reached, self._wanted, rtol=_SAME, atol=_SAME * np.ptp(self._wanted))
        if same:
            self._now = change
        return bool(same)

    def _order(self) -> None:
        """Put like terms in order."""
        body = self._model.equation.right.body
        for group in interchangeable(body, self._model.parameters):
            values = self._now(self._parameters)
            place = next((place for place, name in enumerate(group[0]) if name not in self._linear), 0)
            falling = group[0][place] in divisors(body)
            rows = sorted(group, key=lambda term, at=place: values[term[at]], reverse=falling)
            self._now = self._now.permuted(dict(zip(itertools.chain(*group), itertools.chain(*rows), strict=True)))

    def _make_positive(self, name: str) -> None:
        """Turn the sign of a parameter below zero, with those of others where it takes that."""
        if self._now(self._parameters)[name] >= 0:
            return
        phases = [other for other in self._phases if other != name]
        pairs = itertools.product(phases, self._linear)
        for also in ((), *((other,) for other in (*self._linear, *phases)), *pairs):
            if self._take(self._now.negated((name, *also))):
                return

    def _turn(self, name: str) -> None:
        """Bring a phase between −π and π, and the sign of an amplitude into it."""
        value = self._now(self._parameters)[name]
        turns = round(value / math.tau)
        if turns and not self._take(self._now.shifted(name, -math.tau * turns)):
            return
        values = self._now(self._parameters)
        half = -math.copysign(math.pi, values[name])
        for amplitude in self._linear:
            if values[amplitude] < 0 and self._take(self._now.negated((amplitude,)).shifted(name, half)):
                return
