"""The classification of a point: how the values around it behave, how smooth the function is, and the evidence.

Two questions are kept apart. `kind` says what the values do: minimum, maximum, saddle, inflection, slope, level.
`smoothness` says whether a derivative exists: smooth, kink, cusp, edge, jump, gap, pole, undefined. The lowest point of
|x| is a minimum and a kink.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from downslope._types import plain

KINDS = {
    "minimum": "the values around are higher",
    "maximum": "the values around are lower",
    "saddle": "the value rises one way and falls another",
    "inflection": "the slope is zero, and the value rises on one side and falls on the other",
    "slope": "the value rises one way and falls the other",
    "level": "the value does not change around the point",
    "degenerate": "the Hessian is singular, and the values around do not decide the kind",
    "undefined": "there is no value",
}
SMOOTHNESS = {
    "smooth": "the gradient exists",
    "kink": "the slope jumps",
    "cusp": "the slope grows without bound",
    "edge": "the domain ends",
    "jump": "the value jumps, or has no limit",
    "gap": "the value is missing, but has a limit",
    "pole": "the value grows without bound",
    "undefined": "the point is outside the domain",
    "overflow": "the value is beyond the largest floating-point number",
}


@dataclass(frozen=True)
class Side:
    """The ground along one ray from the point.

    Args:
        direction: the ray, in units of each coordinate.
        trend: "finite" where the value has a limit at the point, "rises" or "falls" where it is unbounded, "undefined"
            where there is no value close to the point.
        limit: the limit of the value; NaN where there is none.
        slope: the one-sided slope along the ray; infinite at a cusp, NaN where it was not computed.
    """

    direction: tuple[float, ...]
    trend: str
    limit: float
    slope: float


@dataclass(frozen=True)
class Look:
    """The values around a point, at one distance.

    Args:
        radius: the distance, as a share of the lengths that the point was judged by.
        lowest: the lowest change of the value.
        highest: the highest change of the value.
        error: the rounding that a change may contain.
    """

    radius: float
    lowest: float
    highest: float
    error: float


@dataclass(frozen=True)
class Judgement:
    """The classification of a point, with its evidence.

    Args:
        kind: a key of `KINDS`.
        smoothness: a key of `SMOOTHNESS`.
        isolated: whether no other point close by is critical as well; None where that is not known.
        certain: whether the kind follows from signs beyond the rounding; false for an answer from a sample of values.
        by: what decided the kind: "curvature", "values", "slopes", "limits" or "" where nothing did.
        value: the value, or its limit in a gap.
        gradient: the gradient; NaN where it does not exist.
        curvatures: eigenvalues of the Hessian with each variable measured in its own unit of curvature, ascending.
        flat_directions: unit directions in which the curvature is zero up to rounding.
        sides: the rays, where the ground is not smooth.
        looks: the values at several distances, where these were needed: along the flat directions after Newton steps
            over the steep ones, or all around.
    """

    kind: str
    smoothness: str
    isolated: bool | None = None
    certain: bool = False
    by: str = ""
    value: float = float("nan")
    gradient: tuple[float, ...] = ()
    curvatures: tuple[float, ...] = ()
    flat_directions: tuple[tuple[float, ...], ...] = ()
    sides: tuple[Side, ...] = ()
    looks: tuple[Look, ...] = ()

    @property
    def is_smooth(self) -> bool:
        """Whether the gradient exists, or would with a gap filled."""
        return self.smoothness in ("smooth", "gap")

    def as_dict(self) -> dict[str, Any]:
        """Return the judgement as plain data; None stands for numbers that are not finite."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Judgement:
        """Return the judgement of plain data."""
        fields = dict(data)
        fields["sides"] = tuple(
            Side(tuple(side["direction"]), side["trend"], _real(side["limit"]), _real(side["slope"]))
            for side in fields.get("sides", ())
        )
        fields["looks"] = tuple(
            Look(*(_real(look[name]) for name in ("radius", "lowest", "highest", "error")))
            for look in fields.get("looks", ())
        )
        fields["value"] = _real(fields.get("value"))
        for name in ("gradient", "curvatures"):
            fields[name] = tuple(map(_real, fields.get(name, ())))
        fields["flat_directions"] = tuple(tuple(row) for row in fields.get("flat_directions", ()))
        return cls(**fields)


def _real(value: float | None) -> float:
    """Return a number of plain data, NaN for None."""
    return float("nan") if value is None else float(value)
