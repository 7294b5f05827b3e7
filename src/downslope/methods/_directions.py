"""The directions of methods beyond Optax's own: the gradient, with noise, Newton, BFGS; and the scales of methods."""

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


# Newton, BFGS and L-BFGS as Optax transformations: a direction, then Optax's zoom line search along it.


_SEARCH_STEPS = 30
_FLATTEST = 1e-10  # eigenvalues below this share of the largest are lifted to it: √ε would hide a real narrow valley


def newton(settings: Settings) -> Any:
    """Return Newton's method with a line search."""
    import optax

    return optax.chain(_newton(), _search())


def bfgs(settings: Settings) -> Any:
    """Return the BFGS method with a line search."""
    import optax

    return optax.chain(_bfgs(), _search())


def l_bfgs(settings: Settings) -> Any:
    """Return Optax's L-BFGS direction with a line search."""
    import optax

    return optax.chain(optax.scale_by_lbfgs(int(settings["memory"])), optax.scale(-1.0), _search())


def _search() -> Any:
    """Return the line search, which tries the whole step first: near a minimum it is the one that converges fast."""
    import optax

    return optax.scale_by_zoom_linesearch(_SEARCH_STEPS, initial_guess_strategy="one")


def _newton() -> Any:
    """Return −|H|⁻¹∇f, |H| with the eigenvalues' absolute values."""
    import optax

    def init(params: Point) -> tuple[()]:
        return ()

    def update(updates: Point, state: Any, params: Point | None = None, **extra: Any) -> tuple[Point, Any]:
        flat, unravel = jax().flatten_util.ravel_pytree(params)
        slope, _unravel = jax().flatten_util.ravel_pytree(updates)
        numpy = jax().numpy
        hessian = jax().hessian(lambda coordinates: extra["value_fn"](unravel(coordinates)))(flat)
        # |H| has the eigenvectors of H: along those that curve downward the step goes away from the saddle.
        eigenvalues, directions = numpy.linalg.eigh(hessian)
        bends = numpy.abs(eigenvalues)
        floor = numpy.maximum(_FLATTEST * numpy.max(bends), numpy.finfo(flat.dtype).tiny)
        return unravel(-directions @ ((directions.T @ slope) / numpy.maximum(bends, floor))), state

    return optax.GradientTransformationExtraArgs(init, update)


class _Secant(NamedTuple):
    """The state of BFGS: the inverse Hessian's estimate, the last point and the gradient there."""

    inverse_hessian: Any
    coordinates: Any
    slope: Any
    count: Any


def _bfgs() -> Any:
    """Return −B∇f with B the BFGS estimate of the inverse Hessian, scaled by sᵀy / yᵀy after the first step."""
    import optax

    def init(params: Point) -> _Secant:
        flat, _unravel = jax().flatten_util.ravel_pytree(params)
        numpy = jax().numpy
        return _Secant(numpy.eye(flat.size, dtype=flat.dtype), flat, numpy.zeros_like(flat), numpy.zeros((), int))

    def update(updates: Point, state: Any, params: Point | None = None, **extra: Any) -> tuple[Point, Any]:
        flat, unravel = jax().flatten_util.ravel_pytree(params)
        slope, _unravel = jax().flatten_util.ravel_pytree(updates)
        inverse = _updated_inverse(state, flat - state.coordinates, slope - state.slope)
        return unravel(-inverse @ slope), _Secant(inverse, flat, slope, state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def _updated_inverse(state: _Secant, moved: Any, bent: Any) -> Any:
    """Return the estimate after a step s with gradient change y; unchanged where sᵀy is not positive."""
    numpy = jax().numpy
    product = moved @ bent
    # sᵀy > 0 keeps the estimate positive definite; a zoom search ends there, unless rounding or its 30 trials run out.
    positive = product > 1e-14 * numpy.linalg.norm(moved) * numpy.linalg.norm(bent)
    safe = numpy.where(positive, product, 1.0)
    # Before the first update the estimate is 1; sᵀy / yᵀy is the size of the inverse curvature along the step taken
    # (Nocedal and Wright 2006, equation 6.20).
    scale = numpy.where(state.count == 1, safe / numpy.maximum(bent @ bent, numpy.finfo(bent.dtype).tiny), 1.0)
    before = state.inverse_hessian * scale
    keep = numpy.eye(len(moved), dtype=moved.dtype) - numpy.outer(moved, bent) / safe
    after = keep @ before @ keep.T + numpy.outer(moved, moved) / safe
    return numpy.where(positive & (state.count > 0), after, state.inverse_hessian)
