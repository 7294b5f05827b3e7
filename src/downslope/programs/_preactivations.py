"""Which values of a program are a layer's pre-activation, and which activation follows.

A layer is a product of data with a leaf, the addition of another leaf of the same layer, and what reads the sum. An
activation is named only where one operation of a short list is all that reads it. Hence silu, x·sigmoid(x), stays
unknown, since two operations read x.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from downslope._engine import jax
from downslope.programs._provenance import (
    PRODUCTS,
    VIEWS,
    Atom,
    Source,
    StraightProgram,
    TracedStep,
    Value,
    carry_origins,
    follow,
)
from downslope.programs._walk import InnerProgram, Nesting, inner_programs, nesting_of

# A pre-activation may be looked at behind these: nothing is lost in them, and gradients pass them unchanged.
_PASSING = VIEWS - {"stop_gradient", "optimization_barrier", "device_put", "copy_p"}
_TRANSPOSING = frozenset({"transpose"})
_SIGNAL = 0  # stands for the pre-activation where an activation's own program is followed


@dataclass(frozen=True, eq=False)
class ProgramLayer:
    """One layer of a program.

    Args:
        kernel: the leaf that the data is multiplied by, by its index.
        bias: the leaf that is added, by its index, or None.
        pre: the pre-activation.
        post: what the activation makes of it, or None where that is not known.
        activation: the name of the activation, if known.
        layout: the order of the axes of `pre` in which the units stand last.
    """

    kernel: int
    bias: int | None
    pre: Value
    post: Value | None
    activation: str | None
    layout: tuple[int, ...]

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

    def only_reader(self, value: Value) -> TracedStep | None:
        """Return the step that reads a value, or None where none or several do."""
        steps = self.consumers.get(value, [])
        return steps[0] if len(steps) == 1 else None


def find_layers(program: StraightProgram, paths: tuple[str, ...]) -> tuple[ProgramLayer, ...]:
    """Return the layers in the order in which they run; `paths` are the names of the leaves."""
    network = _Network(program, _places(paths), program.consumers, _leading(program))
    return tuple(
        _layer(step, kernel, network)
        for step in program.steps
        if step.primitive in PRODUCTS and _is_real(step.results[0])
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


def skipped_leaves(program: StraightProgram, layers: tuple[ProgramLayer, ...], paths: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for the kernels inside each step that stays whole, and for each matrix that is in no layer."""
    seen = {leaf for layer in layers for leaf in (layer.kernel, layer.bias)}
    for step in program.steps:
        inside = [kernel for kernel in step.kernels if isinstance(kernel, int)]
        if inside and step.primitive not in PRODUCTS:
            seen.update(operand.origin for operand in step.operands if isinstance(operand.origin, int))
            yield f"{', '.join(paths[leaf] for leaf in inside)}: {_reason(step.primitive)}."
    for leaf, path in enumerate(paths):
        value = program.inputs[leaf]
        if leaf not in seen and len(value.shape) > 1 and _is_real(value):
            yield f"{path}: no product of data with it was found; it may be an embedding, or changed before it."


def _reason(primitive: str) -> str:
    if primitive in ("scan", "while"):
        return f"used inside a `{primitive}`, whose rounds share one program, so it has no single pre-activation"
    if primitive == "cond":
        return "used inside a `cond`, of which only one branch runs"
    if primitive.startswith("custom_"):
        return "used inside a function with a derivative rule of its own, which has to stay whole"
    return f"used inside a `{primitive}`, which is not opened"


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


def _layer(product: TracedStep, kernel: int, network: _Network) -> ProgramLayer:
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
    reader = network.only_reader(outcome)
    activation = None if reader is None else _activation_after(outcome, reader)
    if reader is not None and activation is not None:
        return ProgramLayer(kernel, bias, outcome, reader.results[0], activation, _layout(product, outcome, network))
    layout = _layout(product, pre, network)
    # Another layer follows, but nothing on the list of activations: what acts between the two is not known.
    if outcome in network.leading:
        return ProgramLayer(kernel, bias, pre, None, None, layout)
    return ProgramLayer(kernel, bias, pre, pre, "linear", layout)


def _settled(value: Value, network: _Network, passing: frozenset[str]) -> Value:
    """Follow a value through steps that only rearrange it, as long as nothing else reads it."""
    while value not in network.program.outputs:
        reader = network.only_reader(value)
        if reader is None or reader.primitive not in passing or reader.operands[0] is not value:
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


def _activation_after(value: Value, reader: TracedStep) -> str | None:
    """Return the name of the activation that a step applies to a value, or None if it is not on the list."""
    if len(reader.results) != 1 or reader.results[0].shape != value.shape:
        return None
    return _activation(reader.equation, [_SIGNAL if atom is value else _other(atom) for atom in reader.operands])


def _activation(equation: Any, origins: list[Any]) -> str | None:
    """Return the activation that an equation computes of the signal among its operands."""
    name = equation.primitive.name
    if name in ("tanh", "logistic"):
        return "sigmoid" if name == "logistic" else name
    beside_zero = len(origins) == 2 and Source.ZERO in origins
    if name == "max" and beside_zero:
        return "relu"
    if name.startswith("custom_") and beside_zero and _written_as(equation) == "logaddexp":
        return "softplus"
    if nesting_of(equation) in (Nesting.CALL, Nesting.RULED_CALL):
        return _activation_inside(next(inner_programs(equation)), origins)
    return None


def _activation_inside(inner: InnerProgram, origins: list[Any]) -> str | None:
    """Return the activation that a nested program is, if a single equation of it reads the signal and ends it."""
    readers = []

    def step(equation: Any, operands: list[Any]) -> list[Any]:
        if _SIGNAL not in operands:
            return follow(equation, operands)[1]
        readers.append((equation, operands))
        return [Source.DATA] * len(equation.outvars)

    carry_origins(inner, origins, step)
    if len(readers) != 1 or list(readers[0][0].outvars) != list(inner.jaxpr.outvars):
        return None
    return _activation(*readers[0])


def _written_as(equation: Any) -> str:
    """Return the name of the Python function from which a nested program was made."""
    inner = next(inner_programs(equation)).jaxpr
    return getattr(getattr(inner, "debug_info", None), "func_name", "")


def _other(atom: Atom) -> Source:
    return Source.ZERO if atom.origin is Source.ZERO else Source.DATA


def _is_real(value: Value) -> bool:
    return bool(jax().numpy.issubdtype(value.dtype, jax().numpy.inexact))
