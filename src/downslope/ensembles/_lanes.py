"""BFGS for many points in parallel, in the array interface, and the devices that run it compiled.

A lane is one descent: a point with its value, gradient and estimate of the inverse Hessian. An iteration evaluates one
trial point per lane. If the value falls enough there (Armijo's condition), the lane moves and updates its inverse
Hessian; if not, it shortens the step and tries again in the next iteration; if no step is short enough, it discards its
inverse Hessian and starts again along the gradient. So no lane waits for the line search of another, as it would where
a line search is a loop inside the iteration. Coordinates at a bound that the gradient pushes them against are held.

References: Nocedal and Wright, *Numerical Optimization*, 2006, chapters 3 and 6; Bertsekas, "Projected Newton methods
for optimization problems with simple constraints", 1982.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from downslope._arrays import Arrays
from downslope._engine import jax, precision

_ENOUGH = 1e-4  # Armijo's constant: the share of the linear decrease that a step must achieve
_SHORTEST = 1e-10  # share of a step at which a lane gives up
_LONGER = 4.0  # factor on the next step where the curvature along the last one is not positive
_ROUNDING = 1e-13  # of the value: a smaller decrease is lost in rounding


class Lanes(NamedTuple):
    """The state of all lanes between two iterations.

    Args:
        point: the last accepted point, shape (lanes, size).
        value: shape (lanes,); ∞ before the first evaluation.
        gradient: shape (lanes, size).
        inverse: estimate of the inverse Hessian, shape (lanes, size, size).
        ahead: the full step, shape (lanes, size).
        share: the share of it to try next, shape (lanes,).
        tried: number of evaluations since the start, shape (lanes,).
        taken: number of accepted points including the start, shape (lanes,); 0 until the start is evaluated.
        reach: length of the first step, shape (lanes,).
    """

    point: Any
    value: Any
    gradient: Any
    inverse: Any
    ahead: Any
    share: Any
    tried: Any
    taken: Any
    reach: Any


class LaneProgress(NamedTuple):
    """The outlook of each lane after an iteration.

    Args:
        predicted: the decrease gᵀBg that the next step promises to first order, shape (lanes,); ∞ where the last trial
            failed and says nothing new.
        stuck: whether the lane cannot go lower, shape (lanes,).
    """

    predicted: Any
    stuck: Any


def begin_lanes(numpy: ModuleType, points: Any, reach: Any) -> Lanes:
    """Return lanes at points, shape (lanes, size), with the lengths of their first steps, shape (lanes,)."""
    lanes, size = points.shape
    return Lanes(
        points,
        numpy.full(lanes, numpy.inf, points.dtype),
        numpy.zeros_like(points),
        numpy.broadcast_to(numpy.eye(size, dtype=points.dtype), (lanes, size, size)),
        numpy.zeros_like(points),
        numpy.ones(lanes, points.dtype),
        numpy.zeros(lanes, int),
        numpy.zeros(lanes, int),
        reach,
    )


def step_lanes(
    arrays: Arrays, value_and_gradient: Callable[[Any], tuple[Any, Any]], lanes: Lanes, bounds: Any
) -> tuple[Lanes, LaneProgress]:
    """Evaluate one trial point per lane, and move or shorten the step.

    Args:
        arrays: the array interface.
        value_and_gradient: values and gradients at points of shape (lanes, size).
        lanes: the state before.
        bounds: lowest and highest value of each coordinate, shape (size,) each.
    """
    numpy, (low, high) = arrays.numpy, bounds
    # A step past a bound is projected onto it; the slope and the update below use the step as projected.
    tried = _within(numpy, lanes.point + lanes.share[:, None] * lanes.ahead, low, high)
    value, gradient = value_and_gradient(tried)
    moved, gradient_change = tried - lanes.point, gradient - lanes.gradient
    slope = _dot(lanes.gradient, moved)
    finite = numpy.isfinite(value) & numpy.isfinite(gradient).all(axis=1)
    fresh = lanes.taken == 0
    # Armijo alone, without Wolfe's second condition on the slope: that may need a longer step, which a lane that tries
    # one point an iteration could not bracket. The update guards against non-positive curvature instead.
    good = finite & ((value <= lanes.value + _ENOUGH * slope) | fresh)
    inverse = _updated_inverse(numpy, lanes, moved, gradient_change, good & ~fresh)
    # With f(0), f'(0) = slope and f(1), the parabola has its minimum at −slope / 2(f(1) − f(0) − slope). It is trusted
    # between a tenth and a half of the step; a tenth where the trial value is not finite.
    missed = numpy.where(finite, value - lanes.value - slope, numpy.inf)
    back = _within(numpy, -0.5 * slope / numpy.where(missed > 0, missed, 1.0), 0.1, 0.5) * lanes.share
    lost = ~good & (back < _SHORTEST)
    point = _where(numpy, good, tried, lanes.point)
    gradient = _where(numpy, good, gradient, lanes.gradient)
    # Held coordinates leave the gradient before B is applied and the step after it. Projecting the step B·g alone could
    # go uphill (Bertsekas); this way gᵀBg > 0 while B is positive definite. `uphill` catches a B spoilt by rounding.
    held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
    free = numpy.where(held, 0.0, gradient)
    length = numpy.sqrt(_dot(free, free))
    safe = numpy.where(length > 0, length, 1.0)
    # B = reach/‖g‖ times the identity makes the first step `reach` long, in whatever unit the value is.
    first_inverse = (lanes.reach / safe)[:, None, None] * numpy.eye(point.shape[1], dtype=point.dtype)
    begins = lost | (fresh & finite)
    if arrays.may_hold(begins):
        inverse = _where(numpy, begins, first_inverse, inverse)
    ahead = numpy.where(held, 0.0, -(inverse * free[:, None, :]).sum(axis=2))
    predicted = -_dot(free, ahead)
    uphill = predicted <= 0
    if arrays.may_hold(uphill):
        inverse = _where(numpy, uphill, first_inverse, inverse)
        ahead = _where(numpy, uphill, -free * (lanes.reach / safe)[:, None], ahead)
        predicted = numpy.where(uphill, lanes.reach * length, predicted)
    turns = good | lost
    reached = numpy.where(good, value, lanes.value)
    evaluated = ~fresh | finite  # a start that is not finite stays fresh and ends at once
    done = (good & (predicted <= _ROUNDING * numpy.abs(reached))) | (length == 0) & evaluated
    after = Lanes(
        point,
        reached,
        gradient,
        inverse,
        _where(numpy, turns, ahead, lanes.ahead),
        numpy.where(turns, 1.0, back),
        lanes.tried + 1,
        numpy.where(lost | uphill & good, 1, lanes.taken + good),  # 1: the next update rescales B, as after a start
        lanes.reach,
    )
    # A lane that fails along the plain gradient, right after it discarded its inverse Hessian, has nothing left to try.
    exhausted = lost & (lanes.taken == 1)
    return after, LaneProgress(numpy.where(good, predicted, numpy.inf), done | exhausted | ~evaluated)


def _updated_inverse(numpy: ModuleType, lanes: Lanes, moved: Any, gradient_change: Any, good: Any) -> Any:
    """Return the inverse Hessians B after steps s with gradient changes y.

    The BFGS update (I − syᵀ/sᵀy) B (I − ysᵀ/sᵀy) + ssᵀ/sᵀy is the nearest symmetric matrix with By = s. Multiplied out,

        B + (1 + yᵀBy/sᵀy) ssᵀ/sᵀy − (B y sᵀ + s yᵀB)/sᵀy,

    which costs size² per lane and not size³. `methods/_directions.py` keeps the factored form, whose rounding its
    recorded descents depend on; it runs one point at a time, and skips the update where sᵀy ≤ 0.

    Where sᵀy ≤ 0 the curvature along s is not positive, and no positive definite B satisfies By = s. There B is scaled
    up, so that the next step is longer: the minimum lies farther on.
    """
    product, change_squared = _dot(moved, gradient_change), _dot(gradient_change, gradient_change)
    # Relative to ‖s‖‖y‖, since rounding leaves a cosine of about ε where the true curvature is 0.
    positive = good & (product > 1e-12 * numpy.sqrt(_dot(moved, moved) * change_squared))
    safe = numpy.where(positive, product, 1.0)
    # After the first step B is set to sᵀy/yᵀy·I, the size of the inverse curvature along it (Nocedal and Wright, 6.20).
    scale = numpy.where(lanes.taken == 1, safe / numpy.where(change_squared > 0, change_squared, 1.0), 1.0)
    identity = numpy.eye(moved.shape[1], dtype=moved.dtype)
    before = numpy.where((lanes.taken == 1)[:, None, None], scale[:, None, None] * identity, lanes.inverse)
    # Sums of products instead of matrix products: XLA fuses them over the lanes, while batches of tiny matrix products
    # become one library call per lane.
    product_with_change = (before * gradient_change[:, None, :]).sum(axis=2)
    weight = (1 + _dot(gradient_change, product_with_change) / safe) / safe
    outer = product_with_change[:, :, None] * moved[:, None, :]
    after = (
        before
        + weight[:, None, None] * moved[:, :, None] * moved[:, None, :]
        - (outer + outer.transpose(0, 2, 1)) / safe[:, None, None]
    )
    longer = numpy.where(good & ~positive, _LONGER, 1.0)[:, None, None] * lanes.inverse
    return _where(numpy, positive, after, longer)


def _dot(first: Any, second: Any) -> Any:
    """Return the inner product of two rows of each lane, shape (lanes,)."""
    return (first * second).sum(axis=1)


def _within(numpy: ModuleType, numbers: Any, low: Any, high: Any) -> Any:
    """Return numbers, those outside a range moved to its ends; `clip` of NumPy takes three times as long."""
    return numpy.minimum(numpy.maximum(numbers, low), high)


def _where(numpy: ModuleType, chosen: Any, new: Any, old: Any) -> Any:
    """Select `new` for the chosen lanes and `old` for the others; both of shape (lanes, …)."""
    return numpy.where(chosen.reshape(chosen.shape + (1,) * (numpy.ndim(new) - 1)), new, old)


def chosen_lanes(numpy: ModuleType, chosen: Any, new: Lanes, old: Lanes) -> Lanes:
    """Select the state `new` for the chosen lanes and `old` for the others."""
    return Lanes(*(_where(numpy, chosen, *fields) for fields in zip(new, old, strict=True)))


# Lanes are split into batches of a size that does not depend on the machine: one for each device at a time, or for each
# core where the only device is a CPU. XLA runs one small program on one core, so cores are used by running several at a
# time in threads, or in processes.


@functools.cache
def count() -> int:
    """Return the number of batches that run in parallel."""
    devices = jax().local_devices()
    if len(devices) > 1 or devices[0].platform != "cpu":
        return len(devices)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wide(program: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Compile a program of many lanes for the widest vectors of the CPU.

    By default XLA uses half the width of AVX-512; on a narrower CPU the option has no effect.
    """
    return jax().jit(program, compiler_options={"xla_cpu_prefer_vector_width": "512"})


def on_device(run: Callable[[Any], Any], batch: Any, number: int, kind: str) -> Any:
    """Run a compiled program on a batch, on one device of several by turns, and return the result on the host.

    Args:
        run: a compiled program of one argument.
        batch: its argument; all batches are of one shape, so that it is compiled once.
        number: of the batch.
        kind: "float64" or "float32".
    """
    devices = jax().local_devices()
    with precision(kind):  # a setting of the thread
        if len(devices) > 1:
            batch = jax().device_put(batch, devices[number % len(devices)])
        return jax().device_get(run(batch))
