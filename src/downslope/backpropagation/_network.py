"""An Equinox network on one example, and any function of a network, as a function of named arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._errors import ObjectiveError
from downslope.backpropagation._labels import free_result

Named = dict[str, Any]


def is_network(thing: Any) -> bool:
    """Tell whether something is an Equinox module that holds arrays; Equinox is not loaded for the question."""
    equinox = sys.modules.get("equinox")
    return equinox is not None and isinstance(thing, equinox.Module) and bool(_parts(thing)[0])


def on_example(network: Any, example: Any, loss: Callable[[Any], Any] | None) -> tuple[Callable[[Named], Any], Named]:
    """Return a network's value on one example as a function of its parameters and of the example, and these.

    Args:
        network: an Equinox module that is called with the example.
        example: one input, without an axis for a batch.
        loss: what makes one number of the prediction; None where the prediction is one number.

    Raises:
        ObjectiveError: if the module cannot be called.
    """
    if not callable(network):
        raise ObjectiveError(f"{type(network).__name__} cannot be called with an example", hint="give it a __call__")
    parameters, rebuilt = _parts(network)
    inputs, fed = _example(example, "input" if "input" not in parameters else free_result("example", list(parameters)))

    def value(parts: Named) -> Any:
        prediction = rebuilt({name: parts[name] for name in parameters})(fed({name: parts[name] for name in inputs}))
        if loss is not None:
            return loss(prediction)
        return prediction.reshape(()) if getattr(prediction, "shape", ()) != () and prediction.size == 1 else prediction

    return value, parameters | inputs


def of_network(function: Callable[[Any], Any], network: Any) -> tuple[Callable[[Named], Any], Named]:
    """Return a function of a network as a function of its parameters, and these."""
    parameters, rebuilt = _parts(network)
    return (lambda parts: function(rebuilt(parts))), parameters


def _parts(module: Any) -> tuple[Named, Callable[[Named], Any]]:
    """Return the arrays of real numbers in a module by name, and what puts such arrays in their place."""
    equinox = sys.modules["equinox"]
    arrays, rest = equinox.partition(module, equinox.is_inexact_array)
    _, shape = jax().tree.flatten(arrays)
    names = _tree.part_names(arrays)

    def rebuilt(parts: Named) -> Any:
        return equinox.combine(jax().tree.unflatten(shape, [parts[name] for name in names]), rest)

    return dict(zip(names, _tree.leaves(arrays), strict=True)), rebuilt


def _example(example: Any, called: str) -> tuple[Named, Callable[[Named], Any]]:
    """Return the parts of an example by name, and what puts such parts together; whole numbers in arrays stay."""
    listed = jax().tree.map(lambda part: np.asarray(part, float) if _is_row(part) else part, example, is_leaf=_is_row)
    leaves, shape = jax().tree.flatten(listed)
    names = [called if name == "value" else f"{called}/{name}" for name in _tree.part_names(listed)]
    moving = {
        name: leaf
        for name, leaf in zip(names, leaves, strict=True)
        if getattr(leaf, "dtype", np.dtype(float)).kind == "f"
    }

    def fed(parts: Named) -> Any:
        return jax().tree.unflatten(shape, [parts.get(name, leaf) for name, leaf in zip(names, leaves, strict=True)])

    return moving, fed


def _is_row(part: Any) -> bool:
    """Tell whether a part of an example is a plain list of numbers, or of such lists."""
    return isinstance(part, list) and bool(part) and all(isinstance(one, int | float) or _is_row(one) for one in part)
