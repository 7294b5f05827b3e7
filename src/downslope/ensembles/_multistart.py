"""Multistart: the verb from an objective and a box to the valleys in it, and which start falls into which."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope._errors import SettingError, whole
from downslope._text import aligned, html_table, number
from downslope._types import Point
from downslope.descent import Objective, objective
from downslope.ensembles._basins import Basin, gathered, heights, level, place_in_words, relief, shown_row
from downslope.ensembles._descents import by_method, to_the_bottom
from downslope.ensembles._space import Space, space_of
from downslope.methods import method

# Valleys as a short report, in text and in HTML.


_MOST_ROWS = 12
_TABLE_COLUMNS = 6
_NOTHING = 1e-15  # a value so near to 0 is 0 but for rounding


def valleys_as_text(found: Multistart) -> str:
    """Return the report as aligned lines."""
    hidden = len(found.basins) - _MOST_ROWS
    more = [f"… and {hidden} more"] if hidden > 0 else []
    table = aligned(valleys(found), words={1})
    return "\n".join([f"Read as  {found.objective.read_as}", "", *table, *more, "", found.sentence])


def valleys_as_html(found: Multistart) -> str:
    """Return the report as an HTML table."""
    return f"{html_table(valleys(found), found.objective.read_as)}<p>{html.escape(found.sentence)}</p>"


def valleys(found: Multistart) -> list[tuple[str, ...]]:
    """Return the lowest basins as rows of text, the headings first."""
    names = found.names[:_TABLE_COLUMNS]
    dots = ("…",) if len(found.names) > _TABLE_COLUMNS else ()
    rows = [("", "kind", found.objective.name, *names, *dots, "starts")]
    for place, basin in enumerate(found.basins[:_MOST_ROWS]):
        deepest = level(basin.value, found.basins[0].value, relief(found.space))
        kind = ("lowest " if deepest else "local ") + basin.kind if basin.kind == "minimum" else basin.kind
        numbers = shown_row(found.space, basin)[:_TABLE_COLUMNS]
        share = f"{100 * basin.share:.3g} %"
        value = basin.value if abs(basin.value) > _NOTHING else 0.0
        rows.append((str(place + 1), kind, number(value), *map(number, numbers), *dots, share))
    return rows


def sentence_on_valleys(found: Multistart) -> str:
    """Return what was found, in a sentence or two."""
    count, starts = len(found.basins), len(found.starts)
    lost = f" {found.lost} of them met no finite number, or went down without end." if found.lost else ""
    lowest = found.lowest
    if lowest is None:
        return f"None of {starts} descents ended at a finite place.{lost}"
    if found.basins[-1].kind == "other":
        count -= 1
        places = f"more than {count} places"
    else:
        places = _counted(count)
    where = place_in_words(found.names, shown_row(found.space, lowest))
    if lowest.kind != "minimum":
        begin = f"{starts} descents ended at {places}; the lowest, {number(lowest.value)} at {where}, is "
        return begin + f"{_article(lowest.kind)}.{lost}"
    begin = f"{starts} descents ended at {places}; the lowest is {number(lowest.value)} at {where}."
    return begin + _others(found.basins, relief(found.space)) + lost


def _others(basins: Sequence[Basin], rise: float) -> str:
    """Return what the basins are beside the lowest, which comes first, on ground of some relief."""
    minima = [basin for basin in basins[1:] if basin.kind == "minimum"]
    deep = sum(level(basin.value, basins[0].value, rise) for basin in minima)
    local = len(minima) - deep
    tied = f" {deep} other{'s are' if deep > 1 else ' is'} as deep." if deep else ""
    other = "The other minimum is" if local == 1 else f"The other {local} minima are"
    return tied + (f" {other} local." if local else "")


def _counted(count: int) -> str:
    return "one place" if count == 1 else f"{count} places"


def _article(kind: str) -> str:
    return {
        "edge": "on the edge: the value falls on beyond the bounds",
        "not at rest": "not at rest yet",
        "flat": "on flat ground",
    }.get(kind, f"a {kind}")


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
        names=space.layout.names,
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
