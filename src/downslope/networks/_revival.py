"""Units that are dead begin anew with newly drawn weights, while the others keep what they learnt.

References: Sokar et al., "The dormant neuron phenomenon in deep reinforcement learning", 2023.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._types import Point
from downslope.networks.layers._activations import FLAT, activation
from downslope.networks.models._model import Model

_MOST_ROWS = 512
_INWARD = ("weight", "scale", "offset")  # of a unit, along the last axis


def revived(model: Model, point: Point, memory: Any, inputs: Any, fresh: Point) -> Point:
    """Return a point whose dead units have the weights of a fresh one, and a bias of 0.

    Args:
        model: a network whose layers are known.
        point: its weights.
        memory: what it carries besides.
        inputs: examples; a unit that passes no gradient on the first 512 of them is dead.
        fresh: newly drawn weights.
    """
    passed = model.forward(point, memory, inputs[:_MOST_ROWS], None, True)
    dead = {
        layer: _dead(name, before)
        for layer, name, before in zip(model.layers[:-1], model.activations, passed.before, strict=False)
    }
    leaves, shape = jax().tree.flatten(point)
    named = zip(_tree.part_names(point), leaves, _tree.leaves(fresh), strict=True)
    return jax().tree.unflatten(shape, [_mixed(part, leaf, new, dead) for part, leaf, new in named])


def _dead(name: str, before: Any) -> np.ndarray:
    """Return which units of a layer pass no gradient on any example, shape (units,)."""
    slope = activation(name).slope
    if slope is None:
        return np.zeros(before.shape[-1], bool)
    flat = np.asarray(slope(before.astype("float32"))) < FLAT
    return np.all(flat, axis=tuple(range(flat.ndim - 1)))


def _mixed(part: str, leaf: Any, new: Any, dead: dict[str, np.ndarray]) -> Any:
    """Return a part with what leads into dead units taken from a new one."""
    layer, _, kind = part.rpartition("/")
    if layer not in dead or kind not in (*_INWARD, "bias"):
        return leaf
    return jax().numpy.where(dead[layer], 0 if kind == "bias" else new, leaf)
