"""The graph of a JAX function: the equations of its program, each differentiated by JAX's own rule for it.

`jax.make_jaxpr` writes the function out as a list of primitive operations. The list is gone through once: each equation
that depends on the point is computed together with its `vjp`, which is what the way back needs of it. Programs inside
(`jit`, `checkpoint`) are written out in place; a function with a derivative rule of its own stays one operation, since
that rule is what JAX differentiates it by. What no gradient passes, comparisons and whole numbers, is no node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._errors import ObjectiveError
from downslope._types import Point
from downslope.backpropagation._draft import Draft
from downslope.backpropagation._naming import named
from downslope.backpropagation._steps import Known, Step

_MOST_NODES = 300
_INLINED = frozenset({"jit", "pjit", "closed_call", "call", "core_call", "remat2", "checkpoint"})


@dataclass(eq=False)
class _Walk:
    """The way through a program; it holds the steps so far."""

    steps: list[Step] = field(default_factory=list)

    def run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Known]) -> list[Known]:
        """Compute a program, and return its results."""
        known = dict(zip(jaxpr.constvars, map(Known, constants), strict=True))
        known |= dict(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> Known:
            return Known(atom.val) if hasattr(atom, "val") else known[atom]

        for equation in jaxpr.eqns:
            operands = [read(atom) for atom in equation.invars]
            inner = _program_inside(equation)
            found = self.apply(equation, operands) if inner is None else self.run(*inner, operands)
            known |= dict(zip(equation.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def apply(self, equation: Any, operands: Sequence[Known]) -> list[Known]:
        """Compute an equation, and return its results."""
        places = list(dict.fromkeys(known.place for known in operands if known.place is not None))
        flows = any(_flows(atom.aval) for atom in equation.outvars)
        if not places or not flows:
            return [Known(value) for value in _computed(equation, [known.value for known in operands])]
        if _changes_nothing(equation):
            return [operands[0]]
        return self._differentiated(equation, operands, places)

    def _differentiated(self, equation: Any, operands: Sequence[Known], places: list[int]) -> list[Known]:
        """Compute an equation with its way back, and return its results."""
        if len(self.steps) >= _MOST_NODES:
            raise ObjectiveError(
                f"the function makes more than {_MOST_NODES} operations, too many to show each",
                hint="its gradient alone: ds.slope(…)",
            )

        def function(*moving: Any) -> list[Any]:
            moved = dict(zip(places, moving, strict=True))
            chosen = [known.value if known.place is None else moved[known.place] for known in operands]
            return _computed(equation, chosen)

        start = [next(known.value for known in operands if known.place == place) for place in places]
        values, pull = jax().vjp(function, *start)
        settings = dict(equation.params) | {"name of rule": _name_of_rule(equation)}
        found = []
        for number, value in enumerate(values):
            if not _flows(value):
                found.append(Known(value))
                continue
            back = _back_from(pull, values, number)
            name = equation.primitive.name
            self.steps.append(Step(name, settings, tuple(operands), np.asarray(value), tuple(places), back))
            found.append(Known(value, len(self.steps) - 1))
        return found


def program_graph(function: Any, name: str, point: Point) -> list[Draft]:
    """Return the graph of a function at a point, the parts of the point first, the result last.

    Args:
        function: a JAX function of a point that returns one real number.
        name: what its value is called.
        point: a tree of arrays.

    Raises:
        ObjectiveError: if it makes more operations than anyone could read.
    """
    leaves = [jax().numpy.asarray(leaf) for leaf in _tree.leaves(point)]
    walk = _Walk([Step("", {}, (), np.asarray(leaf)) for leaf in leaves])
    program = jax().make_jaxpr(function)(point)
    arguments = [Known(leaf, place) for place, leaf in enumerate(leaves)]
    (result,) = walk.run(program.jaxpr, program.consts, arguments)
    last = result.place
    if last is None or last < len(leaves):
        walk.steps.append(_last_step(result))
        last = len(walk.steps) - 1
    return named(_needed(walk.steps, len(leaves), last), _tree.part_names(point), name)


def _last_step(result: Known) -> Step:
    """Return the step that gives a part of the point, or a constant, as the result."""
    inputs = () if result.place is None else (result.place,)
    primitive = "constant" if result.place is None else "copy"
    return Step(primitive, {}, (result,), np.asarray(result.value), inputs, lambda gradient: (gradient,) * len(inputs))


def _needed(steps: Sequence[Step], parts: int, last: int) -> dict[int, Step]:
    """Return, by their place, the parts of the point and the steps that lead to the result."""
    wanted, stack = set(range(parts)), [last]
    while stack:
        place = stack.pop()
        if place not in wanted:
            wanted.add(place)
            stack += steps[place].inputs
    return {place: steps[place] for place in sorted(wanted)}


def _program_inside(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """Return the program that an equation runs and its constants; None if it is a single operation."""
    if equation.primitive.name not in _INLINED:
        return None
    inside = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    return (inside.jaxpr, inside.consts) if hasattr(inside, "consts") else (inside, ())


def _computed(equation: Any, values: Sequence[Any]) -> list[Any]:
    """Return the results of an equation, as `jax.core.eval_jaxpr` computes them."""
    primitive = equation.primitive
    with equation.ctx.manager:
        outcome = primitive.bind(*values, **primitive.get_bind_params(equation.params))
    return list(outcome) if primitive.multiple_results else [outcome]


def _back_from(pull: Any, values: Sequence[Any], number: int) -> Any:
    """Return the way back from one of an equation's results, as if the others were not used."""

    def back(gradient: np.ndarray) -> Sequence[Any]:
        arriving = [_nothing(value) for value in values]
        arriving[number] = jax().numpy.asarray(gradient, values[number].dtype)
        return pull(arriving)

    return back


def _nothing(value: Any) -> Any:
    """Return the gradient that arrives at a result that is not used."""
    return np.zeros(np.shape(value), value.dtype if _flows(value) else jax().dtypes.float0)


def _changes_nothing(equation: Any) -> bool:
    """Tell whether an equation hands its input on as it is."""
    before, after = equation.invars[0].aval, equation.outvars[0].aval
    same = equation.primitive.name in ("copy", "convert_element_type", "reduce_precision")
    return same and before.shape == after.shape and before.dtype == after.dtype


def _flows(thing: Any) -> bool:
    """Tell whether gradients flow through a value: one of floating-point numbers, real or complex."""
    return hasattr(thing, "dtype") and jax().numpy.issubdtype(thing.dtype, np.inexact)


def _name_of_rule(equation: Any) -> str:
    """Return the name of a function with a derivative rule of its own; empty for other equations."""
    inside = equation.params.get("call_jaxpr")
    about = getattr(getattr(inside, "jaxpr", inside), "debug_info", None)
    return getattr(about, "func_name", "") if equation.primitive.name.startswith("custom_") else ""
