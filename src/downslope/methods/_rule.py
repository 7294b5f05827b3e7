"""The parts of an update rule, in the form in which a loop calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from downslope._arrays import Arrays
from downslope._types import Point
from downslope.methods._theory import Settings


class RuleInput(NamedTuple):
    """The point at which a rule computes its update.

    Args:
        point: the point.
        value: the objective there.
        gradient: the gradient there, clipped if the plan says so.
        rate: the learning rate of this step.
        settings: the rule's settings, traced.
        value_function: the objective as a function of the point alone, which `Arrays` differentiates.
    """

    point: Point
    value: Any
    gradient: Point
    rate: Any
    settings: Mapping[str, Any]
    value_function: Any


class Direction(NamedTuple):
    """A rule in the array interface, which runs in NumPy and in JAX; other records return an Optax transformation.

    Args:
        init: the state at a point.
        update: the uphill direction, or the whole step of a rule that searches a line, and the next state.
    """

    init: Callable[[Arrays, Point], Any]
    update: Callable[[Arrays, RuleInput, Any], tuple[Point, Any]]


class Rule(NamedTuple):
    """An update rule.

    Args:
        init: the rule's state at the start, from the point and the settings.
        update: the update and the next state, from a RuleInput and the state.
        preconditioner: the scale P of each coordinate where the rule divides by one, from state and settings; else
            None.
        stateless: whether the state is empty, so that steps may be run ahead and thrown away.
        parallel: whether every update points along the gradient.
    """

    init: Callable[[Point, Settings], Any]
    update: Callable[[RuleInput, Any], tuple[Point, Any]]
    preconditioner: Callable[[Any, Settings], Point] | None = None
    stateless: bool = False
    parallel: bool = False
