"""Multistart: the verb from an objective and a box to the valleys in it, and which start falls into which."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope._errors import SettingError, whole
from downslope._types import Point
from downslope.descent import Objective, objective
from downslope.ensembles._basins import Basin, gathered, heights
from downslope.ensembles._descents import by_method, to_the_bottom
from downslope.ensembles._report import valleys_as_html, valleys_as_text
from downslope.ensembles._space import Space, space_of
from downslope.methods import method

_STEPS = 1000
_MOST_STARTS = 10_000_000


@dataclass(frozen=True, eq=False)
class Multistart:
    """Where descents from many starts ended.

    Args:
        basins: the places where they ended, the lowest first.
        starts: shape (starts, size).
        ends: shape (starts, size).
        values: the objective at each end, shape (starts,).
        basin: the place in `basins` of each start, shape (starts,); −1 for descents that met what is no finite number
            or went down without end.
        names: a name for each coordinate.
        evaluations: of value and gradient, in all.
        objective: what was descended.
        space: where the starts were drawn.
    """

    basins: tuple[Basin, ...]
    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    basin: np.ndarray
    names: tuple[str, ...]
    evaluations: int
    objective: Objective = field(repr=False)
    space: Space = field(repr=False)

    @property
    def lowest(self) -> Basin | None:
        """The lowest place that was found, None if no descent ended at a finite one."""
        return self.basins[0] if self.basins else None

    @property
    def lost(self) -> int:
        """How many descents met what is no finite number, or went down without end."""
        return int(np.sum(self.basin < 0))

    def as_dict(self) -> dict[str, Any]:
        """Return what was found as plain data, for JSON."""
        return {
            "read_as": self.objective.read_as,
            "starts": len(self.starts),
            "evaluations": self.evaluations,
            "basins": [basin.as_dict() for basin in self.basins],
            "lost": self.lost,
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """What was found, in a sentence."""
        from downslope.ensembles._report import sentence_on_valleys

        return sentence_on_valleys(self)

    def __str__(self) -> str:
        return valleys_as_text(self)

    def __repr__(self) -> str:
        return f"<Multistart of {len(self.starts)} starts, {len(self.basins)} basins>"

    def _repr_html_(self) -> str:
        return valleys_as_html(self)


def multistart(
    thing: Any,
    bounds: Any = None,
    *,
    spread: Any = None,
    centre: Point | None = None,
    starts: int = 1000,
    method: Any = None,
    learning_rate: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    data: Any = None,
    **settings: float,
) -> Multistart:
    """Go down from many starts, and gather where they end into valleys.

    Without a method each start follows −∇f in small steps, so that it stays in the valley it lies in, and BFGS and
    Newton's method then go to the very bottom. With one, every start takes its steps as `descend` would, without a
    record, and ends where they end.

    Args:
        thing: a formula's text, a Formula, a JAX function of a point, or an Objective.
        bounds: (low, high) of every variable by name; for a function, a pair of points. Starts fill the box evenly and
            descents stay inside it.
        spread: instead of bounds, the standard deviation of starts about the centre, a number or numbers by name.
        centre: the middle of that cloud; 0 if None.
        starts: how many.
        method: a method of `descend`, or None for the way described above.
        learning_rate: its rate α; the method's own default if None.
        steps: its steps; 1000 if None.
        seed: seed of the starts.
        data: the table of a formula's data columns.
        settings: settings of the method.

    Returns:
        The valleys with their bottoms, values, kinds and shares, and the valley of each start.

    Raises:
        PointError: for bounds or a spread that make no sense.
        SettingError: for a number of starts or a method that makes none.

    >>> found = multistart("x⁴ - 4x² + x", bounds={"x": (-3, 3)})
    >>> [round(basin.point["x"], 3) for basin in found.basins]
    [-1.473, 1.347]
    """
    made = objective(thing, data)
    starts = whole("starts", starts, most=_MOST_STARTS)
    space = space_of(made, bounds, spread, centre)
    begun = space.drawn(starts, seed)
    if method is None:
        if learning_rate is not None or steps is not None or settings:
            given = next(iter(settings), "learning_rate" if learning_rate is not None else "steps")
            raise SettingError(f"{given} needs a method", hint="for example method='gradient descent'")
        ended = to_the_bottom(space, begun)
    else:
        ended = by_method(space, begun, *_chosen(method, learning_rate, steps, settings))
    basins, basin = gathered(space, ended.points)
    return Multistart(
        basins=basins,
        starts=begun,
        ends=ended.points,
        values=heights(space, ended.points),
        basin=basin,
        names=space.rows.names,
        evaluations=ended.evaluations,
        objective=made,
        space=space,
    )


def _chosen(way: Any, learning_rate: float | None, steps: int | None, settings: Any) -> tuple[Any, float, int]:
    """Return the method, its rate and its steps, checked."""
    chosen = method(way, **settings)
    known = chosen.takes_rate
    if learning_rate is not None and not known:
        raise SettingError(f"{chosen.name} takes no learning rate")
    rate = chosen.default_rate if learning_rate is None else float(learning_rate)
    if not (math.isfinite(rate) and rate > 0):
        raise SettingError(f"the learning rate must be above 0, not {rate}")
    count = _STEPS if steps is None else whole("steps", steps, least=0)
    return chosen, rate if known else math.nan, count
