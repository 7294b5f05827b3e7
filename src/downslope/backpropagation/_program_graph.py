"""The graph of a JAX function: the equations of its program, each differentiated by JAX's own rule for it.

`jax.make_jaxpr` writes the function out as a list of primitive operations. The list is gone through once: each equation
that depends on the point is computed together with its `vjp`, which is what the way back needs of it. Programs inside
(`jit`, `checkpoint`) are written out in place; a function with a derivative rule of its own stays one operation, since
that rule is what JAX differentiates it by. What no gradient passes, comparisons and whole numbers, is no node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._errors import ObjectiveError
from downslope._types import Point
from downslope.backpropagation._draft import Back, Draft, given
from downslope.backpropagation._notation import free_letter, free_result, numbered, printable
from downslope.backpropagation._primitives import atom, constant, kind_of, partial_texts, written

# The steps of a program as nodes: labelled in their order, and written as a textbook would.


_LONGEST_NAME = 48


def named(steps: Mapping[int, Step], parts: Sequence[str], name: str) -> list[Draft]:
    """Return steps as the nodes of a graph.

    Args:
        steps: by their place in the program, the parts of the point first, the result last.
        parts: what the parts of the point are called.
        name: what the result is called.
    """
    plain = ["x"] if list(parts) == ["value"] else [printable(part) for part in parts]  # a bare array is x
    letter, result = free_letter([*plain, name]), free_result(printable(name), plain)
    labels = {place: plain[place] for place in range(len(plain))}
    for number, place in enumerate(list(steps)[len(plain) :], start=1):
        labels[place] = numbered(letter, number)
    labels[list(steps)[-1]] = result
    numbers = {place: number for number, place in enumerate(steps)}
    texts: dict[int, tuple[str, int]] = {place: atom(part) for place, part in enumerate(plain)}
    drafts = []
    for place, step in steps.items():
        if place < len(plain):
            drafts.append(given(plain[place], step.value))
            continue
        texts[place] = _expanded(step, labels, texts)
        inputs = tuple(numbers[one] for one in step.inputs)
        role = "result" if labels[place] == result else "operation"
        drafts.append(_draft(step, labels, labels[place], texts[place][0], role, inputs))
    return drafts


def _draft(step: Step, labels: Mapping[int, str], label: str, name: str, role: str, inputs: tuple[int, ...]) -> Draft:
    """Return a step as a node."""
    shown = [_operand(known, labels) for known in step.operands]
    computed_as = shown[0][0] if _is_bare(step) else written(_primitive(step), step.settings, shown)[0]
    kind = kind_of(_primitive(step), step.settings)
    symbols = _symbols(step, [text for text, _ in shown], label, kind)
    return Draft(label, name, kind, computed_as, role, step.value, inputs, symbols, step.back)


def _expanded(step: Step, labels: Mapping[int, str], texts: Mapping[int, tuple[str, int]]) -> tuple[str, int]:
    """Return a step written out down to the parts of the point, or down to its inputs where that grows too long."""
    if _is_bare(step):
        return _operand(step.operands[0], labels)
    full = [
        texts.get(known.place, _operand(known, labels)) if known.place is not None else constant(known.value)
        for known in step.operands
    ]
    found = written(_primitive(step), step.settings, full)
    if len(found[0]) <= _LONGEST_NAME:
        return found
    return written(_primitive(step), step.settings, [_operand(known, labels) for known in step.operands])


def _symbols(step: Step, shown: list[str], label: str, kind: str) -> tuple[str, ...]:
    """Return the local derivative by each input that the gradient passes to."""
    if _is_bare(step):
        return ("1",) * len(step.inputs)
    partials = partial_texts(_primitive(step), step.settings, shown, label)
    if partials is None:
        return (kind,) * len(step.inputs)
    found = []
    for place in step.inputs:
        own = [text for text, known in zip(partials, step.operands, strict=True) if known.place == place]
        found.append(_added(own))
    return tuple(found)


def _added(texts: Sequence[str]) -> str:
    """Return texts as a sum; two equal ones as twice the one."""
    if len(texts) == 2 and texts[0] == texts[1]:
        return "2" if texts[0] == "1" else f"2{texts[0]}"
    return " + ".join(texts).replace("+ -", "- ")


def _primitive(step: Step) -> str:
    """Return the name of a step's primitive, or of the function whose own derivative rule it follows."""
    return step.settings.get("name of rule") or step.primitive


def _is_bare(step: Step) -> bool:
    """Tell whether a step only gives its input, or a constant, as the result."""
    return step.primitive in ("copy", "constant") and not step.settings


def _operand(known: Known, labels: Mapping[int, str]) -> tuple[str, int]:
    """Return an input as a text: its label, or its number where it is a constant."""
    return constant(known.value) if known.place is None else atom(labels[known.place])


# What a program left behind when it was gone through: its values, and the equations that gave them.


@dataclass(frozen=True, eq=False)
class Known:
    """A value of the program.

    Args:
        value: what it is.
        place: its place among the steps; None if the gradient does not reach the point through it.
    """

    value: Any
    place: int | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """An equation that was computed, or a part of the point.

    Args:
        primitive: the name of the primitive; empty for a part of the point.
        settings: its parameters.
        operands: its inputs.
        value: its result.
        inputs: places of those that the gradient passes to, each once.
        back: what the gradient that arrives becomes at each of them.
    """

    primitive: str
    settings: Mapping[str, Any]
    operands: tuple[Known, ...]
    value: np.ndarray
    inputs: tuple[int, ...] = ()
    back: Back = lambda gradient: ()


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
