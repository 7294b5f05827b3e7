"""The update rules, as the compiled loop calls them.

A rule turns the gradient at a point into the update that is added to it: −α times the direction of a method's
transformation, or the whole step of a line search. Settings are traced, so that another setting compiles nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from downslope._engine import jax
from downslope._types import Point
from downslope.methods._method import Method
from downslope.methods._theory import Settings


@dataclass(frozen=True)
class RuleInput:
    """The point at which a rule computes its update.

    Args:
        point: the point.
        value: the objective there.
        gradient: the gradient there, clipped if the plan says so.
        rate: the learning rate of this step.
        settings: the rule's settings, traced.
        value_function: the objective as a function of the point alone.
    """

    point: Point
    value: Any
    gradient: Point
    rate: Any
    settings: Mapping[str, Any]
    value_function: Callable[[Point], Any]


@dataclass(frozen=True)
class Rule:
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


def rule_of(method: Method) -> Rule:
    """Return the rule of a method; of its settings only the structural ones are read here."""
    spec = method.spec
    if method.transformation is not None:
        return _whole_step(lambda settings: method.transformation)
    fixed = {setting.name: method.settings[setting.name] for setting in spec.settings if setting.structural}
    if spec.searches_line:
        return _whole_step(lambda settings: spec.update({**settings, **fixed}))
    plain = spec.follows_gradient and not method.decays

    def direction(settings: Settings) -> Any:
        return spec.update({**settings, **fixed})

    def update(step: RuleInput, state: Any) -> tuple[Point, Any]:
        uphill, state = direction(step.settings).update(step.gradient, state, step.point)
        if not method.decays:
            return jax().tree.map(lambda up: -step.rate * up, uphill), state
        # Decoupled from the gradient (Loshchilov and Hutter 2019): no scale divides the weights' share.
        decay = step.settings["weight_decay"]
        return jax().tree.map(lambda up, leaf: -step.rate * (up + decay * leaf), uphill, step.point), state

    return Rule(lambda point, settings: direction(settings).init(point), update, spec.scale, plain, plain)


def _whole_step(transformation: Callable[[Settings], Any]) -> Rule:
    """Return the rule of an Optax transformation that scales its steps by itself."""
    import optax

    def update(step: RuleInput, state: Any) -> tuple[Point, Any]:
        return optax.with_extra_args_support(transformation(step.settings)).update(
            step.gradient,
            state,
            step.point,
            value=step.value,
            grad=step.gradient,
            value_fn=step.value_function,
        )

    return Rule(lambda point, settings: transformation(settings).init(point), update)
