"""The values of a program that are a layer's pre-activation, and the activations that follow.

A layer is a product of data with a leaf, the addition of another leaf of the same layer, and what reads the sum. The
activation behind it is named by its values; see `_elementwise`. Of a layer that no other follows, the activation is
named only where the program says where the outputs end and the loss begins: behind `marked_outputs`, or where it
returns them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from downslope._engine import jax
from downslope.programs._elementwise import Ending, Readers, ending_of
from downslope.programs._kernel_axes import KernelAxes, kernel_axes
from downslope.programs._layer_order import LayerOrder, layer_orders
from downslope.programs._provenance import PRODUCTS, VIEWS, Atom, StraightProgram, TracedStep, Value
from downslope.programs._recurrence import NestedKernels

# A pre-activation may be looked at behind these: nothing is lost in them, and gradients pass them unchanged.
_PASSING = VIEWS - {"stop_gradient", "optimization_barrier", "device_put", "copy_p"}
_TRANSPOSING = frozenset({"transpose"})
_MARK = "downslope outputs"


@dataclass(frozen=True, eq=False)
class ProgramLayer:
    """One layer of a program.

    Args:
        product: the step that multiplies.
        kernel: the leaf that the data is multiplied by, by its index.
        bias: the leaf that is added, by its index, or None.
        pre: the pre-activation.
        post: what the activation makes of it; `pre` itself where no elementwise operation follows.
        activation: the name of the activation, if known.
        layout: the order of the axes of `pre` in which the units stand last.
        axes: how the kernel lies in its leaf, or None where that cannot be told.
        order: where the layer lies among the others.
    """

    product: TracedStep
    kernel: int
    bias: int | None
    pre: Value
    post: Value
    activation: str | None
    layout: tuple[int, ...]
    axes: KernelAxes | None
    order: LayerOrder

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the pre-activation in its layout."""
        return tuple(self.pre.shape[axis] for axis in self.layout)


@dataclass(frozen=True, eq=False)
class _Network:
    """A program with the lookups that the search for layers repeats."""

    program: StraightProgram
    places: tuple[tuple[str, ...], ...]
    consumers: dict[Atom, list[TracedStep]]
    leading: frozenset[Atom]
    readers: Readers
    has_mark: bool

    def only_reader(self, value: Value) -> TracedStep | None:
        """Return the step that reads a value, or None where none or several do."""
        steps = self.consumers.get(value, [])
        return steps[0] if len(steps) == 1 else None


def marked_outputs(outputs: Any) -> Any:
    """Return outputs of a network as they are, marked for `find_layers` as where the loss begins."""
    from jax.ad_checkpoint import checkpoint_name

    return checkpoint_name(outputs, _MARK)


def _is_mark(step: TracedStep) -> bool:
    return step.equation.params.get("name") == _MARK


def find_layers(program: StraightProgram, paths: tuple[str, ...]) -> tuple[ProgramLayer, ...]:
    """Return the layers in the order in which they run; `paths` are the names of the leaves."""
    readers: dict[Atom, list[tuple[int, TracedStep]]] = {}
    for number, step in enumerate(program.steps):
        for operand in step.operands:
            readers.setdefault(operand, []).append((number, step))
    network = _Network(
        program,
        _places(paths),
        program.consumers,
        _leading(program),
        Readers(readers, program.makers),
        any(map(_is_mark, program.steps)),
    )
    products = [
        step
        for step in program.steps
        if step.primitive in PRODUCTS and _is_real(step.results[0]) and _holds_kernel(step)
    ]
    axes, orders = kernel_axes(program), layer_orders(program, products)
    return tuple(
        _layer(step, kernel, network, axes.get(step), order)
        for step, order in zip(products, orders, strict=True)
        for kernel in step.kernels
        if isinstance(kernel, int)
    )


def layer_names(layers: tuple[ProgramLayer, ...], paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the name of each layer: the branch that holds its leaves, or its kernel's own name.

    The latter where the branch is the whole tree, or holds the kernels of several layers. A kernel that is used again
    gets a number.
    """
    places = _places(paths)
    kernels_of = Counter(places[kernel][:-1] for kernel in {layer.kernel for layer in layers})
    uses: Counter[int] = Counter()
    names = []
    for layer in layers:
        path, uses[layer.kernel] = places[layer.kernel], uses[layer.kernel] + 1
        branch = path[:-1] if path[:-1] and kernels_of[path[:-1]] == 1 else path
        names.append("/".join(branch) + (f" ({uses[layer.kernel]})" if uses[layer.kernel] > 1 else ""))
    return tuple(names)


def skipped_leaves(
    program: StraightProgram,
    layers: tuple[ProgramLayer, ...],
    nested: tuple[NestedKernels, ...],
    paths: tuple[str, ...],
) -> Iterator[str]:
    """Yield a sentence for the kernels inside each step that stays whole, and for each matrix that is in no layer."""
    seen = {leaf for layer in layers for leaf in (layer.kernel, layer.bias)}
    for entry in nested:
        seen.update(operand.origin for operand in entry.step.operands if isinstance(operand.origin, int))
        yield f"{', '.join(paths[leaf] for leaf in entry.leaves)}: used {entry.reason}."
    for leaf, path in enumerate(paths):
        value = program.inputs[leaf]
        if leaf not in seen and len(value.shape) > 1 and _is_real(value):
            yield f"{path}: no product of data with it was found; it may be an embedding, or changed before it."


def _places(paths: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return where each leaf lives, without the `value` in which Flax wraps it."""
    split = [tuple(path.split("/")) for path in paths]
    children = Counter(path[:-1] for path in split)
    return tuple(
        path[:-1] if path[-1] == "value" and len(path) > 1 and children[path[:-1]] == 1 else path for path in split
    )


def _leading(program: StraightProgram) -> frozenset[Atom]:
    """Return the values from which a layer is reached, named or not: no final outputs."""
    leading: set[Atom] = set()
    for step in reversed(program.steps):
        if step.kernels or any(result in leading for result in step.results):
            leading.update(step.operands)
    return frozenset(leading)


def _layer(
    product: TracedStep, kernel: int, network: _Network, axes: KernelAxes | None, order: LayerOrder
) -> ProgramLayer:
    """Return the layer around a product.

    Its pre-activation is taken in the layout in which the activation reads it; where none does, where the bias is
    added; without a bias, behind the transposition with which `vmap` puts the batch in front.
    """
    outcome = _settled(product.results[0], network, _PASSING)
    addition, bias = _addition(outcome, kernel, network)
    if addition is None:
        pre = _settled(product.results[0], network, _TRANSPOSING)
    else:
        pre = addition.results[0]
        outcome = _settled(pre, network, _PASSING)
    ending = ending_of(outcome, network.readers)
    name = None if ending is None else ending.name
    if outcome in network.leading:
        if ending is None and _is_multiplied(outcome, network):
            name = "linear"
    elif ending is None or name is None or not _may_end_at(ending, network):
        name = None
        if _ends_at(outcome, network):
            name, ending = "linear", None
    if ending is None:
        return ProgramLayer(product, kernel, bias, pre, pre, name, _layout(product, pre, network), axes, order)
    return ProgramLayer(
        product, kernel, bias, outcome, ending.value, name, _layout(product, outcome, network), axes, order
    )


def _is_multiplied(value: Value, network: _Network) -> bool:
    """Tell whether nothing reads a value but the next layers, as it is."""
    steps = network.consumers.get(value, [])
    return bool(steps) and all(step.primitive in PRODUCTS and _holds_kernel(step) for step in steps)


def _holds_kernel(step: TracedStep) -> bool:
    return any(isinstance(kernel, int) for kernel in step.kernels)


def _ends_at(value: Value, network: _Network) -> bool:
    """Tell whether a value is the output of the network: marked, returned, or the minuend of a residual."""
    if value in network.program.outputs:
        return True
    steps = network.consumers.get(value, [])
    if any(map(_is_mark, steps)):
        return True
    if not network.has_mark and steps and all(step.primitive == "sub" for step in steps):
        return True
    # What is added to the output, as around a residual branch, leaves it as free as it was.
    if len(steps) != 1 or steps[0].primitive != "add" or steps[0].results[0].shape != value.shape:
        return False
    return _ends_at(_settled(steps[0].results[0], network, _PASSING), network)


def _may_end_at(ending: Ending, network: _Network) -> bool:
    """Tell whether a named activation is the last operation before the loss, as far as the program says."""
    return not network.has_mark or _ends_at(_settled(ending.value, network, _PASSING), network)


def _settled(value: Value, network: _Network, passing: frozenset[str]) -> Value:
    """Follow a value through steps that only rearrange it, as long as nothing else reads it."""
    while value not in network.program.outputs:
        reader = network.only_reader(value)
        if reader is None or _is_mark(reader) or reader.primitive not in passing or reader.operands[0] is not value:
            break
        # A broadcast or a slice changes the number of entries: what follows is no longer this value, entry by entry.
        if reader.results[0].size != value.size or not _is_real(reader.results[0]):
            break
        value = reader.results[0]
    return value


def _addition(product: Value, kernel: int, network: _Network) -> tuple[TracedStep | None, int | None]:
    """Return the step that adds a leaf of the same layer, and the leaf.

    The same layer is the same branch of the tree, or the same entry of two lists: `weights/0` and `biases/0`.
    """
    step = network.only_reader(product)
    if step is not None and step.primitive == "add" and step.results[0].size == product.size:
        here = network.places[kernel]
        for other in step.operands:
            if other is product or not isinstance(other.origin, int):
                continue
            there = network.places[other.origin]
            if here[:-1] == there[:-1] or here[-1] == there[-1]:
                return step, other.origin
    return None, None


def _layout(product: TracedStep, pre: Value, network: _Network) -> tuple[int, ...]:
    """Return the order of a pre-activation's axes in which the units stand last, as written if that cannot be told.

    `weight @ x` puts them first, and under `vmap` the batch then comes behind them.
    """
    units, value = _unit_axes(product), product.results[0]
    while value is not pre:
        (step,) = network.consumers[value]
        if step.primitive == "transpose":
            units = [step.equation.params["permutation"].index(axis) for axis in units]
        elif step.results[0].shape != value.shape:
            units = []
            break
        value = step.results[0]
    axes = range(len(pre.shape))
    # One unit axis at the end is enough: the others may be the members of an ensemble, which stand in front.
    if not units or axes[-1] in units:
        return tuple(axes)
    return (*(axis for axis in axes if axis not in units), *units)


def _unit_axes(product: TracedStep) -> list[int]:
    """Return the axes of a matrix product that come from its kernel; none for a convolution, whose channels stay."""
    if product.primitive != "dot_general":
        return []
    (contracted, _), (batched, _) = product.equation.params["dimension_numbers"]
    left = product.operands[0]
    end = len(left.shape) - len(contracted)
    first = range(len(batched), end)
    rest = range(end, len(product.results[0].shape))
    return list(first if left.origin in product.kernels else rest)


def _is_real(value: Value) -> bool:
    return bool(jax().numpy.issubdtype(value.dtype, jax().numpy.inexact))
