"""Curvature probes of a training: the Hessian's two ends, and the noise of a batch's gradient.

On a fixed sample of the examples, so that two looks differ only by the point. The noise scale B = tr Σ / ‖G‖² is the
number of examples at which a batch's gradient is as much noise as signal; it is estimated from gradients of the sample
and of its eighths.

References: McCandlish et al., "An empirical model of large-batch training", 2018.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from downslope._engine import jax, kept
from downslope._types import Point
from downslope.descent._curvature import MOST_PRODUCTS, end_pairs, krylov_program, split
from downslope.descent.batches._batched import Batched, rows_of
from downslope.trace import Spectrum

_FEWEST_ROWS, _MOST_ROWS = 128, 512
_PIECES = 8
_WARM_PRODUCTS = 8  # from where the last look ended they hold 0.1 % at the top


class Probe:
    """Measures the loss around a point on a sample of the examples.

    Args:
        batched: the objective.
        batch: examples of a step; the sample is four times as large, from 128 to 512.
        seed: seed of the sample and of the first direction.
    """

    def __init__(self, batched: Batched, batch: int, seed: int) -> None:
        self._batched, self._seed = batched, seed
        known = rows_of(batched.measured)
        chosen = np.random.default_rng([seed, 1]).permutation(known)
        chosen = np.sort(chosen[: min(max(4 * batch, _FEWEST_ROWS), _MOST_ROWS, known)])
        self._rows, self._piece = len(chosen), len(chosen) // _PIECES
        tree, numpy = jax().tree, jax().numpy
        self._sample = tree.map(lambda leaf: numpy.asarray(np.asarray(leaf)[chosen]), batched.measured)

    def look(
        self, point: Point, memory: Any, step: int, last: Spectrum | None, scale: Point | None
    ) -> tuple[Spectrum, Mapping[str, float]]:
        """Return the Hessian's ends at a point, and the noise of the gradient there.

        Args:
            point: where the training stands.
            memory: what it carries besides.
            step: its step.
            last: the last ends whose directions are known, which save most of the work; None at the first look.
            scale: what the method divides each coordinate by, or None.
        """
        start = self._first_direction(point, step) if last is None else _both(last)
        products = MOST_PRODUCTS if last is None else _WARM_PRODUCTS
        ends = functools.partial(end_pairs, _program(self._batched).krylov, (point, memory, self._sample))
        pairs = ends(None, start, products, slope=True)
        scaled = None
        if scale is not None:
            root = np.sqrt(_flat(jax().tree.leaves(scale)))
            scaled = ends(root, start * root, products, slope=False).highest
        low, high = (None, None) if pairs.directions is None else (split(row, point) for row in pairs.directions)
        spectrum = Spectrum(step, np.array([pairs.lowest, pairs.highest]), False, low, high, scaled)
        return spectrum, self._noise(point, memory) | {"curvature": pairs.along_gradient}

    def _first_direction(self, point: Point, step: int) -> np.ndarray:
        """Return the first direction of a probe without an earlier one."""
        size = sum(int(np.size(leaf)) for leaf in jax().tree.leaves(point))
        return np.random.default_rng([self._seed, 2, step]).normal(size=size)

    def _noise(self, point: Point, memory: Any) -> dict[str, float]:
        """Return the gradient's norm on the sample, and the noise scale in examples."""
        if self._piece == 0:
            return {}
        piece, many = self._piece, self._piece * _PIECES
        small, large = np.asarray(_program(self._batched).squares(point, memory, self._sample), float)
        signal = (many * large - piece * small) / (many - piece)
        noise = (small - large) / (1 / piece - 1 / many)
        ratio = noise / signal if signal > 0 else float("inf")
        return {"sample_gradient_norm": float(np.sqrt(large)), "noise_scale": float(ratio)}


def _both(last: Spectrum) -> np.ndarray:
    """Return the sum of the two end directions of a spectrum, as one row."""
    lowest, highest = last.lowest_direction, last.highest_direction
    assert lowest is not None
    assert highest is not None
    return _flat(lowest.values()) + _flat(highest.values())


def _flat(leaves: Iterable[Any]) -> np.ndarray:
    """Return arrays as one row of numbers."""
    return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in leaves])


class _Programs:
    """The compiled functions of a probe."""

    def __init__(self, loss: Callable[[Point, Any, Any, Any], tuple[Any, Any]]) -> None:
        def value(point: Point, memory: Any, batch: Any) -> Any:
            return loss(point, memory, batch, None)[0]

        def gradient(point: Point, memory: Any, batch: Any) -> Any:
            return jax().flatten_util.ravel_pytree(jax().grad(value)(point, memory, batch))[0]

        def squares(point: Point, memory: Any, sample: Any) -> Any:
            piece = rows_of(sample) // _PIECES
            pieces = jax().tree.map(
                lambda leaf: leaf[: piece * _PIECES].reshape(_PIECES, piece, *leaf.shape[1:]), sample
            )
            slopes = jax().lax.map(lambda piece: gradient(point, memory, piece), pieces)
            return jax().numpy.stack([(slopes**2).sum(1).mean(), (slopes.mean(0) ** 2).sum()])

        self.krylov = jax().jit(krylov_program(value))
        self.squares = jax().jit(squares)


def _program(batched: Batched) -> _Programs:
    """Return the compiled functions, made once for each objective."""
    return kept(batched.owner, "probe", lambda: _Programs(batched.loss))


# One background thread for curvature probes; JAX releases the GIL while it computes.


class Background:
    """One task at a time on a background thread; its result is handed over on the calling thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="downslope-look")
        self._under_way: tuple[Future[Any], Callable[[Any], None]] | None = None

    def begin(self, work: Callable[[], Any], take: Callable[[Any], None]) -> None:
        """Start a task, after the result of the one before has been handed over.

        Args:
            work: what to do, on the other thread.
            take: called with what it returned, on this one.
        """
        self.settle()
        self._under_way = self._thread.submit(work), take

    def settle(self) -> None:
        """Wait for the running task, if any, and hand over its result."""
        if self._under_way is None:
            return
        (waiting, take), self._under_way = self._under_way, None
        take(waiting.result())

    def close(self) -> None:
        """End the thread; a result that was not handed over is lost."""
        self._under_way = None
        self._thread.shutdown(wait=True)
