"""A Flax NNX module as training sees it: split into parameters, random keys and what it remembers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope.networks.layers._network import Passed
from downslope.networks.models._model import Model


def nnx_model(module: Any, nnx: ModuleType) -> Model:
    """Return the model of a Flax NNX module that maps a batch.

    Args:
        module: the module; it stays as it is.
        nnx: `flax.nnx`.
    """
    structure, parameters, chances, memory = nnx.split(module, nnx.Param, nnx.RngState, ...)
    names = [name.removesuffix("/value") for name in _tree.part_names(parameters)]
    form = jax().tree.structure(parameters)

    def merged(point: Any, memory: Any, key: Any = None) -> Any:
        state = jax().tree.unflatten(form, [point[name] for name in names])
        # Flax writes into what it holds, and an array of NumPy would let it.
        state, memory = jax().tree.map(jax().numpy.asarray, (state, memory))
        return nnx.merge(structure, state, chances if key is None else _drawn(chances, key), memory, copy=True)

    def forward(point: Any, memory: Any, inputs: Any, key: Any, training: bool, nudges: Any = None) -> Passed:
        made = merged(point, memory, key)
        made.train() if training else made.eval()
        if key is None:
            made.set_attributes(deterministic=True, raise_if_not_found=False)
        outputs = made(inputs)
        nnx.pop(made, nnx.Intermediate)  # what it shows to whoever asks is nothing that it remembers
        return Passed(outputs, nnx.split(made, nnx.Param, nnx.RngState, ...)[3], (), ())

    def rebuilt(point: Any, memory: Any) -> Any:
        with precision("float32"):
            return merged(point, memory)

    return Model(
        dict(zip(names, jax().tree.leaves(parameters), strict=True)),
        jax().tree.map(np.asarray, memory),
        (),
        (),
        forward,
        rebuilt,
        {"kind": "Flax NNX", "class": type(module).__name__, "normalised": _is_normalised(module, nnx)},
    )


def _drawn(chances: Any, key: Any) -> Any:
    """Return the random state with keys of its own, drawn from one key; the counts stay."""
    random, dtypes = jax().random, jax().dtypes
    leaves, form = jax().tree.flatten(chances)
    made = [
        random.split(random.fold_in(key, place), leaf.shape) if dtypes.issubdtype(leaf.dtype, dtypes.prng_key) else leaf
        for place, leaf in enumerate(leaves)
    ]
    return jax().tree.unflatten(form, made)


def _is_normalised(module: Any, nnx: ModuleType) -> bool:
    """Tell whether any layer of a module normalises."""
    return any(
        "norm" in type(node).__name__.lower() for _, node in nnx.iter_graph(module) if isinstance(node, nnx.Module)
    )
