"""A network as training sees it, whoever made it: the built-in one, an Equinox module or a Flax NNX module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox

from downslope._errors import ObjectiveError
from downslope._types import Plain
from downslope.networks.layers._network import Network, Passed


@dataclass(frozen=True, eq=False)
class Model:
    """What training needs to know of a network.

    Args:
        point: what is trained, a tree of float arrays.
        memory: what it carries from batch to batch besides: running means, a tree of arrays.
        layers: the names of its layers, where it is known how to look into them; else empty.
        activations: the activation of each of them.
        forward: `forward(point, memory, inputs, key, training, nudges)` maps a batch of inputs, shape (batch, …). In
            training a key of None leaves out what is random and nothing else.
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
        thing: a `Network`; an Equinox module that maps one example, perhaps with `key`, or such a module and its state
            as a pair; or a Flax NNX module that maps a batch.

    Raises:
        ObjectiveError: for anything else.
    """
    if isinstance(thing, Network):
        return _of_network(thing)
    module, state = thing if isinstance(thing, tuple) and len(thing) == 2 else (thing, None)
    if isinstance(module, equinox.Module) and callable(module):
        from downslope.networks.models._equinox import equinox_model

        return equinox_model(module, state)
    nnx = sys.modules.get("flax.nnx")  # whoever has a module of it has imported it
    if nnx is not None and isinstance(thing, nnx.Module):
        from downslope.networks.models._nnx import nnx_model

        return nnx_model(thing, nnx)
    raise ObjectiveError(
        f"a model is a network, an Equinox or a Flax NNX module, not {type(thing).__name__}",
        hint="or give a function loss(params, batch), with start=params",
    )


def _of_network(network: Network) -> Model:
    """Return the model of a built-in network."""
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
