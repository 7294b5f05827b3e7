"""Layers of a foreign network, inferred from its JAX program; and the statistics recorded of any layer.

Every linear layer multiplies what reaches it by one of its parameters and adds another. So `walk` follows the leaves of
the parameters through the jaxpr; where one meets data in a product or a convolution there is a layer's pre-activation
z, and its name is where the leaf lives. Nothing in the network is rewritten: a dict, an Equinox module and a Flax NNX
state all look the same from here. What cannot be inferred is left out with a sentence, or is None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax, precision
from downslope._errors import DataError, ObjectiveError, PointError
from downslope._tree import alike, distinct, in_order, part_names
from downslope._types import Plain, Point, Tree
from downslope.networks.layers import FLAT, activation
from downslope.programs import (
    Atom,
    Constant,
    NestedKernels,
    ProgramLayer,
    Source,
    StraightProgram,
    TracedStep,
    Value,
    evaluate,
    find_layers,
    layer_names,
    nested_kernels,
    scanned,
    skipped_leaves,
    straighten,
    viewed_input,
)

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, eq=False)
class Walk:
    """The inferred layers, and the function with a tap in each.

    Args:
        layers: their names, in the order in which they run: the branch of the tree that holds the kernel, or the
            kernel's own name. A kernel that is used again gets " (2)", " (3)" after it.
        activations: the name of the activation behind each, known by its values; "linear" for the last of them where
            the program says that it is the output; None where nothing is known.
        shapes: the shapes of the pre-activations, as the activation reads them but with the units of a matrix product
            last; a convolution's channels stay where they are.
        kernels: how each layer's kernel lies in its leaf, and the layer among the others; see `_layer_facts`.
        nested: the kernels inside loops, branches and functions with a derivative rule of their own.
        nested_leaves: their names.
        reads: which leaves of all arguments the first layers read as they are, by index.
        skipped: a sentence on each kernel whose layer has no tap, with the reason.
        tapped: `tapped(params, perturbations, *rest) -> (value, aux, pre, post)`: the same operations as `function`,
            with each pre-activation z replaced by z + perturbation. `perturbations` is a tuple of arrays of `shapes`;
            at zero, the gradients with respect to them are those of the pre-activations. `pre` holds the
            pre-activations, `post` what the elementwise operations behind them make of these. It takes arguments of the
            shapes and types that were walked and no others. `jax.checkpoint` around a layer has no effect in it.
        pushed: `pushed(params, addends, *rest) -> value`, with the addends of `nested` scans added to their states.
        closed: the program that was walked, as `jax.make_jaxpr` returns it.
    """

    layers: tuple[str, ...]
    activations: tuple[str | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    kernels: tuple[Plain, ...]
    nested: tuple[NestedKernels, ...]
    nested_leaves: tuple[tuple[str, ...], ...]
    reads: tuple[int, ...]
    skipped: tuple[str, ...]
    tapped: Callable[..., tuple[Array, Tree, tuple[Array, ...], tuple[Array, ...]]] = field(repr=False)
    pushed: Callable[..., Array] = field(repr=False)
    closed: Any = field(repr=False)


@dataclass(frozen=True, eq=False)
class _Arguments:
    """The arguments of the walk: the structure of the tree; the name and the program's value of each leaf."""

    structure: Any
    names: tuple[str, ...]
    number_of_parameters: int
    values: tuple[Value, ...]


def walk(function: Callable[..., tuple[Array, Tree]], params: Point, *rest: Tree) -> Walk:
    """Find every layer's pre-activation in a function of parameters.

    Args:
        function: `function(params, *rest) -> (value, aux)`: a scalar, and any tree of arrays.
        params: a tree of arrays: a dict, the arrays of an Equinox module, a Flax NNX state.
        rest: the other arguments, trees of arrays; only their shapes and types matter.

    Returns:
        The layers, with a function that shows what goes through them.

    Raises:
        ObjectiveError: if the function returns anything but a scalar and one thing more.

    >>> import numpy as np
    >>> def loss(params, inputs):
    ...     hidden = jax().nn.relu(inputs @ params["w1"] + params["b1"])
    ...     return (hidden @ params["w2"]).sum(), None
    >>> params = {"w1": np.ones((3, 4)), "b1": np.ones(4), "w2": np.ones((4, 1))}
    >>> walked = walk(loss, params, np.ones((5, 3)))
    >>> walked.layers, walked.activations, walked.shapes
    (('w1', 'w2'), ('relu', None), ((5, 4), (5, 1)))
    """
    # Tracing runs the Python code once, on abstract values; what comes out is the program that JAX would compile.
    closed, returned = jax().make_jaxpr(function, return_shape=True)(params, *rest)
    if not isinstance(returned, tuple) or len(returned) != 2 or getattr(returned[0], "shape", None) != ():
        raise ObjectiveError(
            "The function must return a pair: a scalar, and what else it computes.",
            hint="Write `return loss, None` where there is nothing else.",
        )
    paths = part_names(params)
    # Calls are inlined first, so that a layer inside of a jitted or vmapped function is seen like any other.
    program = straighten(closed, len(paths))
    layers, nested = find_layers(program, paths), nested_kernels(program)
    called = distinct(layer_names(layers, paths), "layers", [paths[layer.kernel] for layer in layers])
    tree_structure = jax().tree_util.tree_structure
    names = (*paths, *_names_of_rest(rest))
    arguments = _Arguments(tree_structure((params, *rest)), names, len(paths), program.inputs)
    return Walk(
        layers=called,
        activations=tuple(layer.activation for layer in layers),
        shapes=tuple(layer.shape for layer in layers),
        kernels=tuple(_kernel(layer, name, paths) for layer, name in zip(layers, called, strict=True)),
        nested=nested,
        nested_leaves=tuple(tuple(paths[leaf] for leaf in entry.leaves) for entry in nested),
        reads=tuple(_read_by_first(program, layers)),
        skipped=tuple(skipped_leaves(program, layers, nested, paths)),
        tapped=_tapped(program, layers, arguments, tree_structure(returned)),
        pushed=_pushed(program, nested, arguments),
        closed=closed,
    )


def _kernel(layer: ProgramLayer, name: str, paths: tuple[str, ...]) -> Plain:
    """Return how a layer's kernel lies in its leaf, and the layer among the others, as plain data."""
    axes = layer.axes
    return {
        "layer": name,
        "leaf": paths[layer.kernel],
        "bias": None if layer.bias is None else paths[layer.bias],
        "input_axes": None if axes is None else list(axes.inputs),
        "unit_axes": None if axes is None else list(axes.units),
        "ranges": None if axes is None else [list(part) for part in axes.ranges],
        **dataclasses.asdict(layer.order),
    }


def _read_by_first(program: StraightProgram, layers: tuple[ProgramLayer, ...]) -> Iterator[int]:
    """Yield the inputs of a program, by index, that its first layers multiply as they are."""
    for layer in layers:
        for operand in layer.product.operands if layer.order.depth == 0 else ():
            index = viewed_input(operand, program)
            if index is not None and program.inputs[index].origin is Source.DATA:
                yield index


def _tapped(
    program: StraightProgram, layers: tuple[ProgramLayer, ...], walked: _Arguments, returned: Any
) -> Callable[..., Any]:
    """Return the function `Walk.tapped`."""

    def tapped(
        params: Point, perturbations: tuple[Array, ...], *rest: Tree
    ) -> tuple[Array, Tree, tuple[Array, ...], tuple[Array, ...]]:
        inputs = _checked(params, rest, walked)
        # An addend of zeros changes no value, and its gradient is that of the pre-activation.
        added = dict(zip([layer.pre for layer in layers], _fitting(perturbations, layers), strict=True))
        known = _run(program, inputs, added)
        leaves = [_read(atom, known) for atom in program.outputs]
        value, aux = jax().tree_util.tree_unflatten(returned, leaves)
        # A vmapped layer may have its batch axis anywhere; readers expect it in front and the units last.
        pre = tuple(known[layer.pre].transpose(layer.layout) for layer in layers)
        post = tuple(known[layer.post].transpose(layer.layout) for layer in layers)
        return value, aux, pre, post

    return tapped


def _pushed(program: StraightProgram, nested: tuple[NestedKernels, ...], walked: _Arguments) -> Callable[..., Any]:
    """Return the function `Walk.pushed`."""
    scans = [entry.step for entry in nested if entry.length is not None]

    def pushed(params: Point, addends: Sequence[Sequence[Array]], *rest: Tree) -> Array:
        known = _run(program, _checked(params, rest, walked), {}, dict(zip(scans, addends, strict=True)))
        return _read(program.outputs[0], known)

    return pushed


def _run(
    program: StraightProgram,
    inputs: list[Array],
    added: Mapping[Value, Array],
    pushes: Mapping[TracedStep, Sequence[Array]] | None = None,
) -> dict[Value, Array]:
    """Run the steps and return every value.

    To those in `added` the array there is added as soon as they are known, to the states of scans in `pushes` theirs.
    """
    known = dict(zip(program.inputs, inputs, strict=True))
    for step in program.steps:
        operands = [_read(atom, known) for atom in step.operands]
        addends = None if pushes is None else pushes.get(step)
        results = evaluate(step.equation, operands) if addends is None else scanned(step.equation, operands, addends)
        for value, array in zip(step.results, results, strict=True):
            known[value] = array + added[value] if value in added else array
    return known


def _read(atom: Atom, known: dict[Value, Array]) -> Array:
    return atom.value if isinstance(atom, Constant) else known[atom]


# A program fits the shapes that it was traced for and no others.


def _checked(params: Point, rest: tuple[Tree, ...], walked: _Arguments) -> list[Array]:
    """Return the leaves of the arguments as arrays, or raise if they are not of the shapes that were walked."""
    leaves, structure = jax().tree_util.tree_flatten((params, *rest))
    if structure != walked.structure:
        raise PointError(
            "The arguments have other names or another nesting than those that were walked.",
            hint="Call `walk` with these arguments and use what it returns.",
        )
    arrays = [jax().numpy.asarray(leaf) for leaf in leaves]
    for index, (name, array, value) in enumerate(zip(walked.names, arrays, walked.values, strict=True)):
        # A program is specialised: with other shapes its constants and reshapes would be wrong without an error.
        if array.shape != value.shape or array.dtype != value.dtype:
            error = PointError if index < walked.number_of_parameters else DataError
            raise error(
                f"{name} is {_type_and_shape(array)}, but the function was walked with {_type_and_shape(value)}.",
                hint="The program of a walk fits one shape and type: call `walk` again for another.",
            )
    return arrays


def _fitting(perturbations: tuple[Array, ...], layers: tuple[ProgramLayer, ...]) -> list[Array]:
    """Return the perturbations in the types of the pre-activations, or raise if one has another shape."""
    arrays = [jax().numpy.asarray(array) for array in perturbations]
    shapes, needed = [array.shape for array in arrays], [layer.shape for layer in layers]
    if shapes != needed:
        raise DataError(
            f"The perturbations have the shapes {shapes}, but the pre-activations have {needed}.",
            hint="Give `tuple(jnp.zeros(shape) for shape in walk.shapes)`.",
        )
    return [
        array.astype(layer.pre.dtype).transpose(*map(layer.layout.index, range(array.ndim)))
        for array, layer in zip(arrays, layers, strict=True)
    ]


def _names_of_rest(rest: tuple[Tree, ...]) -> Iterator[str]:
    """Yield a name for each leaf of the arguments after the parameters."""
    for number, argument in enumerate(rest, start=2):
        for name in part_names(argument):
            yield f"argument {number}" if name == "value" else f"argument {number}, {name},"


def _type_and_shape(array: Array | Value) -> str:
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"


# The statistics of layers, built-in and inferred.


def statistics(activations: tuple[str | None, ...], before: tuple[Array, ...], after: tuple[Array, ...]) -> Array:
    """Return the statistics of each layer, shape (len(LAYER_COLUMNS), layers); NaN where they are not known.

    A unit is saturated on an example where the slope of its activation is below `FLAT` of the largest, and dead if it
    is saturated on every example of the batch. The variation is the deviation of a unit from example to example, root
    mean square over the units.
    """
    # Small arrays of one shape share one kernel: each operation costs microseconds on a CPU, whatever its size.
    layers = list(zip(activations, before, after, strict=True))
    groups = alike([a.size for a in after], [_group_key(*layer) for layer in layers])
    return in_order(groups, [_of_group([layers[index] for index in group]) for group in groups]).T


def _of_group(layers: list[tuple[str | None, Array, Array]]) -> Array:
    """Return the statistics of layers of one kind, shape (layers, len(LAYER_COLUMNS))."""
    name, before, after = layers[0]
    if len(layers) == 1:
        return _of_layer(name, before, after)[None]
    # Layers of one shape are stacked, and their statistics become one kernel each.
    stacked = [jax().numpy.stack([layer[side] for layer in layers]) for side in (1, 2)]
    return jax().vmap(lambda z, a: _of_layer(name, z, a))(*stacked)


def _group_key(name: str | None, before: Array, after: Array) -> Hashable:
    """Return the key that layers share if their statistics are computed together."""
    # Equal names as well: another activation has another slope.
    return name, before.shape, before.dtype, after.shape, after.dtype


def _of_layer(name: str | None, before: Array, after: Array) -> Array:
    """Return mean, deviation, variation, saturated share and dead share of a layer, shape (len(LAYER_COLUMNS),)."""
    numpy = jax().numpy
    # Statistics of bfloat16 activations are sums of many numbers, and need more bits.
    outward = (numpy.abs(after) if numpy.iscomplexobj(after) else after).astype("float32")
    variation = numpy.sqrt(numpy.mean(numpy.var(outward, axis=0)))
    slope = None if name is None else activation(name).slope
    if slope is None:
        return numpy.stack([numpy.mean(outward), numpy.std(outward), variation, numpy.nan, numpy.nan])
    flat = slope(before.astype("float32")) < FLAT
    # Over examples and pixels: a unit that is flat everywhere passes no gradient at all.
    dead = numpy.all(flat, axis=tuple(range(flat.ndim - 1)))
    return numpy.stack([numpy.mean(outward), numpy.std(outward), variation, numpy.mean(flat), numpy.mean(dead)])


def walked(loss: Callable[..., Any], point: Point, memory: Tree, examples: Tree, batch: int | None) -> Walk:
    """Return the layers inferred from a loss.

    Args:
        loss: `loss(point, memory, batch, key)`, as `Batched` has it.
        point: the parameters.
        memory: the state carried from batch to batch.
        examples: some examples, a tree of arrays.
        batch: the size of a batch; None where the examples are one batch.
    """
    # The shape of a batch decides the program; the values do not, so the first example is repeated.
    some = examples if batch is None else jax().tree.map(lambda leaf: np.asarray(leaf)[:1].repeat(batch, 0), examples)
    with precision("float32"):
        # In float32 as the training itself: types are part of the program.
        return walk(loss, point, memory, some, jax().random.key(0))


def look_through(walked_loss: Walk) -> dict[str, Any]:
    """Return `seen` and `nudges`, as `Batched` has them, of inferred layers; None of each without any."""
    if not walked_loss.layers:
        return {"seen": None, "nudges": None}

    def seen(
        point: Point, memory: Tree, batch: Tree, key: Array, nudges: tuple[Array, ...]
    ) -> tuple[Array, tuple[Tree, Array]]:
        value, memory, before, after = walked_loss.tapped(point, nudges, memory, batch, key)
        return value, (memory, statistics(walked_loss.activations, before, after))

    return {
        "seen": seen,
        "nudges": lambda batch: tuple(jax().numpy.zeros(shape, "float32") for shape in walked_loss.shapes),
    }
