"""Uphill directions that need nothing of Optax, and the scales of the methods that divide the gradient by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from downslope._engine import jax
from downslope._types import Point
from downslope.methods._theory import Settings


class Direction(NamedTuple):
    """A transformation of the form of Optax's, without its import, which costs a third of a second.

    Args:
        init: the state at a point.
        update: the uphill direction and the next state, from the gradient, the state and the point.
    """

    init: Callable[[Point], Any]
    update: Callable[..., tuple[Point, Any]]


def gradient(settings: Settings) -> Direction:
    """Return the gradient itself as the direction."""
    return Direction(lambda point: (), lambda slope, state, point=None: (slope, state))


def noisy_gradient(settings: Settings) -> Direction:
    """Return ∇f + ε, ε normal of standard deviation `noise` / (1 + t)^(`noise_decay` / 2).

    References: Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015.
    """

    def init(point: Point) -> tuple[Any, Any]:
        return jax().numpy.zeros((), int), jax().random.key(settings["seed"])

    def update(slope: Point, state: tuple[Any, Any], point: Point = None) -> tuple[Point, Any]:
        count, key = state
        leaves, shape = jax().tree.flatten(slope)
        key, *keys = jax().random.split(key, len(leaves) + 1)
        deviation = settings["noise"] / (1.0 + count) ** (settings["noise_decay"] / 2)
        noisy = [
            leaf + deviation * jax().random.normal(k, jax().numpy.shape(leaf), leaf.dtype)
            for leaf, k in zip(leaves, keys, strict=True)
        ]
        return jax().tree.unflatten(shape, noisy), (count + 1, key)

    return Direction(init, update)


# A scale must be the very divisor of the direction beside it, ε where Optax has it: inside the root for Adagrad and
# RMSprop, outside for Adam. Near a minimum, where the squares vanish, the two differ by orders of magnitude.


def adagrad_scale(state: Any, settings: Settings) -> Point:
    """Return √(sum of squares + ε) as Adagrad divides by it."""
    return jax().tree.map(lambda total: jax().numpy.sqrt(total + settings["epsilon"]), state.sum_of_squares)


def rmsprop_scale(state: Any, settings: Settings) -> Point:
    """Return √(ν + ε), ν the running mean of squares."""
    return jax().tree.map(lambda mean: jax().numpy.sqrt(mean + settings["epsilon"]), state.nu)


def adam_scale(state: Any, settings: Settings) -> Point:
    """Return √ν̂ + ε, with ν̂ the running mean of squares, its bias corrected."""
    corrected = 1 - settings["beta2"] ** jax().numpy.maximum(state.count, 1)  # before the first step ν is 0, not 0 / 0
    return jax().tree.map(
        lambda mean: jax().numpy.sqrt(mean / corrected) + settings["epsilon"],
        state.nu,
    )
