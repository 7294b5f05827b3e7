"""Descend from many starts, and group the starts by the basin that they end in."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Unpack

import numpy as np

from downslope._choices import checked, defaults, door
from downslope._errors import SettingError
from downslope._text import aligned, html_table, number
from downslope._types import Point, plain
from downslope.descent import Objective, chosen_engine, obstacle, settings_of_own
from downslope.descent import objective as objective_of
from downslope.ensembles._basins import (
    Basin,
    EndGroups,
    gathered,
    grouped,
    heights,
    is_far,
    joined,
    level,
    point_in_words,
    relief,
    shown_row,
)
from downslope.ensembles._choices import MultistartChoices
from downslope.ensembles._descents import DescentKind, ManyStarts, bottom_seconds, ends_of, method_seconds
from downslope.ensembles._lanes import count
from downslope.ensembles._space import Space, space_of
from downslope.executors import Crew, Unit
from downslope.formulas import Formula
from downslope.methods import Method
from downslope.methods import method as method_of

_MOST_ROWS = 12
_TABLE_COLUMNS = 6
_ROUNDING = 1e-15  # a value nearer to 0 is shown as 0
_STEPS = 1000
_LISTED = 100_000  # of more, only groups of ends are kept, and a sample


@dataclass(frozen=True, eq=False)
class Multistart:
    """The result of descents from many starts.

    Args:
        basins: the basins where they ended, the lowest first.
        count: the number of descents.
        starts: shape (starts, size); of more than 100 000, every tenth, hundredth, … as far as they are fewer.
        ends: of these, shape (starts, size).
        values: the objective at each end, shape (starts,).
        basin: index in `basins` for each start, shape (starts,); −1 for descents that met a value that is not finite or
            were unbounded.
        lost: the number of descents that met a value that is not finite, or were unbounded.
        ran_away: the number of descents that went so far away that the objective seems unbounded.
        names: a name for each coordinate.
        evaluations: number of evaluations of value and gradient.
        engine: "numpy" or "jax".
        objective: the objective.
        space: the box or cloud from which starts were drawn.
    """

    basins: tuple[Basin, ...]
    count: int
    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    basin: np.ndarray
    lost: int
    ran_away: int
    names: tuple[str, ...]
    evaluations: int
    engine: str
    objective: Objective = field(repr=False)
    space: Space = field(repr=False)

    @property
    def lowest(self) -> Basin | None:
        """The lowest basin; None if no descent ended at a finite point."""
        return self.basins[0] if self.basins else None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        return plain(
            {
                "read_as": self.objective.read_as,
                "starts": self.count,
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
        return f"<Multistart of {self.count} starts, {len(self.basins)} basins>"

    def _repr_html_(self) -> str:
        return valleys_as_html(self)


@door(MultistartChoices)
def multistart(
    objective: str | Formula | Objective | Callable[..., Any],
    bounds: Mapping[str, tuple[float, float]] | tuple[Point, Point] | None = None,
    **choices: Unpack[MultistartChoices],
) -> Multistart:
    """Descend from many starts, and group their ends into valleys.

    Without a method, each start follows −∇f in small steps, so that it stays in its valley, and BFGS and
    Newton's method then find the minimum. With a method, every start descends as with `descend`, without a
    record.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        bounds: (low, high) of every variable by name; for a function, a pair of points. Starts fill the box evenly and
            descents stay inside it.
        **choices: as in `MultistartChoices`.

    Returns:
        The valleys with their bottoms, values, kinds and shares, and the valley of each start.

    Raises:
        PointError: for invalid bounds or an invalid spread.
        SettingError: for an invalid number of starts or method.

    >>> result = multistart("x⁴ - 4x² + x", bounds={"x": (-3, 3)})
    >>> [round(basin.point["x"], 3) for basin in result.basins]
    [-1.473, 1.347]
    """
    passed = checked(MultistartChoices, choices, also=("objective", "bounds"), settings=settings_of_own(choices))
    chosen = {**defaults(MultistartChoices), **passed}
    goal = objective_of(objective, chosen["data"], units=chosen["units"], table=chosen["table"])
    space = space_of(goal, bounds, chosen["spread"], chosen["centre"])
    kind = _kind(space, chosen, passed)
    many = ManyStarts(kind, chosen["starts"], chosen["seed"])
    with Crew(chosen["executor"], threads=count if kind.engine == "jax" else 1) as crew:
        return _by_groups(many, crew) if many.count > _LISTED else _one_by_one(many, crew)


def _one_by_one(many: ManyStarts, crew: Crew) -> Multistart:
    """Return the basins of descents of which each is listed."""
    kind, space = many.kind, many.kind.space
    ended = ends_of(many, crew)
    basins, basin = gathered(space, ended.points)
    return Multistart(
        basins=basins,
        count=many.count,
        starts=space.drawn(many.count, many.seed),
        ends=ended.points,
        values=heights(space, ended.points),
        basin=basin,
        lost=int(np.sum(basin < 0)),
        ran_away=int(np.sum((basin < 0) & is_far(space, ended.points))),
        names=space.layout.names,
        evaluations=ended.evaluations,
        engine=kind.engine,
        objective=space.objective,
        space=space,
    )


class _Grouped(NamedTuple):
    """The descents of a piece of many starts.

    Args:
        groups: where they ended; `group` is that of the starts that are listed.
        starts: those that are listed, shape (listed, size).
        ends: theirs.
        evaluations: of all.
    """

    groups: EndGroups
    starts: np.ndarray
    ends: np.ndarray
    evaluations: int


def _grouped_piece(many: ManyStarts, number: int, every: int) -> _Grouped:
    """Descend from the starts of a piece, and return where they ended as groups."""
    starts = many.starts(number)
    ended = many.ends(starts, number)
    groups = grouped(many.kind.space, ended.points)
    first = -number * many.kind.piece(many.count) % every
    listed = slice(first, None, every)
    groups = replace(groups, group=groups.group[listed])
    return _Grouped(groups, starts[listed], ended.points[listed], ended.evaluations)


def _by_groups(many: ManyStarts, crew: Crew) -> Multistart:
    """Return the basins of so many descents that only groups of them, and a sample, are held in one process."""
    kind, space = many.kind, many.kind.space
    every = 10 ** math.ceil(math.log10(many.count / _LISTED))
    units = [Unit(_grouped_piece, many, (*unit.arguments, every)) for unit in many.units]
    parts: list[_Grouped] = crew.results(units)
    basins, indices = joined(space, [part.groups for part in parts], many.count)
    ends = np.concatenate([part.ends for part in parts])
    # Of an index, −2 is the rest and −1 none.
    basin = np.concatenate([index[part.groups.group] for index, part in zip(indices, parts, strict=True)])
    return Multistart(
        basins=basins,
        count=many.count,
        starts=np.concatenate([part.starts for part in parts]),
        ends=ends,
        values=heights(space, ends),
        basin=basin,
        lost=many.count - sum(basin.count for basin in basins),
        ran_away=sum(part.groups.away for part in parts),
        names=space.layout.names,
        evaluations=sum(part.evaluations for part in parts),
        engine=kind.engine,
        objective=space.objective,
        space=space,
    )


def _kind(space: Space, chosen: Mapping[str, Any], passed: Mapping[str, Any]) -> DescentKind:
    """Return the kind of descent.

    Raises:
        SettingError: for settings of a method without one.
    """
    known, starts = defaults(MultistartChoices), chosen["starts"]
    settings = {name: value for name, value in passed.items() if name not in known}
    method, learning_rate, steps = chosen["method"], chosen["learning_rate"], chosen["steps"]
    goal = space.objective
    if method is None:
        if learning_rate is not None or steps is not None or settings:
            needy = next(iter(settings), "learning_rate" if learning_rate is not None else "steps")
            raise SettingError(f"{needy} needs a method", hint="for example method='gradient descent'")
        engine = chosen_engine(chosen["engine"], obstacle(goal), lambda: bottom_seconds(space, starts))
        return DescentKind(space, engine)
    how, rate, most = _method_with_rate(method, learning_rate, steps, settings)
    barrier = obstacle(goal) or (None if how.is_plain else "the method is an Optax transformation")
    engine = chosen_engine(chosen["engine"], barrier, lambda: method_seconds(space, starts, how, most))
    return DescentKind(space, engine, how, rate, most)


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
    count, starts = len(result.basins), result.count
    lost = _lost(result)
    lowest = result.lowest
    if lowest is None:
        return f"None of {starts} descents ended at a finite point.{lost}"
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
        many = "All" if away == result.count else str(away)
        return f" {many} fell without end: the objective seems unbounded below."
    ran = f", and {away} went down without end" if away else ""
    return f" {result.lost - away} met a value that is not finite{ran}."


def _at_poles(result: Multistart, poles: Sequence[Basin]) -> str:
    """Return sentences on an objective that falls without bound at poles, and on its lowest minimum."""
    where = point_in_words(result.names, shown_row(result.space, poles[0]))
    more = f" and at {len(poles) - 1} more pole{'s' if len(poles) > 2 else ''}" if len(poles) > 1 else ""
    ended = sum(basin.count for basin in poles)
    first = f"The value falls without bound at the pole {where}{more}, so there is no lowest value."
    second = f" {ended} of {result.count} descents ended there."
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
