"""The computation graph of a JAX function: the equations of its jaxpr, each differentiated by JAX's own rule.

`jax.make_jaxpr` traces the function to a list of primitive operations. A single pass evaluates them; each equation that
depends on the point is evaluated by `jax.vjp`, whose pullback the backward pass calls. Nested programs (`jit`,
`checkpoint`) are inlined. A function with a custom derivative rule stays a single operation, since JAX differentiates
it by that rule; tanh and the sigmoid are differentiated in a form that keeps its digits. Values without gradients, such
as comparisons and integers, are not nodes.
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
from downslope.backpropagation._graph import Back, Draft, leaf_draft
from downslope.backpropagation._notation import (
    atom,
    constant,
    free_letter,
    free_result,
    kind_of,
    numbered,
    partial_texts,
    printable,
    written,
)
from downslope.formulas import jax_functions
from downslope.programs import called, evaluate, walk

_MOST_NODES = 300
_STABLE = {"tanh": "tanh", "logistic": "sigmoid"}
_LONGEST_NAME = 48  # characters of an expression; longer ones are written in terms of their inputs


@dataclass(frozen=True, eq=False)
class Known:
    """A value of the program.

    Args:
        value: the value.
        index: the index of the step that computes it; None if no gradient passes through it.
    """

    value: Any
    index: int | None = None


@dataclass(frozen=True, eq=False)
class ProgramStep:
    """An evaluated equation, or a part of the point.

    Args:
        primitive: the name of the primitive; empty for a part of the point.
        settings: its parameters.
        operands: its inputs.
        value: its result.
        inputs: indices of the steps that its differentiable operands come from, without duplicates.
        back: maps the gradient of the result to that of each input.
    """

    primitive: str
    settings: Mapping[str, Any]
    operands: tuple[Known, ...]
    value: np.ndarray
    inputs: tuple[int, ...] = ()
    back: Back = lambda gradient: ()


@dataclass(eq=False)
class _ProgramRecorder:
    """The evaluation of a program, which records its steps."""

    steps: list[ProgramStep] = field(default_factory=list)

    def run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Known]) -> list[Known]:
        """Evaluate a program and return its results."""
        return walk(jaxpr, constants, arguments, self._results, Known)

    def _results(self, equation: Any, operands: Sequence[Known]) -> list[Known]:
        """Return the results of an equation; a call is inlined."""
        inner = called(equation)
        if inner is None:
            return self.apply(equation, operands)
        return self.run(inner.jaxpr, inner.constants, operands)

    def apply(self, equation: Any, operands: Sequence[Known]) -> list[Known]:
        """Evaluate an equation and return its results."""
        # A value used twice by one equation (x·x) is one input, whose two contributions the pullback adds.
        indices = list(dict.fromkeys(known.index for known in operands if known.index is not None))
        flows = any(_flows(atom.aval) for atom in equation.outvars)
        if not indices or not flows:
            return [Known(value) for value in evaluate(equation, [known.value for known in operands])]
        # Tracing inserts copies and conversions to the same type; as nodes they would only lengthen the graph.
        if _is_identity(equation):
            return [operands[0]]
        return self._differentiated(equation, operands, indices)

    def _differentiated(self, equation: Any, operands: Sequence[Known], indices: list[int]) -> list[Known]:
        """Evaluate an equation together with its pullback and return its results."""
        if len(self.steps) >= _MOST_NODES:
            raise ObjectiveError(
                f"the function has more than {_MOST_NODES} operations, too many to show each",
                hint="for its gradient only, use ds.slope(…)",
            )

        def function(*moving: Any) -> list[Any]:
            moved = dict(zip(indices, moving, strict=True))
            chosen = [known.value if known.index is None else moved[known.index] for known in operands]
            return _evaluated(equation, chosen)

        start = [next(known.value for known in operands if known.index == index) for index in indices]
        # vjp evaluates and linearises in one call; operands without a gradient are closed over.
        values, pull = jax().vjp(function, *start)
        settings = dict(equation.params) | {"name of rule": _name_of_rule(equation)}
        results = []
        for number, value in enumerate(values):
            if not _flows(value):
                results.append(Known(value))
                continue
            back = _back_from(pull, values, number)
            name = equation.primitive.name
            self.steps.append(ProgramStep(name, settings, tuple(operands), np.asarray(value), tuple(indices), back))
            results.append(Known(value, len(self.steps) - 1))
        return results


def _evaluated(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Evaluate an equation in a form that is differentiated without losing digits."""
    # JAX computes tanh' as 1 - tanh², of which nothing is left beyond 20.
    stable = _STABLE.get(equation.primitive.name)
    is_real = not jax().numpy.iscomplexobj(operands[0])
    return evaluate(equation, operands) if stable is None or not is_real else [jax_functions()[stable](operands[0])]


def program_graph(function: Any, name: str, point: Point) -> list[Draft]:
    """Return the graph of a function at a point: the parts of the point first, the result last.

    Args:
        function: a JAX function of a point that returns a real scalar.
        name: label of the result.
        point: a pytree of arrays.

    Raises:
        ObjectiveError: if it has too many operations to show.
    """
    leaves = [jax().numpy.asarray(leaf) for leaf in _tree.leaves(point)]
    recorder = _ProgramRecorder([ProgramStep("", {}, (), np.asarray(leaf)) for leaf in leaves])
    program = jax().make_jaxpr(function)(point)
    arguments = [Known(leaf, index) for index, leaf in enumerate(leaves)]
    (result,) = recorder.run(program.jaxpr, program.consts, arguments)
    last = result.index
    # The function returns a part of the point or a constant: give the result a node of its own.
    if last is None or last < len(leaves):
        recorder.steps.append(_last_step(result))
        last = len(recorder.steps) - 1
    return named(_needed(recorder.steps, len(leaves), last), _tree.part_names(point), name)


def _last_step(result: Known) -> ProgramStep:
    """Return the step that copies a part of the point, or a constant, to the result."""
    inputs = () if result.index is None else (result.index,)
    primitive = "constant" if result.index is None else "copy"
    return ProgramStep(
        primitive, {}, (result,), np.asarray(result.value), inputs, lambda gradient: (gradient,) * len(inputs)
    )


def _needed(steps: Sequence[ProgramStep], parts: int, last: int) -> dict[int, ProgramStep]:
    """Return, by index, the parts of the point and the steps that the result depends on."""
    # Steps that the result does not use are dropped; unused parts of the point stay, with gradient 0.
    wanted, stack = set(range(parts)), [last]
    while stack:
        index = stack.pop()
        if index not in wanted:
            wanted.add(index)
            stack += steps[index].inputs
    return {index: steps[index] for index in sorted(wanted)}


def _back_from(pull: Any, values: Sequence[Any], number: int) -> Any:
    """Return the pullback of a single result of an equation, with zero gradients for its other results."""

    def back(gradient: np.ndarray) -> Sequence[Any]:
        # A pullback takes the gradients of all results. Each result is a node of its own, so the others' are zero here.
        arriving = [_zero_gradient(value) for value in values]
        arriving[number] = jax().numpy.asarray(gradient, values[number].dtype)
        return pull(arriving)

    return back


def _zero_gradient(value: Any) -> Any:
    """Return the zero gradient of an unused result; JAX requires float0 for integers."""
    return np.zeros(np.shape(value), value.dtype if _flows(value) else jax().dtypes.float0)


def _is_identity(equation: Any) -> bool:
    """Return whether an equation returns its input unchanged."""
    before, after = equation.invars[0].aval, equation.outvars[0].aval
    same = equation.primitive.name in ("copy", "convert_element_type", "reduce_precision")
    return same and before.shape == after.shape and before.dtype == after.dtype


def _flows(value: Any) -> bool:
    """Return whether a value is differentiable: real or complex floating-point numbers."""
    return hasattr(value, "dtype") and jax().numpy.issubdtype(value.dtype, np.inexact)


def _name_of_rule(equation: Any) -> str:
    """Return the name of a function with a custom derivative rule; empty for other equations."""
    inside = equation.params.get("call_jaxpr")
    about = getattr(getattr(inside, "jaxpr", inside), "debug_info", None)
    return getattr(about, "func_name", "") if equation.primitive.name.startswith("custom_") else ""


def named(steps: Mapping[int, ProgramStep], parts: Sequence[str], name: str) -> list[Draft]:
    """Return steps as labelled drafts of nodes.

    Args:
        steps: the steps by index in the program: the parts of the point first, the result last.
        parts: names of the parts of the point.
        name: label of the result.
    """
    plain = ["x"] if list(parts) == ["value"] else [printable(part) for part in parts]  # a bare array is x
    letter, result = free_letter([*plain, name]), free_result(printable(name), plain)
    labels = {index: plain[index] for index in range(len(plain))}
    for number, index in enumerate(list(steps)[len(plain) :], start=1):
        labels[index] = numbered(letter, number)
    # The last node carries the objective's name.
    labels[list(steps)[-1]] = result
    numbers = {index: number for number, index in enumerate(steps)}
    texts: dict[int, tuple[str, int]] = {index: atom(part) for index, part in enumerate(plain)}
    drafts = []
    for index, step in steps.items():
        if index < len(plain):
            drafts.append(leaf_draft(plain[index], step.value))
            continue
        texts[index] = _expanded(step, labels, texts)
        inputs = tuple(numbers[source] for source in step.inputs)
        role = "result" if labels[index] == result else "operation"
        drafts.append(_draft(step, labels, labels[index], texts[index][0], role, inputs))
    return drafts


def _draft(
    step: ProgramStep, labels: Mapping[int, str], label: str, name: str, role: str, inputs: tuple[int, ...]
) -> Draft:
    """Return a step as the draft of a node."""
    shown = [_operand(known, labels) for known in step.operands]
    computed_as = shown[0][0] if _is_bare(step) else written(_primitive(step), step.settings, shown)[0]
    kind = kind_of(_primitive(step), step.settings)
    symbols = _symbols(step, [text for text, _ in shown], label, kind)
    return Draft(label, name, kind, computed_as, role, step.value, inputs, symbols, step.back)


def _expanded(step: ProgramStep, labels: Mapping[int, str], texts: Mapping[int, tuple[str, int]]) -> tuple[str, int]:
    """Return a step as an expression in the parts of the point; in its direct inputs if that would be too long."""
    if _is_bare(step):
        return _operand(step.operands[0], labels)
    # Expressions grow exponentially with depth if nothing stops them: beyond the limit the inputs' labels are used.
    full = [
        texts.get(known.index, _operand(known, labels)) if known.index is not None else constant(known.value)
        for known in step.operands
    ]
    text = written(_primitive(step), step.settings, full)
    if len(text[0]) <= _LONGEST_NAME:
        return text
    return written(_primitive(step), step.settings, [_operand(known, labels) for known in step.operands])


def _symbols(step: ProgramStep, shown: list[str], label: str, kind: str) -> tuple[str, ...]:
    """Return the local derivative by each differentiable input, in symbols or words."""
    if _is_bare(step):
        return ("1",) * len(step.inputs)
    partials = partial_texts(_primitive(step), step.settings, shown, label)
    if partials is None:
        return (kind,) * len(step.inputs)
    symbols = []
    for index in step.inputs:
        own = [text for text, known in zip(partials, step.operands, strict=True) if known.index == index]
        symbols.append(_added(own))
    return tuple(symbols)


def _added(texts: Sequence[str]) -> str:
    """Return texts as a sum; two equal texts as a multiple of 2."""
    if len(texts) == 2 and texts[0] == texts[1]:
        return "2" if texts[0] == "1" else f"2{texts[0]}"
    return " + ".join(texts).replace("+ -", "- ")


def _primitive(step: ProgramStep) -> str:
    """Return the name of a step's primitive, or of the function whose custom derivative rule it applies."""
    return step.settings.get("name of rule") or step.primitive


def _is_bare(step: ProgramStep) -> bool:
    """Return whether a step only copies its input, or a constant, to the result."""
    return step.primitive in ("copy", "constant") and not step.settings


def _operand(known: Known, labels: Mapping[int, str]) -> tuple[str, int]:
    """Return an operand as text with its precedence: its label, or the value of a constant."""
    return constant(known.value) if known.index is None else atom(labels[known.index])
