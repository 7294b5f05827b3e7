"""Descend from many starts, and group the starts by the basin that they end in."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from downslope._choices import checked, defaults, door
from downslope._errors import SettingError
from downslope._text import aligned, html_table, number
from downslope._types import Point, plain
from downslope.descent import Objective, chosen_engine, obstacle, settings_of_own
from downslope.descent import objective as objective_of
from downslope.ensembles._basins import Basin, gathered, heights, is_far, level, point_in_words, relief, shown_row
from downslope.ensembles._choices import MultistartChoices
from downslope.ensembles._descents import bottom_seconds, by_method, method_seconds, to_the_bottom
from downslope.ensembles._space import Space, space_of
from downslope.formulas import Formula
from downslope.methods import Method
from downslope.methods import method as method_of

_MOST_ROWS = 12
_TABLE_COLUMNS = 6
_ROUNDING = 1e-15  # a value nearer to 0 is shown as 0
_STEPS = 1000
_MOST_STARTS = 10_000_000


@dataclass(frozen=True, eq=False)
class Multistart:
    """The result of descents from many starts.

    Args:
        basins: the basins where they ended, the lowest first.
        starts: shape (starts, size).
        ends: shape (starts, size).
        values: the objective at each end, shape (starts,).
        basin: index in `basins` for each start, shape (starts,); −1 for descents that met a value that is not finite or
            were unbounded.
        names: a name for each coordinate.
        evaluations: number of evaluations of value and gradient.
        engine: what ran the descents, "numpy" or "jax".
        objective: the objective.
        space: the box or cloud that starts were drawn from.
    """

    basins: tuple[Basin, ...]
    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    basin: np.ndarray
    names: tuple[str, ...]
    evaluations: int
    engine: str
    objective: Objective = field(repr=False)
    space: Space = field(repr=False)

    @property
    def lowest(self) -> Basin | None:
        """The lowest basin; None if no descent ended at a finite point."""
        return self.basins[0] if self.basins else None

    @property
    def lost(self) -> int:
        """The number of descents that met a value that is not finite, or were unbounded."""
        return int(np.sum(self.basin < 0))

    @property
    def ran_away(self) -> int:
        """The number of descents that went so far away that the objective seems to be unbounded."""
        return int(np.sum((self.basin < 0) & is_far(self.space, self.ends)))

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        return plain(
            {
                "read_as": self.objective.read_as,
                "starts": len(self.starts),
                "evaluations": self.evaluations,
                "engine": self.engine,
                "basins": [basin.as_dict() for basin in self.basins],
                "lost": self.lost,
                "sentence": self.sentence,
            }
        )

    @property
    def sentence(self) -> str:
        """The result in a sentence or two."""
        return sentence_on_valleys(self)

    def __str__(self) -> str:
        return valleys_as_text(self)

    def __repr__(self) -> str:
        return f"<Multistart of {len(self.starts)} starts, {len(self.basins)} basins>"

    def _repr_html_(self) -> str:
        return valleys_as_html(self)


@door(MultistartChoices)
def multistart(
    objective: str | Formula | Objective | Callable[..., Any],
    bounds: Mapping[str, tuple[float, float]] | tuple[Point, Point] | None = None,
    **choices: Unpack[MultistartChoices],
) -> Multistart:
    """Descend from many starts, and group where they end into valleys.

    Without a method each start follows −∇f in small steps, so that it stays in the valley it lies in, and BFGS and
    Newton's method then go to the very bottom. With one, every start takes its steps as `descend` would, without a
    record, and ends where they end.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        bounds: (low, high) of every variable by name; for a function, a pair of points. Starts fill the box evenly and
            descents stay inside it.
        **choices: as in `MultistartChoices`.

    Returns:
        The valleys with their bottoms, values, kinds and shares, and the valley of each start.

    Raises:
        PointError: for bounds or a spread that make no sense.
        SettingError: for a number of starts or a method that makes none.

    >>> result = multistart("x⁴ - 4x² + x", bounds={"x": (-3, 3)})
    >>> [round(basin.point["x"], 3) for basin in result.basins]
    [-1.473, 1.347]
    """
    passed = checked(MultistartChoices, choices, also=("objective", "bounds"), settings=settings_of_own(choices))
    known = defaults(MultistartChoices)
    chosen = {**known, **passed}
    goal = objective_of(objective, chosen["data"], units=chosen["units"], table=chosen["table"])
    space = space_of(goal, bounds, chosen["spread"], chosen["centre"])
    points = space.drawn(chosen["starts"], chosen["seed"])
    settings = {name: value for name, value in passed.items() if name not in known}
    method, learning_rate, steps = chosen["method"], chosen["learning_rate"], chosen["steps"]
    if method is None:
        if learning_rate is not None or steps is not None or settings:
            needy = next(iter(settings), "learning_rate" if learning_rate is not None else "steps")
            raise SettingError(f"{needy} needs a method", hint="for example method='gradient descent'")
        seconds = lambda: bottom_seconds(space, len(points))  # noqa: E731 - as below
        engine = chosen_engine(chosen["engine"], obstacle(goal), seconds)
        ended = to_the_bottom(space, points, engine)
    else:
        how, rate, most = _method_with_rate(method, learning_rate, steps, settings)
        seconds = lambda: method_seconds(space, len(points), how, most)  # noqa: E731
        barrier = obstacle(goal) or (None if how.is_plain else "the method is an Optax transformation")
        engine = chosen_engine(chosen["engine"], barrier, seconds)
        ended = by_method(space, points, how, rate, most, engine)
    basins, basin = gathered(space, ended.points)
    return Multistart(
        basins=basins,
        starts=points,
        ends=ended.points,
        values=heights(space, ended.points),
        basin=basin,
        names=space.layout.names,
        evaluations=ended.evaluations,
        engine=engine,
        objective=goal,
        space=space,
    )


def _method_with_rate(
    method: Any, learning_rate: float | None, steps: int | None, settings: Mapping[str, float]
) -> tuple[Method, float, int]:
    """Return the method, its rate and its steps."""
    chosen = method_of(method, **settings)
    if learning_rate is not None and not chosen.takes_rate:
        raise SettingError(f"{chosen.name} takes no learning rate")
    rate = chosen.default_rate if learning_rate is None and chosen.takes_rate else learning_rate
    return chosen, math.nan if rate is None else rate, _STEPS if steps is None else steps


def valleys_as_text(result: Multistart) -> str:
    """Format the result as aligned text."""
    hidden = len(result.basins) - _MOST_ROWS
    more = [f"… and {hidden} more"] if hidden > 0 else []
    table = aligned(valleys(result), words={1})
    return "\n".join([f"Read as  {result.objective.read_as}", "", *table, *more, "", result.sentence])


def valleys_as_html(result: Multistart) -> str:
    """Format the result as an HTML table."""
    return f"{html_table(valleys(result), result.objective.read_as)}<p>{html.escape(result.sentence)}</p>"


def valleys(result: Multistart) -> list[tuple[str, ...]]:
    """Return the lowest basins as rows of text, headings first."""
    names = result.names[:_TABLE_COLUMNS]
    dots = ("…",) if len(result.names) > _TABLE_COLUMNS else ()
    rows = [("", "kind", result.objective.name, *names, *dots, "starts")]
    for position, basin in enumerate(result.basins[:_MOST_ROWS]):
        minima = [other.value for other in result.basins if other.kind == "minimum"]
        has_pole = any(other.kind == "pole" for other in result.basins)
        deepest = not has_pole and bool(minima) and level(basin.value, minima[0], relief(result.space))
        kind = ("lowest " if deepest else "local ") + basin.kind if basin.kind == "minimum" else basin.kind
        numbers = shown_row(result.space, basin)[:_TABLE_COLUMNS]
        share = f"{100 * basin.share:.3g} %"
        value = basin.value if abs(basin.value) > _ROUNDING else 0.0
        rows.append((str(position + 1), kind, number(value), *map(number, numbers), *dots, share))
    return rows


def sentence_on_valleys(result: Multistart) -> str:
    """Return the result in a sentence or two."""
    count, starts = len(result.basins), len(result.starts)
    lost = _lost(result)
    lowest = result.lowest
    if lowest is None:
        return f"None of {starts} descents ended at a finite place.{lost}"
    poles = [basin for basin in result.basins if basin.kind == "pole"]
    if poles:
        return _at_poles(result, poles) + lost
    if result.basins[-1].kind == "other":
        count -= 1
        places = f"more than {count} places"
    else:
        places = _counted(count)
    where = point_in_words(result.names, shown_row(result.space, lowest))
    if lowest.kind == "not at rest":
        begin = f"The lowest point, {number(lowest.value)} at {where}, is not at rest: the value still falls there."
        return f"{begin} {starts} descents ended at {places}.{lost}"
    if lowest.kind != "minimum":
        begin = f"{starts} descents ended at {places}; the lowest, {number(lowest.value)} at {where}, is "
        return begin + f"{_article(lowest.kind)}.{lost}"
    begin = f"{starts} descents ended at {places}; the lowest is {number(lowest.value)} at {where}."
    return begin + _others(result.basins, relief(result.space)) + lost


def _lost(result: Multistart) -> str:
    """Return a sentence on the descents that ended at no finite point."""
    if not result.lost:
        return ""
    away = result.ran_away
    if away == result.lost:
        many = "All" if away == len(result.starts) else str(away)
        return f" {many} went down without end: the objective looks unbounded below."
    ran = f", and {away} went down without end" if away else ""
    return f" {result.lost - away} met a value that is not finite{ran}."


def _at_poles(result: Multistart, poles: Sequence[Basin]) -> str:
    """Return sentences on an objective that falls without bound at poles, and on its lowest minimum."""
    where = point_in_words(result.names, shown_row(result.space, poles[0]))
    more = f" and at {len(poles) - 1} more pole{'s' if len(poles) > 2 else ''}" if len(poles) > 1 else ""
    ended = sum(basin.count for basin in poles)
    first = f"The value falls without bound at the pole {where}{more}, so there is no lowest value."
    second = f" {ended} of {len(result.starts)} descents ended there."
    minima = [basin for basin in result.basins if basin.kind == "minimum"]
    if not minima:
        return f"{first}{second}"
    at = point_in_words(result.names, shown_row(result.space, minima[0]))
    return f"{first}{second} The lowest local minimum is {number(minima[0].value)} at {at}."


def _others(basins: Sequence[Basin], rise: float) -> str:
    """Return a clause on the minima other than the lowest, which comes first; `rise` is the relief."""
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
