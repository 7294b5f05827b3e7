"""A network as training sees it, whoever made it: the built-in one, an Equinox module or a Flax NNX module."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import ObjectiveError
from downslope._types import Plain
from downslope.networks._network import Network, Passed


@dataclass(frozen=True, eq=False)
class Model:
    """What training needs to know of a network.

    Args:
        point: what is trained, a tree of float arrays.
        memory: what it carries from batch to batch besides: running means, a tree of arrays.
        layers: the names of its layers, where it is known how to look into them; else empty.
        activations: the activation of each of them.
        forward: `forward(point, memory, inputs, key, training, nudges)` maps a batch of inputs, shape (batch, …).
        rebuilt: the model in its own kind, from a point and a memory.
        description: the network as plain data; for foreign ones only the name of their class.
    """

    point: Any
    memory: Any
    layers: tuple[str, ...]
    activations: tuple[str, ...]
    forward: Callable[..., Passed]
    rebuilt: Callable[[Any, Any], Any]
    description: Plain


def model_of(thing: Any) -> Model:
    """Return a model around a network.

    Args:
        thing: a `Network`; an Equinox module that maps one example, perhaps with `key` or `state`; or a Flax NNX module
            that maps a batch.

    Raises:
        ObjectiveError: for anything else.
    """
    import equinox

    if isinstance(thing, Network):
        return _of_network(thing)
    if isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[1], equinox.nn.State):
        return _of_equinox(*thing)
    if isinstance(thing, equinox.Module) and callable(thing):
        return _of_equinox(thing, None)
    nnx = sys.modules.get("flax.nnx")  # whoever has a module of it has imported it
    if nnx is not None and isinstance(thing, nnx.Module):
        return _of_nnx(thing, nnx)
    raise ObjectiveError(
        f"a model is a network, an Equinox or a Flax NNX module, not {type(thing).__name__}",
        hint="or give a function loss(params, batch), with start=params",
    )


def _of_network(network: Network) -> Model:
    """Return the model of a built-in network."""
    import equinox

    point, fixed = equinox.partition(network, equinox.is_inexact_array)

    def forward(point: Any, memory: Any, inputs: Any, key: Any, training: bool, nudges: Any = None) -> Passed:
        return equinox.combine(point, fixed).forward(inputs, memory, key, training=training, nudges=nudges)

    return Model(
        point,
        network.memory(),
        network.layer_names,
        network.activations,
        forward,
        lambda point, memory: equinox.combine(point, fixed),
        {"kind": "network", **network.describe()},
    )


def _of_equinox(module: Any, state: Any) -> Model:
    """Return the model of an Equinox module, mapped over the batch."""
    import equinox

    point, fixed = equinox.partition(module, equinox.is_inexact_array)
    takes_key = "key" in inspect.signature(type(module).__call__).parameters

    def forward(point: Any, memory: Any, inputs: Any, key: Any, training: bool, nudges: Any = None) -> Passed:
        made = equinox.combine(point, fixed)
        made = made if training and (key is not None or not takes_key) else equinox.nn.inference_mode(made)
        keys = jax().random.split(key, len(inputs)) if takes_key and key is not None else None
        extra = {"key": 0} if keys is not None else {}

        def one(inputs: Any, memory: Any, **given: Any) -> Any:
            return made(inputs, **given) if memory is None else made(inputs, memory, **given)

        outputs = equinox.filter_vmap(
            lambda x, k, m: one(x, m, **({"key": k} if extra else {})),
            in_axes=(0, 0 if extra else None, None),
            out_axes=0 if memory is None else (0, None),
            axis_name="batch",
        )(inputs, keys, memory)
        outputs, memory = (outputs, memory) if memory is None else outputs
        return Passed(outputs, memory, (), ())

    def rebuilt(point: Any, memory: Any) -> Any:
        made = equinox.combine(point, fixed)
        return made if memory is None else (made, memory)

    return Model(point, state, (), (), forward, rebuilt, {"kind": "Equinox", "class": type(module).__name__})


def _of_nnx(module: Any, nnx: Any) -> Model:
    """Return the model of a Flax NNX module."""
    structure, point, memory = nnx.split(module, nnx.Param, ...)

    def forward(point: Any, memory: Any, inputs: Any, key: Any, training: bool, nudges: Any = None) -> Passed:
        made = nnx.merge(structure, point, memory, copy=True)
        made.train() if training else made.eval()
        outputs = made(inputs)
        return Passed(outputs, nnx.split(made, nnx.Param, ...)[2], (), ())

    return Model(
        point,
        memory,
        (),
        (),
        forward,
        lambda point, memory: nnx.merge(structure, point, memory),
        {"kind": "Flax NNX", "class": type(module).__name__},
    )


def count_of(point: Any) -> int:
    """Return how many numbers a tree holds."""
    return sum(int(np.size(leaf)) for leaf in jax().tree.leaves(point))
