"""An Equinox module as training sees it: mapped over the batch, with its state and its random keys."""

from __future__ import annotations

import inspect
from typing import Any

import equinox
import numpy as np

from downslope._engine import jax, precision
from downslope._errors import ObjectiveError
from downslope.networks.layers._network import Passed
from downslope.networks.models._model import Model

_AXIS = "batch"  # the name by which Equinox's documentation has batches normalised


def equinox_model(module: Any, state: Any) -> Model:
    """Return the model of an Equinox module that maps one example, perhaps with `key` or `state`.

    Args:
        module: the module.
        state: its `equinox.nn.State`; None for a module without one.

    Raises:
        ObjectiveError: for a module that takes a state and came without.
    """
    parameters = inspect.signature(type(module).__call__).parameters
    takes_key = "key" in parameters
    point, fixed = equinox.partition(module, equinox.is_inexact_array)
    if state is None and _is_stateful(module):
        raise ObjectiveError(
            f"{type(module).__name__} has a state, and it came without",
            hint="give the pair (model, state) as the model",
        )
    axis = _axis_of(module)

    def forward(point: Any, memory: Any, inputs: Any, key: Any, training: bool, nudges: Any = None) -> Passed:
        made = equinox.nn.inference_mode(equinox.combine(point, fixed), value=not training)
        made = made if key is not None else _without_chance(made)
        # Without chance a key is still given to who asks for one: it may have no default, and nothing depends on it.
        keys = jax().random.split(jax().random.key(0) if key is None else key, len(inputs)) if takes_key else None

        def one(example: Any, chance: Any, kept: Any) -> Any:
            given = {"key": chance} if takes_key else {}
            return (made(example, **given), None) if state is None else made(example, kept, **given)

        outputs, kept = jax().vmap(
            one, in_axes=(0, 0 if takes_key else None, None), out_axes=(0, None), axis_name=axis
        )(inputs, keys, memory)
        return Passed(outputs, kept, (), ())

    return Model(
        point,
        jax().tree.map(_settled, state),
        (),
        (),
        forward,
        lambda point, memory: _rebuilt(equinox.combine(point, fixed), memory),
        {"kind": "Equinox", "class": type(module).__name__, "normalised": _is_normalised(module)},
    )


def _settled(leaf: Any) -> np.ndarray:
    """Return an array whose type is its own: one that gave way to another's would change from step to step."""
    return np.asarray(leaf)


def _rebuilt(module: Any, memory: Any) -> Any:
    """Return the module with arrays of JAX, and its state with it where it has one."""
    with precision("float32"):
        arrays = jax().tree.map(
            lambda leaf: jax().numpy.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, (module, memory)
        )
    return arrays[0] if memory is None else arrays


def _without_chance(module: Any) -> Any:
    """Return a module whose dropout lets everything through."""
    dropouts = [node for node in _nodes(module) if isinstance(node, equinox.nn.Dropout)]
    if not dropouts:
        return module
    return equinox.tree_at(
        lambda tree: [node.inference for node in _nodes(tree) if isinstance(node, equinox.nn.Dropout)],
        module,
        [True] * len(dropouts),
    )


def _nodes(module: Any) -> list[Any]:
    """Return the leaves of a module, each layer that drops out or keeps a state as one."""
    kinds = (equinox.nn.Dropout, equinox.nn.StateIndex)
    return jax().tree.leaves(module, is_leaf=lambda node: isinstance(node, kinds))


def _is_stateful(module: Any) -> bool:
    return any(isinstance(node, equinox.nn.StateIndex) for node in _nodes(module))


def _axis_of(module: Any) -> Any:
    """Return the name of the axis over which a module's batches are normalised."""
    norms = _norms(module)
    return next((norm.axis_name for norm in norms if hasattr(norm, "axis_name")), _AXIS)


def _is_normalised(module: Any) -> bool:
    return bool(_norms(module))


def _norms(module: Any) -> list[Any]:
    """Return the layers of a module that normalise."""
    found = jax().tree.leaves(module, is_leaf=_is_norm)
    return [node for node in found if _is_norm(node)]


def _is_norm(node: Any) -> bool:
    return isinstance(node, equinox.Module) and "norm" in type(node).__name__.lower()
