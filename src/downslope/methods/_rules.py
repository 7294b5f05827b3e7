"""The update rules, as the compiled loop calls them.

A rule turns the gradient at a point into the update that is added to it. Plain gradient descent is the loop's own, so
that it costs nothing; the others are Optax's directions, scaled by −α, with their settings traced so that another
setting compiles nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from downslope._engine import jax
from downslope._types import Point
from downslope.methods._method import Method


@dataclass(frozen=True)
class Step:
    """What a rule is told of the point it stands at.

    Args:
        point: where it stands.
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
        update: the update and the next state, from a Step and the state.
        preconditioner: the scale P of each coordinate where the rule divides by one, from state and settings; else
            None.
        stateless: whether the state is empty, so that steps may be run ahead and thrown away.
        parallel: whether every update points along the gradient.
    """

    init: Callable[[Point, Mapping[str, Any]], Any]
    update: Callable[[Step, Any], tuple[Point, Any]]
    preconditioner: Callable[[Any, Mapping[str, Any]], Point] | None = None
    stateless: bool = False
    parallel: bool = False


def rule_of(method: Method) -> Rule:
    """Return the rule that a method names."""
    if method.name == "gradient descent" and not method.decays:
        return Rule(lambda point, settings: (), _downhill, stateless=True, parallel=True)
    if method.name == "gradient descent with noise":
        return Rule(_start_noise, _noisy)
    if method.name == "custom":
        return _transformation(method.transformation)
    if method.searches_line:
        from downslope.methods._second_order import line_search_method

        return _transformation(line_search_method(method))
    return _scaled(_DIRECTIONS[method.name], _PRECONDITIONERS.get(method.name))


def _downhill(step: Step, state: Any) -> tuple[Point, Any]:
    """Return −α∇f."""
    return jax().tree.map(lambda slope: -step.rate * slope, step.gradient), state


def _start_noise(point: Point, settings: Mapping[str, Any]) -> Any:
    """Return the count of steps and the random key."""
    return jax().numpy.zeros((), int), jax().random.key(settings["seed"])


def _noisy(step: Step, state: Any) -> tuple[Point, Any]:
    """Return −α(∇f + ε), ε normal of standard deviation `noise` / (1 + t)^(`noise_decay` / 2).

    References: Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015.
    """
    count, key = state
    tree = jax().tree
    leaves, shape = tree.flatten(step.gradient)
    key, *keys = jax().random.split(key, len(leaves) + 1)
    deviation = step.settings["noise"] / (1.0 + count) ** (step.settings["noise_decay"] / 2)
    noisy = [
        -step.rate * (slope + deviation * jax().random.normal(k, jax().numpy.shape(slope), slope.dtype))
        for slope, k in zip(leaves, keys, strict=True)
    ]
    return tree.unflatten(shape, noisy), (count + 1, key)


def _transformation(transformation: Any) -> Rule:
    """Return an Optax transformation as a rule; it scales by its own learning rate."""
    import optax

    extended = optax.with_extra_args_support(transformation)

    def update(step: Step, state: Any) -> tuple[Point, Any]:
        return extended.update(
            step.gradient,
            state,
            step.point,
            value=step.value,
            grad=step.gradient,
            value_fn=step.value_function,
        )

    return Rule(lambda point, settings: extended.init(point), update)


def _scaled(
    direction: Callable[[Mapping[str, Any]], Any], preconditioner: Callable[[Any, Mapping[str, Any]], Point] | None
) -> Rule:
    """Return the rule −α × (an Optax direction), decayed weights included."""

    def update(step: Step, state: Any) -> tuple[Point, Any]:
        uphill, state = direction(step.settings).update(step.gradient, state, step.point)
        decay = step.settings.get("weight_decay", 0.0)
        return jax().tree.map(lambda up, leaf: -step.rate * (up + decay * leaf), uphill, step.point), state

    return Rule(lambda point, settings: direction(settings).init(point), update, preconditioner)


def _momentum(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.trace(settings["momentum"])


def _nesterov(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.trace(settings["momentum"], nesterov=True)


def _adagrad(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.scale_by_rss(settings["initial"], settings["epsilon"])


def _rmsprop(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.scale_by_rms(settings["decay"], settings["epsilon"])


def _adam(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.scale_by_adam(settings["beta1"], settings["beta2"], settings["epsilon"])


def _lion(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.scale_by_lion(settings["beta1"], settings["beta2"])


def _straight(settings: Mapping[str, Any]) -> Any:
    import optax

    return optax.identity()


_DIRECTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "gradient descent": _straight,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adam,
    "lion": _lion,
}


def _adagrad_scale(state: Any, settings: Mapping[str, Any]) -> Point:
    """Return √(sum of squares) as Adagrad divides by it."""
    return jax().tree.map(lambda total: jax().numpy.sqrt(total + settings["epsilon"]), state.sum_of_squares)


def _rmsprop_scale(state: Any, settings: Mapping[str, Any]) -> Point:
    """Return √(ν + ε), ν the running mean of squares."""
    return jax().tree.map(lambda mean: jax().numpy.sqrt(mean + settings["epsilon"]), state.nu)


def _adam_scale(state: Any, settings: Mapping[str, Any]) -> Point:
    """Return √ν̂ + ε, with ν̂ the running mean of squares, its bias corrected."""
    corrected = 1 - settings["beta2"] ** jax().numpy.maximum(state.count, 1)
    return jax().tree.map(
        lambda mean: jax().numpy.sqrt(mean / corrected) + settings["epsilon"],
        state.nu,
    )


_PRECONDITIONERS: dict[str, Callable[[Any, Mapping[str, Any]], Point]] = {
    "adagrad": _adagrad_scale,
    "rmsprop": _rmsprop_scale,
    "adam": _adam_scale,
    "adamw": _adam_scale,
}
