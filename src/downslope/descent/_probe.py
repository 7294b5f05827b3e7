"""What is measured between two chunks of a training: the Hessian's two ends, and how noisy a batch's gradient is.

On a fixed sample of the examples, so that two looks differ only by the point. The noise scale B = tr Σ / ‖G‖² is the
number of examples at which a batch's gradient is as much noise as signal; it is estimated from gradients of the sample
and of its eighths.

References: McCandlish et al., "An empirical model of large-batch training", 2018.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._types import Point
from downslope.descent._batched import Batched, rows_of
from downslope.descent._curvature import lanczos, signed, split
from downslope.trace import Spectrum

_FEWEST_ROWS, _MOST_ROWS = 128, 512
_PIECES = 8
_FIRST_PRODUCTS, _WARM_PRODUCTS = 24, 8  # 8 from where the last look ended hold 0.1 % at the top


class Probe:
    """Looks at the loss around a point on a sample of the examples.

    Args:
        batched: the objective.
        batch: examples of a step; the sample is four times as large, from 128 to 512.
        seed: seed of the sample and of the first direction.
    """

    def __init__(self, batched: Batched, batch: int, seed: int) -> None:
        self._batched = batched
        rng = np.random.default_rng([seed, 1])
        known = rows_of(batched.measured)
        chosen = np.sort(rng.permutation(known)[: min(max(4 * batch, _FEWEST_ROWS), _MOST_ROWS, known)])
        self._sample = jax().tree.map(lambda leaf: np.asarray(leaf)[chosen], batched.measured)
        self._rng = rng

    def look(
        self, point: Point, memory: Any, step: int, last: Spectrum | None, scale: Point | None
    ) -> tuple[Spectrum, Mapping[str, float]]:
        """Return the Hessian's ends at a point, and the noise of the gradient there.

        Args:
            point: where the training stands.
            memory: what it carries besides.
            step: its step.
            last: the ends at the look before, which save most of the work; None at the first.
            scale: what the method divides each coordinate by, or None.
        """
        ravel = jax().flatten_util.ravel_pytree
        multiply = functools.partial(_program(self._batched).product, point, memory, self._sample)
        size = int(ravel(point)[0].size)
        start = self._rng.normal(size=size) if last is None else _both(last)
        products = _FIRST_PRODUCTS if last is None else _WARM_PRODUCTS
        (low, lowest), (high, highest), _ = lanczos(lambda v: np.asarray(multiply(v), float), start, products)
        scaled = None
        if scale is not None:
            root = np.sqrt(np.asarray(ravel(scale)[0], float))
            (_, _), (scaled, _), _ = lanczos(
                lambda v: np.asarray(multiply(v / root), float) / root, start * root, products
            )
        ends = np.array([low, high])
        like = jax().tree.map(np.asarray, point)
        spectrum = Spectrum(step, ends, False, split(signed(lowest), like), split(signed(highest), like), scaled)
        return spectrum, self._noise(point, memory) | {"curvature": self._along_gradient(point, memory, multiply)}

    def _along_gradient(self, point: Point, memory: Any, multiply: Any) -> float:
        """Return gᵀHg / gᵀg on the sample."""
        gradient = np.asarray(_program(self._batched).gradient(point, memory, self._sample), float)
        square = float(gradient @ gradient)
        return float(gradient @ np.asarray(multiply(gradient), float)) / square if square > 0 else float("nan")

    def _noise(self, point: Point, memory: Any) -> dict[str, float]:
        """Return the gradient's norm on the sample, and the noise scale in examples."""
        rows = rows_of(self._sample)
        piece = rows // _PIECES
        if piece == 0:
            return {}
        shaped = jax().tree.map(
            lambda leaf: leaf[: piece * _PIECES].reshape(_PIECES, piece, *leaf.shape[1:]), self._sample
        )
        small, large = (float(square) for square in _program(self._batched).squares(point, memory, shaped))
        many = piece * _PIECES
        signal = (many * large - piece * small) / (many - piece)
        noise = (small - large) / (1 / piece - 1 / many)
        ratio = noise / signal if signal > 0 else float("inf")
        return {"sample_gradient_norm": float(np.sqrt(large)), "noise_scale": ratio}


def _both(last: Spectrum) -> np.ndarray:
    """Return the sum of the two end directions of a spectrum, as one row."""
    flat = [
        np.concatenate([np.ravel(leaf) for leaf in d.values()]) for d in (last.lowest_direction, last.highest_direction)
    ]
    return flat[0] + flat[1]


class _Programs:
    """The compiled functions of a probe."""

    def __init__(self, batched: Batched) -> None:
        def value(point: Point, memory: Any, batch: Any) -> Any:
            return batched.loss(point, memory, batch, None)[0]

        def product(point: Point, memory: Any, batch: Any, vector: Any) -> Any:
            flat, unravel = jax().flatten_util.ravel_pytree(point)
            slope = jax().grad(lambda coordinates: value(unravel(coordinates), memory, batch))
            return jax().jvp(slope, (flat,), (vector.astype(flat.dtype),))[1]

        def gradient(point: Point, memory: Any, batch: Any) -> Any:
            return jax().flatten_util.ravel_pytree(jax().grad(value)(point, memory, batch))[0]

        def squares(point: Point, memory: Any, pieces: Any) -> tuple[Any, Any]:
            slopes = jax().lax.map(lambda piece: gradient(point, memory, piece), pieces)
            return (slopes**2).sum(1).mean(), (slopes.mean(0) ** 2).sum()

        self.product = jax().jit(product)
        self.gradient = jax().jit(gradient)
        self.squares = jax().jit(squares)


@functools.lru_cache(maxsize=16)
def _program(batched: Batched) -> _Programs:
    """Return the compiled functions, made once for each objective."""
    return _Programs(batched)
