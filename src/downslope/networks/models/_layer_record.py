"""What is recorded of the layers of a network, and how a network that is not ours is looked into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from downslope._engine import jax, precision
from downslope._tree import alike, in_order
from downslope._types import Point
from downslope.networks.layers._activations import FLAT, activation
from downslope.networks.models._inferred import Walk, walk


def statistics(activations: tuple[str | None, ...], before: tuple[Any, ...], after: tuple[Any, ...]) -> Any:
    """Return what is recorded of each layer, shape (len(LAYER_COLUMNS), layers); NaN where it is not known.

    A unit is saturated on an example where its activation passes less than `FLAT` of the most it can pass, and dead
    if it
    is so on every example of the batch. The variation is the deviation of a unit from example to example, root mean
    square over the units.
    """
    layers = list(zip(activations, before, after, strict=True))
    groups = alike([0 if a is None else a.size for a in after], [_kind(*layer) for layer in layers])
    return in_order(groups, [_of_group([layers[place] for place in group]) for group in groups]).T


def _of_group(layers: list[tuple[str | None, Any, Any]]) -> Any:
    """Return what is recorded of layers of one kind, shape (layers, len(LAYER_COLUMNS))."""
    name, before, after = layers[0]
    if len(layers) == 1:
        return _of_layer(name, before, after)[None]
    stacked = [jax().numpy.stack([layer[side] for layer in layers]) for side in (1, 2)]
    return jax().vmap(lambda z, a: _of_layer(name, z, a))(*stacked)


def _kind(name: str | None, before: Any, after: Any) -> Any:
    """Return what layers must share to be looked at together."""
    return name, before.shape, before.dtype, None if after is None else (after.shape, after.dtype)


def _of_layer(name: str | None, before: Any, after: Any) -> Any:
    """Return mean, deviation, variation, saturated share and dead share of a layer, shape (len(LAYER_COLUMNS),)."""
    numpy = jax().numpy
    if name is None or after is None:
        return numpy.full(5, numpy.nan, "float32")
    outward = after.astype("float32")
    variation = numpy.sqrt(numpy.mean(numpy.var(outward, axis=0)))
    slope = activation(name).slope
    if slope is None:
        return numpy.stack([numpy.mean(outward), numpy.std(outward), variation, numpy.nan, numpy.nan])
    flat = slope(before.astype("float32")) < FLAT
    dead = numpy.all(flat, axis=tuple(range(flat.ndim - 1)))
    return numpy.stack([numpy.mean(outward), numpy.std(outward), variation, numpy.mean(flat), numpy.mean(dead)])


def walked(loss: Callable[..., Any], point: Point, memory: Any, examples: Any, batch: int | None) -> Walk | None:
    """Return the layers that are found in a loss, or None if none is.

    Args:
        loss: `loss(point, memory, batch, key)`, as `Batched` has it.
        point: the parameters.
        memory: what is carried besides.
        examples: some examples, a tree of arrays.
        batch: how many of them make a batch; None where they are one.
    """
    some = examples if batch is None else jax().tree.map(lambda leaf: np.asarray(leaf)[:1].repeat(batch, 0), examples)
    with precision("float32"):
        found = walk(loss, point, memory, some, jax().random.key(0))
    return found if found.layers else None


def look_through(found: Walk) -> dict[str, Any]:
    """Return `seen` and `nudges`, as `Batched` has them, of layers that were found."""

    def seen(point: Any, memory: Any, batch: Any, key: Any, nudges: Any) -> tuple[Any, tuple[Any, Any]]:
        value, memory, before, after = found.tapped(point, nudges, memory, batch, key)
        return value, (memory, statistics(found.activations, before, after))

    return {
        "seen": seen,
        "nudges": lambda batch: tuple(jax().numpy.zeros(shape, "float32") for shape in found.shapes),
    }
