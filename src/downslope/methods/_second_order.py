"""Newton, BFGS and L-BFGS as Optax transformations: a direction, then Optax's zoom line search along it.

Newton takes the absolute values of the Hessian's eigenvalues, so that it goes down where the plain step would climb to
a saddle or a maximum.

References: Nocedal and Wright, *Numerical Optimization*, 2006, chapters 3 and 6; Dauphin et al., "Identifying and
attacking the saddle point problem in high-dimensional non-convex optimization", 2014.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from downslope._engine import jax
from downslope._types import Point
from downslope.methods._theory import Settings

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
        eigenvalues, directions = numpy.linalg.eigh(hessian)
        bends = numpy.abs(eigenvalues)
        floor = numpy.maximum(_FLATTEST * numpy.max(bends), numpy.finfo(flat.dtype).tiny)
        return unravel(-directions @ ((directions.T @ slope) / numpy.maximum(bends, floor))), state

    return optax.GradientTransformationExtraArgs(init, update)


class _Secant(NamedTuple):
    """What BFGS remembers: the inverse Hessian's estimate, the last point and the gradient there."""

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
    positive = product > 1e-14 * numpy.linalg.norm(moved) * numpy.linalg.norm(bent)
    safe = numpy.where(positive, product, 1.0)
    scale = numpy.where(state.count == 1, safe / numpy.maximum(bent @ bent, numpy.finfo(bent.dtype).tiny), 1.0)
    before = state.inverse_hessian * scale
    keep = numpy.eye(len(moved), dtype=moved.dtype) - numpy.outer(moved, bent) / safe
    after = keep @ before @ keep.T + numpy.outer(moved, moved) / safe
    return numpy.where(positive & (state.count > 0), after, state.inverse_hessian)
