"""A JAX program as one straight list of steps in which every value remembers which parameter it came through.

A jaxpr nests: `jax.jit`, `jax.checkpoint` and others put programs inside programs. What holds a layer is written out in
place, all else stays a single step. A value *comes from* a leaf of the parameters as long as only its shape, order or
type was changed on the way; `Source` says what it is otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np

from downslope.programs._walk import InnerProgram, Nesting, called, inner_programs, nesting_of, walk


class Source(Enum):
    """The origin of a value that is no parameter leaf."""

    DATA = "it depends on what the function is given, or on arrays it closes over"
    ZERO = "it is zero everywhere"
    CONSTANT = "it is written in the program"
    DERIVED = "it was computed from parameters alone"


# A leaf by its index, in the order of `part_names`.
Origin: TypeAlias = int | Source

PRODUCTS = frozenset({"dot_general", "conv_general_dilated"})
# Those that take and return several values side by side.
_SIDE_BY_SIDE = frozenset({"copy_p", "device_put", "optimization_barrier"})
VIEWS = _SIDE_BY_SIDE | {
    "broadcast_in_dim",
    "convert_element_type",
    "copy",
    "dynamic_slice",
    "expand_dims",
    "name",
    "reduce_precision",
    "reshape",
    "reshard",
    "rev",
    "sharding_constraint",
    "slice",
    "split",
    "squeeze",
    "stop_gradient",
    "transpose",
}


@dataclass(frozen=True, eq=False)
class Value:
    """An array that the program computes or is given; two are the same only if they are one object."""

    shape: tuple[int, ...]
    dtype: Any
    origin: Origin

    @property
    def size(self) -> int:
        """The number of its entries."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Constant:
    """A number written in the program, or an array it closes over."""

    value: Any
    origin: Origin

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return np.shape(self.value)


Atom: TypeAlias = Value | Constant


@dataclass(frozen=True, eq=False)
class TracedStep:
    """One equation, with what it reads and writes.

    Args:
        equation: the equation of the jaxpr that is evaluated.
        operands: what it reads.
        results: what it writes.
        kernels: what the data is multiplied by in it: a leaf, or DERIVED where it is a function of leaves. Empty for
            all but products and the programs that hold one.
    """

    equation: Any
    operands: tuple[Atom, ...]
    results: tuple[Value, ...]
    kernels: tuple[Origin, ...]

    @property
    def primitive(self) -> str:
        """The name of what it does: `dot_general`, `tanh`, `scan`."""
        return self.equation.primitive.name


@dataclass(frozen=True)
class StraightProgram:
    """The steps in the order in which they run, between the inputs (the leaves of all arguments) and the outputs."""

    inputs: tuple[Value, ...]
    steps: tuple[TracedStep, ...]
    outputs: tuple[Atom, ...]

    @functools.cached_property
    def makers(self) -> dict[Atom, TracedStep]:
        """The step that computes each value."""
        return {result: step for step in self.steps for result in step.results}

    @functools.cached_property
    def consumers(self) -> dict[Atom, list[TracedStep]]:
        """The steps that read each value, one entry for every time it is read."""
        readers: dict[Atom, list[TracedStep]] = {}
        for step in self.steps:
            for operand in step.operands:
                readers.setdefault(operand, []).append(step)
        return readers


def straighten(closed: Any, number_of_leaves: int) -> StraightProgram:
    """Write a closed jaxpr out as a `StraightProgram`, opening only the calls that hold a layer.

    Args:
        closed: what `jax.make_jaxpr` returns.
        number_of_leaves: how many of its first inputs are parameters.
    """
    steps: list[TracedStep] = []
    inputs = tuple(
        _value(variable.aval, index if index < number_of_leaves else Source.DATA)
        for index, variable in enumerate(closed.jaxpr.invars)
    )
    outputs = _write_out(closed.jaxpr, closed.consts, inputs, steps)
    return StraightProgram(inputs, tuple(steps), tuple(outputs))


def viewed_input(value: Atom, program: StraightProgram) -> int | None:
    """Return the input of a program, by its index, of which a value is a view; None where it is computed."""
    while value in program.makers:
        step = program.makers[value]
        if step.primitive not in VIEWS:
            return None
        value = step.operands[step.results.index(value) if step.primitive in _SIDE_BY_SIDE else 0]
    return program.inputs.index(value) if value in program.inputs else None


def _write_out(jaxpr: Any, constants: Iterable[Any], inputs: Sequence[Atom], steps: list[TracedStep]) -> list[Atom]:
    """Append the steps of a jaxpr to `steps` and return its outputs."""

    def step(equation: Any, operands: list[Atom]) -> list[Atom]:
        kernels, origins = follow(equation, [operand.origin for operand in operands])
        inner = called(equation)
        if inner is not None and any(isinstance(kernel, int) for kernel in kernels):
            return _write_out(inner.jaxpr, inner.constants, operands, steps)
        results = [_value(variable.aval, origin) for variable, origin in zip(equation.outvars, origins, strict=True)]
        steps.append(TracedStep(equation, tuple(operands), tuple(results), tuple(kernels)))
        return list(results)

    return walk(jaxpr, list(constants), inputs, step, _literal, lambda value: Constant(value, Source.DATA))


def follow(equation: Any, origins: Sequence[Origin]) -> tuple[list[Origin], list[Origin]]:
    """Return the kernels that an equation multiplies by, at any depth, and the origins of its results."""
    name, count = equation.primitive.name, len(equation.outvars)
    if name in PRODUCTS:
        kernel = _kernel(origins[0], origins[1])
        return ([], [_blend(origins)]) if kernel is None else ([kernel], [Source.DATA])
    if name in VIEWS and origins:
        return [], list(origins) if name in _SIDE_BY_SIDE else [origins[0]] * count
    kernels: list[Origin] = []
    for inner in inner_programs(equation):
        kernels_inside, results = _follow_inner(inner, origins)
        kernels += [kernel for kernel in kernels_inside if kernel not in kernels]
        if nesting_of(equation) is Nesting.CALL:
            return kernels, results
    return kernels, [Source.DATA if kernels else _blend(origins)] * count


def _follow_inner(inner: InnerProgram, origins: Sequence[Origin]) -> tuple[list[Origin], list[Origin]]:
    """Return the kernels inside a nested program and the origins of its outputs."""
    kernels: list[Origin] = []

    def step(equation: Any, operands: list[Origin]) -> list[Origin]:
        kernels_inside, results = follow(equation, operands)
        kernels.extend(kernels_inside)
        return results

    return kernels, carry_origins(inner, origins, step)


def carry_origins(
    inner: InnerProgram, origins: Sequence[Origin], step: Callable[[Any, list[Origin]], list[Origin]]
) -> list[Origin]:
    """Return the origins of a nested program's outputs, from those of the operands of the equation that holds it."""
    arguments = inner.operands(origins, Source.DATA)
    return walk(inner.jaxpr, inner.constants, arguments, step, origin_of_literal, lambda value: Source.DATA)


def origin_of_literal(value: Any) -> Origin:
    """Return the origin of a number that is written in the program."""
    return Source.CONSTANT if np.any(np.asarray(value) != 0) else Source.ZERO


def _kernel(left: Origin, right: Origin) -> Origin | None:
    """Return the operand that is a parameter where the other one is not, or None."""
    for kernel, other in ((left, right), (right, left)):
        if isinstance(kernel, int) and not isinstance(other, int) and other is not Source.DERIVED:
            return kernel
        if kernel is Source.DERIVED and other is Source.DATA:
            return kernel
    return None


def _blend(origins: Sequence[Origin]) -> Origin:
    """Return the origin of what is computed from values of these origins.

    An equation that reads nothing counts as data, like the coordinates that `jnp.linspace` makes.
    """
    if not origins or Source.DATA in origins:
        return Source.DATA
    computed = any(isinstance(origin, int) or origin is Source.DERIVED for origin in origins)
    return Source.DERIVED if computed else Source.CONSTANT


def _literal(value: Any) -> Atom:
    return Constant(value, origin_of_literal(value))


def _value(aval: Any, origin: Origin) -> Value:
    return Value(tuple(getattr(aval, "shape", ())), getattr(aval, "dtype", None), origin)
