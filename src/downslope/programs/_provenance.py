"""A JAX program as one straight list of steps in which every value remembers which parameter it came through.

A jaxpr nests: `jax.jit`, `jax.checkpoint` and others put programs inside programs. What holds a layer is written out in
place, all else stays a single step. A value *comes from* a leaf of the parameters as long as only its shape, order or
type was changed on the way; `Source` says what it is otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np


class Source(Enum):
    """What a value is that is no parameter leaf."""

    DATA = "it depends on what the function is given, or on arrays it closes over"
    ZERO = "it is zero everywhere"
    CONSTANT = "it is written in the program"
    DERIVED = "it was computed from parameters alone"


# A leaf by its index, in the order of `part_names`.
Origin: TypeAlias = int | Source

PRODUCTS = frozenset({"dot_general", "conv_general_dilated"})
CALLS = frozenset({"jit", "pjit", "closed_call", "call", "core_call", "remat2", "checkpoint"})
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
        """How many numbers it holds."""
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
class Step:
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
class Program:
    """The steps in the order in which they run, between the inputs (the leaves of all arguments) and the outputs."""

    inputs: tuple[Value, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Atom, ...]

    @property
    def consumers(self) -> dict[Atom, list[Step]]:
        """The steps that read each value, one entry for every time it is read."""
        found: dict[Atom, list[Step]] = {}
        for step in self.steps:
            for operand in step.operands:
                found.setdefault(operand, []).append(step)
        return found


def straighten(closed: Any, number_of_leaves: int) -> Program:
    """Write a closed jaxpr out as a `Program`, opening only the calls that hold a layer.

    Args:
        closed: what `jax.make_jaxpr` returns.
        number_of_leaves: how many of its first inputs are parameters.
    """
    steps: list[Step] = []
    inputs = tuple(
        _value(variable.aval, place if place < number_of_leaves else Source.DATA)
        for place, variable in enumerate(closed.jaxpr.invars)
    )
    outputs = _write_out(closed.jaxpr, closed.consts, inputs, steps)
    return Program(inputs, tuple(steps), outputs)


def _write_out(jaxpr: Any, constants: Iterable[Any], inputs: Sequence[Atom], steps: list[Step]) -> tuple[Atom, ...]:
    """Append the steps of a jaxpr to `steps` and return its outputs."""
    known: dict[Any, Atom] = dict(zip(jaxpr.invars, inputs, strict=True))
    known |= {
        variable: Constant(value, Source.DATA) for variable, value in zip(jaxpr.constvars, constants, strict=True)
    }
    for equation in jaxpr.eqns:
        operands = tuple(_read(atom, known) for atom in equation.invars)
        kernels, origins = follow(equation, [operand.origin for operand in operands])
        if equation.primitive.name in CALLS and any(isinstance(kernel, int) for kernel in kernels):
            inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            results = _write_out(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands, steps)
        else:
            results = tuple(
                _value(variable.aval, origin) for variable, origin in zip(equation.outvars, origins, strict=True)
            )
            steps.append(Step(equation, operands, results, tuple(kernels)))
        known.update(zip(equation.outvars, results, strict=True))
    return tuple(_read(atom, known) for atom in jaxpr.outvars)


def follow(equation: Any, origins: Sequence[Origin]) -> tuple[list[Origin], list[Origin]]:
    """Return the kernels that an equation multiplies by, at any depth, and the origins of its results."""
    name, count = equation.primitive.name, len(equation.outvars)
    if name in PRODUCTS:
        kernel = _kernel(origins[0], origins[1])
        return ([], [_blend(origins)]) if kernel is None else ([kernel], [Source.DATA])
    if name in VIEWS and origins:
        return [], list(origins) if name in _SIDE_BY_SIDE else [origins[0]] * count
    kernels: list[Origin] = []
    for body in bodies(equation):
        inner, results = _follow_body(body, origins)
        kernels += [kernel for kernel in inner if kernel not in kernels]
        if name in CALLS:
            return kernels, results
    return kernels, [Source.DATA if kernels else _blend(origins)] * count


def _follow_body(body: Any, origins: Sequence[Origin]) -> tuple[list[Origin], list[Origin]]:
    """Return the kernels inside a nested program and the origins of its outputs."""
    known = entering(body, origins)
    kernels: list[Origin] = []
    for equation in body.eqns:
        inner, results = follow(equation, [origin_of(atom, known) for atom in equation.invars])
        kernels += inner
        known.update(zip(equation.outvars, results, strict=True))
    return kernels, [origin_of(atom, known) for atom in body.outvars]


def entering(body: Any, origins: Sequence[Origin]) -> dict[Any, Origin]:
    """Return the origins of a nested program's inputs.

    They are the last operands of the equation that holds it: a `cond` reads the index of its branch before them, a
    `while` the constants of its condition.
    """
    missing = max(0, len(body.invars) - len(origins))
    padded = [Source.DATA] * missing + list(origins)
    return dict(zip(body.invars, padded[len(padded) - len(body.invars) :], strict=True))


def bodies(equation: Any) -> Iterator[Any]:
    """Yield the programs inside an equation: the body of a loop, the branches of a `cond`."""
    for parameter in equation.params.values():
        for candidate in parameter if isinstance(parameter, tuple | list) else (parameter,):
            inner = getattr(candidate, "jaxpr", candidate)
            if hasattr(inner, "eqns"):
                yield inner


def evaluate(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Evaluate one equation as `jax.core.eval_jaxpr` does, which leaves its derivative rule as it is."""
    settings = equation.primitive.get_bind_params(equation.params)
    with equation.ctx.manager:
        outcome = equation.primitive.bind(*operands, **settings)
    return outcome if equation.primitive.multiple_results else [outcome]


def origin_of(atom: Any, known: dict[Any, Origin]) -> Origin:
    """Return the origin of a literal or a variable of a jaxpr; variables that are not `known` are constant arrays."""
    if not hasattr(atom, "val"):
        return known.get(atom, Source.DATA)
    return Source.CONSTANT if np.any(np.asarray(atom.val) != 0) else Source.ZERO


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


def _read(atom: Any, known: dict[Any, Atom]) -> Atom:
    """Return what a variable stands for, or the constant that a literal is."""
    return Constant(atom.val, origin_of(atom, {})) if hasattr(atom, "val") else known[atom]


def _value(aval: Any, origin: Origin) -> Value:
    return Value(tuple(getattr(aval, "shape", ())), getattr(aval, "dtype", None), origin)
