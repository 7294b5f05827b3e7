"""One interface to the models that can be trained: built-in networks, Equinox modules, Flax NNX modules."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import equinox
import numpy as np

from downslope import _tree
from downslope._copies import Reference
from downslope._engine import jax, precision
from downslope._errors import ObjectiveError
from downslope._types import Plain, Point, Tree
from downslope.networks.layers import Network, Passed

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, eq=False)
class Model:
    """The interface between training and a network.

    Args:
        point: the weights, a tree of float arrays.
        memory: the state carried from batch to batch, such as running means, a tree of arrays.
        layers: the names of its layers, for a built-in network; else empty.
        activations: the activation of each of them.
        forward: `forward(point, memory, inputs, key, training, nudges)` maps a batch of inputs, shape (batch, …). In
            training a key of None turns off randomness and nothing else.
        rebuilt: the function from a point and a memory to a model of its own kind.
        description: the network as plain data; for foreign ones only the name of their class.
        structure: everything that `forward` depends on besides its arguments; networks of equal structure have equal
            programs. None where that is not known: of foreign models, and of layers that are not downslope's own.
        kernels: how the kernel of each layer of a built-in network lies; see `Network.kernels`.
        outputs: the shape of the outputs for one example; None where only tracing tells it, as with `structure`.
    """

    point: Point
    memory: Tree
    layers: tuple[str, ...]
    activations: tuple[str, ...]
    forward: Callable[..., Passed]
    rebuilt: Callable[[Point, Tree], Any]
    description: Plain
    structure: Hashable | None = None
    kernels: tuple[Plain, ...] = ()
    outputs: tuple[int, ...] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (packed(self.rebuilt(self.point, self.memory)),)


def packed(model: Any) -> Any:
    """Return a model as it is pickled: the functions in Equinox modules by where they are.

    What `jax.nn` and `equinox.nn.MLP` have as activations, a custom derivative and a lambda, cannot be pickled.
    """
    if not any(isinstance(part, equinox.Module) for part in (model if isinstance(model, tuple) else (model,))):
        return model
    return jax().tree.map(lambda leaf: Reference.to(leaf) or leaf if _is_function(leaf) else leaf, model)


def unpacked(model: Any) -> Any:
    """Return the model that was packed."""
    if not any(isinstance(part, equinox.Module) for part in (model if isinstance(model, tuple) else (model,))):
        return model
    return jax().tree.map(lambda leaf: leaf.function() if isinstance(leaf, Reference) else leaf, model)


def _unpacked(model: Any) -> Model:
    return model_of(unpacked(model))


def _is_function(leaf: Any) -> bool:
    """Tell whether a leaf is a function, or what JAX makes of one."""
    return callable(leaf) and not isinstance(leaf, type | equinox.Module) and hasattr(leaf, "__qualname__")


def model_of(model: Any) -> Model:
    """Return a model around a network.

    Args:
        model: a `Network`; an Equinox module that maps one example, perhaps with `key`, or such a module and its state
            as a pair; or a Flax NNX module that maps a batch.

    Raises:
        ObjectiveError: for anything else.
    """
    if isinstance(model, Network):
        return _of_network(model)
    # Equinox returns models with a state as a pair, which is accepted as it is.
    module, state = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
    if isinstance(module, equinox.Module) and callable(module):
        return equinox_model(module, state)
    nnx = sys.modules.get("flax.nnx")  # a module of Flax exists only where Flax was imported
    if nnx is not None and isinstance(model, nnx.Module):
        return nnx_model(model, nnx)
    raise ObjectiveError(
        f"a model is a network, an Equinox or a Flax NNX module, not {type(model).__name__}",
        hint="or give a function loss(params, batch), with start=params",
    )


def _of_network(network: Network) -> Model:
    """Return the model of a built-in network."""
    point, fixed = equinox.partition(network, equinox.is_inexact_array)

    def forward(
        point: Point,
        memory: Tree,
        inputs: Array,
        key: Array | None,
        training: bool,
        nudges: tuple[Array, ...] | None = None,
    ) -> Passed:
        return equinox.combine(point, fixed).forward(inputs, memory, key, training=training, nudges=nudges)

    structure = _structure(network, fixed)
    return Model(
        point,
        network.memory(),
        network.layer_names,
        network.activations,
        forward,
        lambda point, memory: equinox.combine(point, fixed),
        {"kind": "network", **network.describe()},
        structure,
        network.kernels,
        None if structure is None else network.outputs,
    )


def _structure(network: Network, fixed: Network) -> Hashable | None:
    """Return the layers of a network and the shapes of its arrays; None with layers of other packages."""
    own = all(type(layer).__module__.partition(".")[0] == "downslope" for layer in network.plan)
    leaves, form = jax().tree.flatten(fixed)
    if not own or leaves:
        return None
    arrays = jax().tree.leaves((network, network.memory()))
    return form, tuple((np.shape(leaf), str(leaf.dtype)) for leaf in arrays)


def outline(model: Model) -> Model:
    """Return a model whose point and memory are the shapes of their arrays."""
    shapes = jax().tree.map(
        lambda leaf: jax().ShapeDtypeStruct(np.shape(leaf), leaf.dtype), (model.point, model.memory)
    )
    return replace(model, point=shapes[0], memory=shapes[1])


_AXIS = "batch"  # the name by which Equinox's documentation has batches normalised


def equinox_model(module: equinox.Module, state: equinox.nn.State | None) -> Model:
    """Return the model of an Equinox module that maps one example, perhaps with `key` or `state`.

    Args:
        module: the module.
        state: its `equinox.nn.State`; None for a module without one.

    Raises:
        ObjectiveError: for a module that takes a state, without one.
    """
    parameters = inspect.signature(type(module).__call__).parameters
    takes_key = "key" in parameters
    # What is trained are the float arrays; integers, functions and flags stay fixed.
    point, fixed = equinox.partition(module, equinox.is_inexact_array)
    if state is None and _is_stateful(module):
        raise ObjectiveError(
            f"{type(module).__name__} has a state, and none was passed",
            hint="give the pair (model, state) as the model",
        )
    axis = _axis_of(module)

    def forward(
        point: Point,
        memory: Tree,
        inputs: Array,
        key: Array | None,
        training: bool,
        nudges: tuple[Array, ...] | None = None,
    ) -> Passed:
        network = equinox.nn.inference_mode(equinox.combine(point, fixed), value=not training)
        network = network if key is not None else _without_chance(network)
        # Without randomness a key is passed nevertheless: it may have no default, and nothing depends on it.
        keys = jax().random.split(jax().random.key(0) if key is None else key, len(inputs)) if takes_key else None

        def map_example(example: Array, chance: Array, kept: Tree) -> Any:
            arguments = {"key": chance} if takes_key else {}
            return (network(example, **arguments), None) if state is None else network(example, kept, **arguments)

        # The module maps one example. Batch normalisation averages over the named axis, and the state is shared.
        outputs, kept = jax().vmap(
            map_example, in_axes=(0, 0 if takes_key else None, None), out_axes=(0, None), axis_name=axis
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
    """Return an array of fixed type; a weak type of JAX would change at the first step."""
    return np.asarray(leaf)


def _rebuilt(module: equinox.Module, memory: Tree) -> Any:
    """Return the module with arrays of JAX, and its state with it where it has one."""
    with precision("float32"):
        arrays = jax().tree.map(
            lambda leaf: jax().numpy.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, (module, memory)
        )
    return arrays[0] if memory is None else arrays


def _without_chance(module: equinox.Module) -> Any:
    """Return a module without dropout."""
    dropouts = [node for node in _nodes(module) if isinstance(node, equinox.nn.Dropout)]
    if not dropouts:
        return module
    return equinox.tree_at(
        lambda tree: [node.inference for node in _nodes(tree) if isinstance(node, equinox.nn.Dropout)],
        module,
        [True] * len(dropouts),
    )


def _nodes(module: equinox.Module) -> list[Any]:
    """Return the leaves of a module, where each layer with dropout or a state is one leaf."""
    kinds = (equinox.nn.Dropout, equinox.nn.StateIndex)
    return jax().tree.leaves(module, is_leaf=lambda node: isinstance(node, kinds))


def _is_stateful(module: equinox.Module) -> bool:
    return any(isinstance(node, equinox.nn.StateIndex) for node in _nodes(module))


def _axis_of(module: equinox.Module) -> Any:
    """Return the name of the axis over which a module normalises batches."""
    norms = _norms(module)
    return next((norm.axis_name for norm in norms if hasattr(norm, "axis_name")), _AXIS)


def _is_normalised(module: equinox.Module) -> bool:
    return bool(_norms(module))


def _norms(module: equinox.Module) -> list[Any]:
    """Return the layers of a module that normalise."""
    nodes = jax().tree.leaves(module, is_leaf=_is_norm)
    return [node for node in nodes if _is_norm(node)]


def _is_norm(node: object) -> bool:
    return isinstance(node, equinox.Module) and "norm" in type(node).__name__.lower()


def nnx_model(module: Any, nnx: ModuleType) -> Model:
    """Return the model of a Flax NNX module that maps a batch.

    Args:
        module: the module; it is not changed.
        nnx: `flax.nnx`.
    """
    structure, parameters, chances, memory = nnx.split(module, nnx.Param, nnx.RngState, ...)
    # Flax wraps each parameter; its path without the wrapper is the name that a user knows.
    wrapped = _tree.part_names(parameters)
    names = _tree.distinct(tuple(name.removesuffix("/value") for name in wrapped), "parts", wrapped)
    form = jax().tree.structure(parameters)

    def merged(point: Point, memory: Tree, key: Array | None = None) -> Any:
        # Points are plain dictionaries by name, so that a trace reads the same for all kinds of models.
        state = jax().tree.unflatten(form, [point[name] for name in names])
        # Flax writes into its state, and an array of NumPy would let it.
        state, memory = jax().tree.map(jax().numpy.asarray, (state, memory))
        return nnx.merge(structure, state, chances if key is None else _drawn_keys(chances, key), memory, copy=True)

    def forward(
        point: Point,
        memory: Tree,
        inputs: Array,
        key: Array | None,
        training: bool,
        nudges: tuple[Array, ...] | None = None,
    ) -> Passed:
        # NNX modules are mutable: each pass works on a copy merged from the arrays.
        network = merged(point, memory, key)
        network.train() if training else network.eval()
        if key is None:
            network.set_attributes(deterministic=True, raise_if_not_found=False)
        outputs = network(inputs)
        nnx.pop(network, nnx.Intermediate)  # intermediate values are no state
        return Passed(outputs, nnx.split(network, nnx.Param, nnx.RngState, ...)[3], (), ())

    def rebuilt(point: Point, memory: Tree) -> Any:
        with precision("float32"):
            return merged(point, memory)

    return Model(
        dict(zip(names, jax().tree.leaves(parameters), strict=True)),
        jax().tree.map(np.asarray, memory),
        (),
        (),
        forward,
        rebuilt,
        {"kind": "Flax NNX", "class": type(module).__name__, "normalised": _has_nnx_norm(module, nnx)},
    )


def _drawn_keys(chances: Tree, key: Array) -> Tree:
    """Return the random state with keys split from one key; the counts stay."""
    random, dtypes = jax().random, jax().dtypes
    leaves, form = jax().tree.flatten(chances)
    leaves_of_step = [
        random.split(random.fold_in(key, index), leaf.shape) if dtypes.issubdtype(leaf.dtype, dtypes.prng_key) else leaf
        for index, leaf in enumerate(leaves)
    ]
    return jax().tree.unflatten(form, leaves_of_step)


def _has_nnx_norm(module: Any, nnx: ModuleType) -> bool:
    """Tell whether any layer of a module normalises."""
    return any(
        "norm" in type(node).__name__.lower() for _, node in nnx.iter_graph(module) if isinstance(node, nnx.Module)
    )
