"""The record of a trace on the values around its end, which its path did not visit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._text import number
from downslope.trace import Trace

_MAIN = 0.1  # of a unit direction: the share of a coordinate that is named
_FEW = 6  # coordinates that are named in a sentence


@dataclass(frozen=True)
class Fall:
    """A ray from the end along which the value falls on.

    Args:
        along: its unit direction.
        distance: where the fall first exceeds rounding.
        change: the change of the value there, below 0.
        both_ways: whether the value falls along the opposite ray as well.
    """

    along: np.ndarray
    distance: float
    change: float
    both_ways: bool


@dataclass(frozen=True)
class EndlessFall:
    """A ray from the end along which the value falls without end.

    Args:
        along: its unit direction.
        distance: how far it was followed.
        value: the objective there.
    """

    along: np.ndarray
    distance: float
    value: float


@dataclass(frozen=True)
class Crossing:
    """A kink, a cusp or a pole between two points of the path.

    Args:
        kind: "pole", "sharp" (a kink or a cusp) or "smooth".
        point: where.
        value: the objective there; at a pole, at the nearest look.
        order: the power of the distance by which the value rises; NaN at a pole.
        slope: mean slope of both sides close by; NaN at a pole.
        curvature: second difference close by; NaN at a pole.
        row: the row that the segment leaves.
    """

    kind: str
    point: np.ndarray
    value: float
    order: float
    slope: float
    curvature: float
    row: int


@dataclass(frozen=True)
class Failure:
    """The point at which a step failed.

    Args:
        kind: "outside" (no value), "infinite" (the value is) or "no slope".
        point: where.
        value: the objective there; NaN if it has none.
        lowest: whether the value rises all around.
    """

    kind: str
    point: np.ndarray
    value: float
    lowest: bool


@dataclass(frozen=True)
class Surroundings:
    """The values around the end of a descent.

    Args:
        names: the coordinates' names.
        falls: a ray along which the value falls on; None if there is none.
        rises: whether it rises along some ray.
        edge: whether the domain ends on some ray before the value changes.
        endless: a ray along which it falls without end; None if there is none.
        crossing: what was jumped over; None for nothing noticed.
        blocked: whether the values do not fall along −∇f as the slope promises.
        failure: what is where a step failed; None if it is not known.
        judged: the kind of the end point by the judge of points, "" if it was not asked.
    """

    names: tuple[str, ...]
    falls: Fall | None
    rises: bool
    edge: bool
    endless: EndlessFall | None
    crossing: Crossing | None
    blocked: bool
    failure: Failure | None
    judged: str = ""

    @property
    def meets_pole(self) -> bool:
        """Whether a pole lies between two points of the path, whose two sides are no valley."""
        return self.crossing is not None and self.crossing.kind == "pole"

    def heading(self, along: np.ndarray) -> str:
        """Return the direction of a ray, by its main coordinates: `x → ∞, y → −∞`."""
        ways = zip(self.names, along, strict=True)
        return ", ".join(f"{name} → {'∞' if part > 0 else '−∞'}" for name, part in ways if abs(part) > _MAIN)

    def at(self, point: np.ndarray) -> str:
        """Return a point in words: `x = 1, y = 2`."""
        shown = [f"{name} = {number(value, 4)}" for name, value in zip(self.names, point, strict=True)]
        return ", ".join(shown[:_FEW]) + (", …" if len(shown) > _FEW else "")


def surroundings_of(trace: Trace) -> Surroundings | None:
    """Return the record of a trace on the values around its end; None if there is none, or it is inconsistent."""
    facts = trace.facts.get("surroundings")
    if not isinstance(facts, Mapping) or "falls" not in facts:
        return None
    try:
        return _read(facts, trace.coordinate_names)
    except (KeyError, TypeError, ValueError):
        return None


def _read(facts: Mapping[str, Any], names: tuple[str, ...]) -> Surroundings:
    falls, endless, crossing, failure = (facts.get(name) for name in ("falls", "endless", "crossing", "failure"))

    def row(entries: Any) -> np.ndarray:
        numbers = np.asarray(entries, dtype=float)
        if numbers.shape != (len(names),):
            raise ValueError("a row of other coordinates")
        return numbers

    def known(entry: Mapping[str, Any], name: str) -> float:
        return float(entry.get(name, math.nan))

    return Surroundings(
        names=names,
        falls=None
        if falls is None
        else Fall(row(falls["along"]), float(falls["distance"]), float(falls["change"]), bool(falls["both_ways"])),
        rises=bool(facts.get("rises")),
        edge=bool(facts.get("edge")),
        endless=None
        if endless is None
        else EndlessFall(row(endless["along"]), float(endless["distance"]), float(endless["value"])),
        crossing=None
        if crossing is None
        else Crossing(
            kind=str(crossing["kind"]),
            point=row(crossing["point"]),
            value=known(crossing, "value"),
            order=known(crossing, "order"),
            slope=known(crossing, "slope"),
            curvature=known(crossing, "curvature"),
            row=int(crossing["row"]),
        ),
        blocked=bool(facts.get("blocked")),
        failure=None
        if failure is None
        else Failure(
            str(failure["kind"]), row(failure["point"]), known(failure, "value"), bool(failure.get("lowest", False))
        ),
        judged=str(facts.get("judged", "")),
    )
