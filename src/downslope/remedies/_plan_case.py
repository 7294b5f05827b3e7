"""What remedies of a descent are fitted to: what was asked for, what came of it, where other starts lead."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from downslope._types import Point
from downslope.descent import Plan
from downslope.diagnosis import Evidence
from downslope.remedies._remedy import Remedy
from downslope.trace import Trace


@dataclass(frozen=True)
class Found:
    """Where a descent from another start came to.

    Args:
        start: the start.
        value: at the end.
    """

    start: Point
    value: float


@dataclass(frozen=True, eq=False)
class Case:
    """What a maker looks at.

    Args:
        plan: what was asked for.
        trace: what came of it.
        others: where descents from other starts came to that went well.
    """

    plan: Plan
    trace: Trace
    others: tuple[Found, ...] = field(default=())

    @functools.cached_property
    def evidence(self) -> Evidence:
        """The quantities that the checks share."""
        return Evidence(self.trace)

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.plan.method.name

    @property
    def rate(self) -> float:
        """The learning rate; NaN where the method takes none."""
        return self.plan.learning_rate

    @property
    def is_even(self) -> bool:
        """Whether the rate never changes."""
        return self.plan.schedule.name == "constant" and math.isfinite(self.rate)

    @functools.cached_property
    def size(self) -> float:
        """The size of the point and the way; 1 for a descent that stayed at 0."""
        return self.evidence.end.scale or 1.0

    @property
    def runs_away(self) -> bool:
        """Whether the value rose above its start or was no number in the end."""
        return self.evidence.failed or self.evidence.is_rising

    @property
    def what_steps_move(self) -> str:
        """What better steps move: how high the value rose where it ran away, else how far the point came."""
        return "highest_value" if self.runs_away else "distance"


Maker = Callable[[Case], Remedy | None]
