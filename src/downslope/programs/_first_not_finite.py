"""The origin of a number that is not finite: one step computed again, operation by operation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._text import number
from downslope._types import Plain, Point
from downslope.programs._walk import InnerProgram, Nesting, evaluate, inner_programs, nesting_of, walk

_MOST_ROUNDS = 10_000  # of a loop that is run on the host, a few seconds for a small body; a longer one stays whole
# A program that runs once is not worth optimising; without these, compiling takes six times as long.
_QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
_WORDS = {
    "exp": "exponential",
    "exp2": "exponential",
    "log": "logarithm",
    "log1p": "logarithm",
    "div": "division",
    "dot_general": "matrix product",
    "conv_general_dilated": "convolution",
    "integer_pow": "power",
    "pow": "power",
    "square": "square",
    "rsqrt": "root",
    "sqrt": "root",
    "reduce_sum": "sum",
    "mul": "product",
    "add": "sum",
    "add_any": "sum of gradients",
    "sub": "difference",
}


class _Carried(NamedTuple):
    """A value with the part of the point that it came through last, and its number among all values of a program."""

    value: Any
    part: str | None
    number: int = -1


class _Origin(NamedTuple):
    """The operation that made the first number that is not finite.

    Args:
        primitive: its name.
        part: the part of the point that its numbers came through last.
        size_before: the largest size of what went in.
        rounds: which rounds of the loops around it, the innermost first, as words.
    """

    primitive: str
    part: str | None
    size_before: float
    rounds: tuple[str, ...] = ()


class _Operation(NamedTuple):
    """An operation of a program that is traced.

    Args:
        equation: the operation.
        operands: what goes into it.
        outputs: what comes out.
    """

    equation: Any
    operands: Sequence[_Carried]
    outputs: Sequence[_Carried]


class _Stop(Exception):  # noqa: N818  it carries an answer out of a walk and is no error
    """Raised to leave a walk at the operation that was looked for."""

    def __init__(self, origin: _Origin) -> None:
        super().__init__(origin.primitive)
        self.origin = origin


def first_not_finite(loss: Callable[[Point], Any], point: Point, examples: Any = None) -> Plain:
    """Return the operation at which the first number that is not finite arises, in the loss or in its gradient.

    Args:
        loss: the loss of one batch as a function of the point alone.
        point: where.
        examples: the arrays that the loss reads, to be named where they hold the number themselves; None for none.

    Returns:
        operation: in words, "data" where the examples hold it; layer: the part of the point that its numbers came
        through last, or None; pass: "forward", "backward" or "update"; value_before: the largest size of what went in;
        sentence. Empty where all is finite.
    """
    names = _tree.part_names(point)
    for name, leaf in zip(names, _tree.leaves(point), strict=True):
        if not np.all(np.isfinite(np.asarray(leaf, np.float32))):
            sentence = f"The step before made {name} a number that is not finite: the update overflowed."
            return {"operation": "update", "layer": name, "pass": "update", "value_before": None, "sentence": sentence}
    for direction, function in (("forward", loss), ("backward", jax().grad(loss))):
        program = jax().make_jaxpr(function)(point)
        origin = _first_origin(program, jax().tree.leaves(point), names)
        if origin is not None:
            return _described(origin, direction)
    return _of_examples(examples)


def _of_examples(examples: Any) -> Plain:
    """Return which array of the examples holds numbers that are not finite, and in which rows; empty for none."""
    if examples is None:
        return {}
    for name, leaf in zip(_tree.part_names(examples), _tree.leaves(examples), strict=True):
        array = np.asarray(leaf)
        if not array.ndim or array.dtype.kind != "f":
            continue
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if len(bad):
            rows = "1 row" if len(bad) == 1 else f"{len(bad)} rows"
            where = f"row {bad[0] + 1}" if len(bad) == 1 else f"row {bad[0] + 1} first"
            sentence = f"It is in the data: NaN or ∞ in {rows} of {len(array)} of the array {name}, {where}."
            return {"operation": "data", "layer": None, "pass": "forward", "value_before": None, "sentence": sentence}
    return {}


def _first_origin(program: Any, leaves: Sequence[Any], names: Sequence[str]) -> _Origin | None:
    """Return the operation of a program that makes the first number that is not finite of finite ones.

    One compiled program computes the values of all operations: to compile each by itself took seconds.
    """
    looks: list[_Operation] = []

    def computed(leaves: Sequence[Any], constants: Sequence[Any]) -> list[Any]:
        values: list[Any] = []
        looks.extend(_traced(program.jaxpr, constants, leaves, names, values))
        return values

    values = run_once(computed, leaves, list(program.consts))
    sizes = list(map(_size_or_infinity, values))
    for look in looks:
        before = max((sizes[operand.number] for operand in look.operands), default=0.0)
        after = max((sizes[output.number] for output in look.outputs), default=0.0)
        if np.isfinite(before) and not np.isfinite(after):
            origin = _Origin(look.equation.primitive.name, _part_of(look.operands), before)
            operands = [operand._replace(value=values[operand.number]) for operand in look.operands]
            return _inside(look.equation, operands) or origin
    return None


def run_once(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function for arrays, compiled in as little time as possible."""
    lowered = jax().jit(function).lower(*arguments)
    try:
        compiled = lowered.compile(compiler_options=_QUICKLY)
    except RuntimeError:  # a release or a backend without these options
        compiled = lowered.compile()
    return compiled(*arguments)


def _traced(
    jaxpr: Any, constants: Sequence[Any], leaves: Sequence[Any], names: Sequence[str], values: list[Any]
) -> list[_Operation]:
    """Return the operations of a program, those inside a call before the call itself, and list all values."""
    looks: list[_Operation] = []

    def keep(value: Any, part: str | None = None) -> _Carried:
        values.append(value)
        return _Carried(value, part, len(values) - 1)

    def step(equation: Any, operands: list[_Carried]) -> list[_Carried]:
        nesting, inside = nesting_of(equation), None
        if nesting in (Nesting.CALL, Nesting.RULED_CALL):
            inner = next(inner_programs(equation))
            inputs = inner.operands(operands, _Carried(None, None))
            inside = walk(inner.jaxpr, inner.constants, inputs, step, keep)
        part = _part_of(operands)
        if inside is not None and nesting is Nesting.CALL:
            outputs = [result._replace(part=part) for result in inside]
        else:
            outputs = [keep(output, part) for output in evaluate(equation, [operand.value for operand in operands])]
        looks.append(_Operation(equation, operands, outputs))
        return outputs

    walk(jaxpr, constants, list(map(keep, leaves, names)), step, keep)
    return looks


def _size_or_infinity(value: Any) -> float:
    """Return the largest size of an array's numbers; ∞ if one is not finite."""
    return _size(value) if _is_finite(value) else float("inf")


def _inside(equation: Any, operands: list[_Carried]) -> _Origin | None:
    """Return the origin inside a branch or loop; None for other operations."""
    try:
        _look_inside(equation, nesting_of(equation), operands)
    except _Stop as stop:
        return stop.origin
    return None


def _constant(value: Any) -> _Carried:
    return _Carried(value, None)


def _part_of(operands: Sequence[_Carried]) -> str | None:
    """Return the part of the point that numbers came through last."""
    return next((operand.part for operand in reversed(operands) if operand.part is not None), None)


def _described(origin: _Origin, direction: str) -> Plain:
    """Return an origin as plain data, with its sentence."""
    operation = _WORDS.get(origin.primitive, origin.primitive.replace("_", " "))
    layer = None if origin.part is None else origin.part.rpartition("/")[0] or origin.part
    where = "on the way back" if direction == "backward" else "on the way forward"
    behind = "" if layer is None else f" behind {layer}"
    size = f"of numbers up to {number(origin.size_before, 4)}" if np.isfinite(origin.size_before) else "of numbers"
    rounds = "".join(f" at {words}" for words in origin.rounds)
    # A comma, or the numbers would be those of the loop.
    rounds += "," if rounds else ""
    return {
        "operation": operation,
        "layer": layer,
        "pass": direction,
        "value_before": origin.size_before,
        "sentence": f"It began {where}{behind}, in a {operation}{rounds} {size}.",
    }


def _run(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[_Carried]) -> list[_Carried]:
    """Evaluate a program; raise `_Stop` at the first operation that makes numbers that are not finite of finite ones.

    Each value carries along the part of the point that it came through last.
    """
    return walk(jaxpr, constants, arguments, _step, _constant)


def _step(equation: Any, operands: list[_Carried]) -> list[_Carried]:
    """Evaluate one operation, and open it if the first number that is not finite arises in it."""
    values = [operand.value for operand in operands]
    part = _part_of(operands)
    finite = all(map(_is_finite, values))
    nesting = nesting_of(equation)
    if finite and nesting in (Nesting.CALL, Nesting.RULED_CALL):
        inner = next(inner_programs(equation))
        _run(inner.jaxpr, inner.constants, inner.operands(operands, _Carried(None, None)))
    outputs = evaluate(equation, values)
    if finite and not all(map(_is_finite, outputs)):
        _look_inside(equation, nesting, operands)
        size_before = max(map(_size, values), default=0.0)
        raise _Stop(_Origin(equation.primitive.name, part, size_before))
    return [_Carried(output, part) for output in outputs]


def _look_inside(equation: Any, nesting: Nesting | None, operands: list[_Carried]) -> None:
    """Run what a branch or loop ran, operation by operation, which raises `_Stop` where the trouble begins.

    A loop is run here round by round only where it is known to end in a number that is not finite: on the host each
    operation of a round costs as much as the whole compiled loop.
    """
    if nesting not in (Nesting.BRANCHES, Nesting.SCAN, Nesting.WHILE):
        return
    programs = list(inner_programs(equation))
    arguments = [inner.operands(operands, _Carried(None, None)) for inner in programs]
    if nesting is Nesting.BRANCHES:
        chosen = int(np.clip(int(operands[0].value), 0, len(programs) - 1))  # as XLA clamps the index
        _run(programs[chosen].jaxpr, programs[chosen].constants, arguments[chosen])
    elif nesting is Nesting.SCAN:
        _run_scan(equation.params, programs[0], arguments[0])
    else:
        _run_while(equation.params, programs, arguments)


def _run_scan(settings: Mapping[str, Any], body: InnerProgram, arguments: list[_Carried]) -> None:
    """Run a scan slice by slice."""
    constants, carry = settings["num_consts"], settings["num_carry"]
    fixed, carried, sliced = arguments[:constants], arguments[constants:][:carry], arguments[constants + carry :]
    if settings["length"] > _MOST_ROUNDS:
        return
    rounds = range(settings["length"])
    for index in reversed(rounds) if settings["reverse"] else rounds:
        slices = [entry._replace(value=entry.value[index]) for entry in sliced]
        with _counted(f"step {index + 1} of a scan"):
            carried = _run(body.jaxpr, body.constants, [*fixed, *carried, *slices])[:carry]


def _run_while(
    settings: Mapping[str, Any], programs: Sequence[InnerProgram], arguments: Sequence[list[_Carried]]
) -> None:
    """Run a while loop round by round."""
    (condition, body), (of_condition, of_body) = programs, arguments
    tested, fixed = of_condition[: settings["cond_nconsts"]], of_body[: settings["body_nconsts"]]
    carried = of_body[settings["body_nconsts"] :]
    for index in range(_MOST_ROUNDS):
        with _counted(f"step {index + 1} of a while loop"):
            if not bool(_run(condition.jaxpr, condition.constants, [*tested, *carried])[0].value):
                return
            carried = _run(body.jaxpr, body.constants, [*fixed, *carried])


@contextlib.contextmanager
def _counted(words: str) -> Iterator[None]:
    """Add the round of a loop to the origin that is looked for in it."""
    try:
        yield
    except _Stop as stop:
        raise _Stop(stop.origin._replace(rounds=(*stop.origin.rounds, words))) from None


def _is_finite(value: Any) -> bool:
    """Tell whether every number of an array is finite; whole numbers and keys are."""
    kind = getattr(value, "dtype", None)
    if kind is None or not jax().numpy.issubdtype(kind, np.floating):
        return True
    return bool(np.all(np.isfinite(np.asarray(value, np.float32))))


def _size(value: Any) -> float:
    """Return the largest size of an array's numbers."""
    if not jax().numpy.issubdtype(getattr(value, "dtype", np.dtype(int)), np.floating) or not np.size(value):
        return 0.0
    return float(np.max(np.abs(np.asarray(value, np.float32))))
