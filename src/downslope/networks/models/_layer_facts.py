"""The facts of a trace on layers before training, as plain data: names, activations, kernels, and loops.

kernels      for each layer, in the order of `layers`:
             leaf, bias       the parts of the point that it multiplies by and adds; None for no bias
             input_axes       the axes of the leaf that the product sums over; None where they are not known
             unit_axes        those along which the units stand
             ranges           the part of each axis of the leaf that the kernel is, from and up to
             positions        how often each unit occurs in an example, as the pixels of a convolution do
             depth, height, bypassed, is_only_way, normalised: see `programs._layer_order.LayerOrder`
nested       for each loop, branch or function with a rule of its own that holds kernels:
             leaves, inside   the kernels, and the name of the operation that they are in
             length           rounds of a scan
             per_step, in_all how much of ∂loss/∂state is left a round earlier, and at the first one
input_size   root mean square of what the first layers read
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from downslope._engine import jax, precision
from downslope._types import Plain, Point, Tree
from downslope.networks.models._inferred import Walk
from downslope.networks.models._model import Model
from downslope.programs import run_once

_MOST_ROWS = 1000
_FEWEST_ROUNDS = 3  # a factor per step is fitted through as many
_LEAST = 1e-38  # float32 has nothing smaller: a gradient of 0 is at most this


def facts_of_layers(model: Model, inputs: Any) -> Plain:
    """Return the facts on the layers of a built-in network."""
    return {
        "layers": list(model.layers),
        "activations": list(model.activations),
        "inferred": False,
        "skipped": [],
        "kernels": list(model.kernels),
        "nested": [],
        "input_size": size_of([inputs]),
    }


def facts_of_walk(walk: Walk, point: Point, memory: Tree, sample: Tree, rows: int | None) -> Plain:
    """Return the facts on inferred layers.

    Args:
        walk: the layers.
        point: the parameters at step 0.
        memory: the state carried from batch to batch.
        sample: at least as many examples as the loss was walked with.
        rows: how many these were; None where a batch has no common first axis.
    """
    leaves = jax().tree.leaves((point, memory, sample))
    return {
        "layers": list(walk.layers),
        "activations": list(walk.activations),
        "inferred": bool(walk.layers),
        "skipped": list(walk.skipped),
        "kernels": [
            {**kernel, "positions": _positions(kernel, shape, rows)}
            for kernel, shape in zip(walk.kernels, walk.shapes, strict=True)
        ],
        "nested": _nested(walk, point, memory, sample, rows),
        "input_size": size_of(leaves[index] for index in walk.reads if index < len(leaves)),
    }


def size_of(arrays: Iterable[Any]) -> float | None:
    """Return the root mean square of the first rows of arrays; None without any that holds numbers.

    >>> size_of([np.array([3.0, 4.0])])
    3.5355339059327378
    """
    some = [np.asarray(array[:_MOST_ROWS]) for array in arrays if np.ndim(array)]
    if not some or any(array.dtype.kind not in "biuf" or not array.size for array in some):
        return None
    square = sum(float(np.sum(np.square(array, dtype=float))) for array in some)
    size = float(np.sqrt(square / sum(array.size for array in some)))
    return size if np.isfinite(size) else None


def _positions(kernel: Plain, shape: tuple[int, ...], rows: int | None) -> int | None:
    """Return how often each unit of a layer occurs in an example."""
    if rows is None or kernel["unit_axes"] is None:
        return None
    units = prod(kernel["ranges"][axis][1] - kernel["ranges"][axis][0] for axis in kernel["unit_axes"])
    return max(prod(shape) // max(units * rows, 1), 1)


def _nested(walk: Walk, point: Point, memory: Tree, sample: Tree, rows: int | None) -> list[Plain]:
    """Return the facts on kernels inside loops, with one look at the gradient by the states of the scans."""
    entries: list[Plain] = [
        {"leaves": list(leaves), "inside": entry.step.primitive, "length": entry.length}
        for leaves, entry in zip(walk.nested_leaves, walk.nested, strict=True)
    ]
    scans = [index for index, entry in enumerate(walk.nested) if entry.length is not None]
    if not any((walk.nested[index].length or 0) >= _FEWEST_ROUNDS for index in scans):
        return entries
    shapes = [walk.nested[index].state_shapes for index in scans]

    def gradients(point: Point, memory: Tree, batch: Tree) -> list[Any]:
        numpy = jax().numpy
        zeros = [[numpy.zeros(shape, dtype) for shape, dtype in parts] for parts in shapes]
        slopes = jax().grad(lambda addends: walk.pushed(point, addends, memory, batch, jax().random.key(0)))(zeros)
        # One number for each round: the norm over the examples and all parts of the state.
        return [sum(numpy.sum(part.astype("float32").reshape(len(part), -1) ** 2, 1) for part in own) for own in slopes]

    batch = sample if rows is None else jax().tree.map(lambda leaf: leaf[:rows], sample)
    with precision("float32"):
        squares = run_once(gradients, *jax().tree.map(jax().numpy.asarray, (point, memory, batch)))
    for index, square in zip(scans, squares, strict=True):
        backwards = walk.nested[index].step.equation.params["reverse"]
        norms = np.sqrt(np.asarray(square, float))
        entries[index] = {**entries[index], **_factors(norms[::-1] if backwards else norms)}
    return entries


def _factors(norms: np.ndarray) -> Plain:
    """Return how much of a gradient is left a round earlier, and at the first, from its norms in the order of rounds.

    >>> {name: round(factor, 6) for name, factor in _factors(np.array([0.001, 0.01, 0.1, 1.0])).items()}
    {'per_step': 0.1, 'in_all': 0.001}
    """
    if len(norms) < _FEWEST_ROUNDS or not np.all(np.isfinite(norms)) or not np.any(norms > 0):
        return {"per_step": None, "in_all": None}
    rounds = np.arange(len(norms))
    slope = float(np.polyfit(rounds, np.log(np.maximum(norms, _LEAST)), 1)[0])
    return {"per_step": float(np.exp(-slope)), "in_all": float(np.exp(-slope * rounds[-1]))}
