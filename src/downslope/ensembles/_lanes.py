"""A local descent for many points side by side: BFGS that evaluates each point once an iteration.

A lane stands at a point with its value, gradient and inverse Hessian, and tries one point ahead of it. If the value
falls enough there (Armijo), the lane moves and bends its inverse Hessian; if not, it shortens the step and tries
again; where no step is short enough, it forgets what it knew of the curvature and begins anew along the slope. No lane
waits for the line search of another. Coordinates at a bound that the gradient pushes against stay.

References: Nocedal and Wright, *Numerical Optimization*, 2006, chapters 3 and 6; Bertsekas, "Projected Newton methods
for optimization problems with simple constraints", 1982.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from downslope._engine import jax, precision

_ENOUGH = 1e-4  # of the decrease that the slope foretells
_SHORTEST = 1e-10  # share of a step at which a lane gives up
_LONGER = 4.0  # times as far where the ground bends down
_ROUNDING = 1e-13  # of the value: a decrease below it cannot be seen


class Lanes(NamedTuple):
    """Where each lane stands.

    Args:
        point: shape (lanes, size).
        value: shape (lanes,); ∞ before the first evaluation.
        gradient: shape (lanes, size).
        inverse: the inverse Hessian's estimate, shape (lanes, size, size).
        ahead: the step to try, shape (lanes, size).
        share: of that step, shape (lanes,).
        tried: evaluations since the start, shape (lanes,).
        taken: points accepted, the start included, shape (lanes,); 0 while that is still to be evaluated.
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
    """What an iteration showed of each lane.

    Args:
        foreseen: the decrease that the slope and the inverse Hessian foretell, shape (lanes,).
        stuck: whether nothing more is to be had, shape (lanes,).
    """

    foreseen: Any
    stuck: Any


def begin_lanes(points: Any, reach: Any) -> Lanes:
    """Return lanes at some points, shape (lanes, size), whose first step has a length."""
    numpy = jax().numpy
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
    value_and_gradient: Callable[[Any], tuple[Any, Any]], lanes: Lanes, bounds: Any
) -> tuple[Lanes, LaneProgress]:
    """Evaluate each lane once and move it.

    Args:
        value_and_gradient: of points of shape (lanes, size).
        lanes: where they stand.
        bounds: lowest and highest value of each coordinate, shape (size,) each.
    """
    numpy = jax().numpy
    low, high = bounds
    tried = numpy.clip(lanes.point + lanes.share[:, None] * lanes.ahead, low, high)
    value, gradient = value_and_gradient(tried)
    moved, bent = tried - lanes.point, gradient - lanes.gradient
    slope = _dot(lanes.gradient, moved)
    finite = numpy.isfinite(value) & numpy.all(numpy.isfinite(gradient), axis=1)
    fresh = lanes.taken == 0
    good = finite & ((value <= lanes.value + _ENOUGH * slope) | fresh)
    inverse = _bent(lanes, moved, bent, good & ~fresh)
    # A parabola through the two values and the slope says how far to go back; a tenth where there is no value.
    missed = numpy.where(finite, value - lanes.value - slope, numpy.inf)
    back = numpy.clip(-0.5 * slope / numpy.where(missed > 0, missed, 1.0), 0.1, 0.5) * lanes.share
    lost = ~good & (back < _SHORTEST)
    point = _where(good, tried, lanes.point)
    gradient = _where(good, gradient, lanes.gradient)
    held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
    free = numpy.where(held, 0.0, gradient)
    length = numpy.sqrt(_dot(free, free))
    safe = numpy.where(length > 0, length, 1.0)
    first_inverse = (lanes.reach / safe)[:, None, None] * numpy.eye(point.shape[1], dtype=point.dtype)
    inverse = _where(lost | (fresh & finite), first_inverse, inverse)
    ahead = numpy.where(held, 0.0, -numpy.sum(inverse * free[:, None, :], axis=2))
    foreseen = -_dot(free, ahead)
    uphill = foreseen <= 0
    inverse = _where(uphill, first_inverse, inverse)
    ahead = _where(uphill, -free * (lanes.reach / safe)[:, None], ahead)
    foreseen = numpy.where(uphill, lanes.reach * length, foreseen)
    turns = good | lost
    reached = numpy.where(good, value, lanes.value)
    stands = ~fresh | finite
    done = (good & (foreseen <= _ROUNDING * numpy.abs(reached))) | (length == 0) & stands
    after = Lanes(
        point,
        reached,
        gradient,
        inverse,
        _where(turns, ahead, lanes.ahead),
        numpy.where(turns, 1.0, back),
        lanes.tried + 1,
        numpy.where(lost | uphill & good, 1, lanes.taken + good),
        lanes.reach,
    )
    given_up = lost & (lanes.taken == 1)
    return after, LaneProgress(numpy.where(good, foreseen, numpy.inf), done | given_up | ~stands)


def _bent(lanes: Lanes, moved: Any, bent: Any, good: Any) -> Any:
    """Return the inverse Hessians after steps s with gradient changes y.

    Where sᵀy is not positive the ground bends down: no Hessian tells how far to go, so the next step is longer.
    """
    numpy = jax().numpy
    product, bend = _dot(moved, bent), _dot(bent, bent)
    positive = good & (product > 1e-12 * numpy.sqrt(_dot(moved, moved) * bend))
    safe = numpy.where(positive, product, 1.0)
    scale = numpy.where(lanes.taken == 1, safe / numpy.where(bend > 0, bend, 1.0), 1.0)
    identity = numpy.eye(moved.shape[1], dtype=moved.dtype)
    before = numpy.where((lanes.taken == 1)[:, None, None], scale[:, None, None] * identity, lanes.inverse)
    turned = numpy.sum(before * bent[:, None, :], axis=2)
    grown = (1 + _dot(bent, turned) / safe) / safe
    outer = turned[:, :, None] * moved[:, None, :]
    after = (
        before
        + grown[:, None, None] * moved[:, :, None] * moved[:, None, :]
        - (outer + outer.transpose(0, 2, 1)) / safe[:, None, None]
    )
    longer = numpy.where(good & ~positive, _LONGER, 1.0)[:, None, None] * lanes.inverse
    return _where(positive, after, longer)


def _dot(one: Any, other: Any) -> Any:
    """Return the inner product of each lane's rows."""
    return jax().numpy.sum(one * other, axis=1)


def _where(lanes: Any, one: Any, other: Any) -> Any:
    """Return one where a lane is chosen and the other elsewhere, whatever their shape."""
    numpy = jax().numpy
    return numpy.where(lanes.reshape(lanes.shape + (1,) * (numpy.ndim(one) - 1)), one, other)


# Many lanes of one program on every device: a piece on each, or on each core where there is one CPU.


@functools.cache
def count() -> int:
    """Return how many pieces run side by side."""
    devices = jax().local_devices()
    if len(devices) > 1 or devices[0].platform != "cpu":
        return len(devices)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wide(program: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a program of many lanes, compiled when called, for vectors as wide as the CPU has.

    XLA takes half of AVX-512 unless it is told otherwise; a narrower CPU does as it always does.
    """
    return jax().jit(program, compiler_options={"xla_cpu_prefer_vector_width": "512"})


def side_by_side(run: Callable[[Any], Any], pieces: Sequence[Any], kind: str) -> list[Any]:
    """Return what a compiled program makes of each piece, on the host, in their order.

    Args:
        run: a compiled program of one argument.
        pieces: its arguments, of one shape, so that it is compiled once.
        kind: "float64" or "float32".
    """
    devices = jax().local_devices()

    def one(place: int) -> Any:
        with precision(kind):
            piece = pieces[place]
            if len(devices) > 1:
                piece = jax().device_put(piece, devices[place % len(devices)])
            return jax().device_get(run(piece))

    others = [_pool().submit(one, place) for place in range(1, len(pieces))]
    return [one(0), *(other.result() for other in others)]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads, which wait for their programs outside Python's lock."""
    return ThreadPoolExecutor(max(count(), 1), thread_name_prefix="downslope")
