"""Operations of a program beside its layers: normalisation statistics, dropout, stopped gradients, and penalties.

Each is read from the operations themselves, so that a layer of a library and one written by hand are seen alike. What
an operation makes of the array is followed by a few properties that stand for it; an array of which nothing is known
has none, and a pattern that is not recognised is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._types import Plain
from downslope.programs._first_not_finite import run_once
from downslope.programs._provenance import VIEWS, Atom, Constant, Source, StraightProgram, Value, straighten
from downslope.programs._walk import Nesting, called, evaluate, inner_programs, nesting_of, walk


def program_traits(closed: Any, parts: tuple[str, ...], carried: int, examples: int) -> Plain:
    """Return the traits of the program of a loss beside its layers, as plain data.

    Args:
        closed: the program of `loss(parameters, memory, batch, key) -> (value, memory)`, from `jax.make_jaxpr`.
        parts: the names of the leaves of the parameters.
        carried: the number of leaves of the memory.
        examples: the number of leaves of a batch.

    Returns:
        dropout: the share of units that each mask drops.
        normalised_over: the number of values behind each statistic that is normalised by.
        cut_off: the parts that the loss has no derivative by, whatever the numbers.
        statistics_move: whether what is carried from batch to batch depends on the batches; None where nothing is.
    """
    begin = len(parts) + carried
    moves = follows_batch(closed, range(begin, begin + examples))[1 : 1 + carried]
    return {
        "dropout": [round(share, 6) for share in dropped_shares(closed)],
        "normalised_over": list(statistics_over(closed, len(parts))),
        "cut_off": [parts[index] for index in cut_off_leaves(closed, len(parts))],
        "statistics_move": any(moves) if carried else None,
    }


# --- leaves without a derivative -------------------------------------------------------------------------------------

# Their derivative is zero wherever it exists.
_FLAT = frozenset({"stop_gradient", "sign", "floor", "ceil", "round", "is_finite"})


def cut_off_leaves(closed: Any, number_of_leaves: int) -> tuple[int, ...]:
    """Return the leaves from which no derivative of the first output comes, whatever the numbers.

    These are leaves that reach it only through `stop_gradient`, rounding or whole numbers, or that are not used.
    What a function with a derivative rule of its own passes on is taken to be everything.

    Args:
        closed: what `jax.make_jaxpr` returns.
        number_of_leaves: the number of its first inputs that are parameters.
    """
    none: frozenset[int] = frozenset()
    count = len(closed.jaxpr.invars)
    arguments = [frozenset({index}) if index < number_of_leaves else none for index in range(count)]

    def step(equation: Any, operands: list[frozenset[int]]) -> list[frozenset[int]]:
        if equation.primitive.name in _FLAT:
            return [none] * len(equation.outvars)
        if (inner := called(equation)) is not None:
            return walk(inner.jaxpr, inner.constants, inner.operands(operands, none), step, lambda value: none)
        reached = none.union(*operands)
        return [reached if _is_inexact(variable) else none for variable in equation.outvars]

    first, *_ = walk(closed.jaxpr, closed.consts, arguments, step, lambda value: none)
    return tuple(index for index in range(number_of_leaves) if index not in first)


def _is_inexact(variable: Any) -> bool:
    numpy, dtype = jax().numpy, getattr(variable.aval, "dtype", None)
    return dtype is not None and bool(numpy.issubdtype(dtype, numpy.inexact))


# --- what follows from the batch -------------------------------------------------------------------------------------


def follows_batch(closed: Any, batch: range) -> tuple[bool, ...]:
    """Return, for each output of a program, whether it depends on the examples of a batch.

    A running mean that weighs the new one by 0 does not.

    Args:
        closed: what `jax.make_jaxpr` returns.
        batch: the indices of the inputs that hold the examples.
    """

    # An array is carried as the number that all its entries are, or as whether it depends on the batch.
    def step(equation: Any, operands: list[bool | float]) -> list[bool | float]:
        if (inner := called(equation)) is not None:
            return walk(inner.jaxpr, inner.constants, inner.operands(operands, False), step, number_or_still)
        name, count = equation.primitive.name, len(equation.outvars)
        numbers = [operand for operand in operands if isinstance(operand, float)]
        if name == "mul" and 0.0 in numbers:
            return [0.0]
        if name in VIEWS and operands:
            return [operands[0]] * count
        if name in _FOLDED and len(numbers) == len(operands):
            return [float(_FOLDED[name](*numbers))]
        return [any(operand is True for operand in operands)] * count

    def number_or_still(value: Any) -> bool | float:
        number = _literal(value).number
        return False if number is None else number

    arguments: list[bool | float] = [index in batch for index in range(len(closed.jaxpr.invars))]
    outcomes = walk(closed.jaxpr, closed.consts, arguments, step, number_or_still)
    return tuple(outcome is True for outcome in outcomes)


# --- normalisation ---------------------------------------------------------------------------------------------------

_ALONG = frozenset({"add", "sub", "mul", "div", "max", "min", "square", "integer_pow", "pow", "abs", "select_n"})
_ROOTS = frozenset({"sqrt", "rsqrt", "pow"})
_SUMS = frozenset({"reduce_sum", "psum", "psum_invariant"})  # the latter two over the axis of a vmap


@dataclass(frozen=True, eq=False)
class _Moment:
    """The facts on an array along the statistics of a normalisation.

    Args:
        of: stands for the entries; two arrays with the same one hold the same entries, but for shape and type, or
            the sums over them.
        count: the number of entries that each number is a statistic of; 0 for no statistic.
        centred: the number of entries whose mean was subtracted; 0 for none.
        spread: the number of entries that each number is the deviation of, or its inverse; 0 for none.
        fixed: whether it is the same for every batch: a parameter or a constant.
    """

    of: object = field(default_factory=object)
    count: int = 0
    centred: int = 0
    spread: int = 0
    fixed: bool = False


def statistics_over(closed: Any, number_of_leaves: int) -> tuple[int, ...]:
    """Return the number of values behind each statistic that a program normalises by, in the order in which they run.

    A normalisation is an array less its mean, times the inverse of the root of a statistic over as many values. With
    one value, as for a batch of one example, the array less its mean is 0 whatever it was.

    Args:
        closed: what `jax.make_jaxpr` returns.
        number_of_leaves: the number of its first inputs that are parameters.
    """
    counts: list[int] = []

    def step(equation: Any, operands: list[_Moment]) -> list[_Moment]:
        inside = _stepped_inside(equation, operands, _Moment, step, lambda value: _Moment(fixed=True))
        if inside is not None:
            return inside
        normalised = _normalised(equation.primitive.name, operands)
        if normalised:
            counts.append(normalised)
        return [_moment(equation, operands)] * len(equation.outvars)

    arguments = [_Moment(fixed=index < number_of_leaves) for index in range(len(closed.jaxpr.invars))]
    walk(closed.jaxpr, closed.consts, arguments, step, lambda value: _Moment(fixed=True))
    return tuple(counts)


def _normalised(name: str, operands: list[_Moment]) -> int:
    """Return the number of values that the result of an operation is normalised over; 0 if it is not normalised."""
    if name not in ("mul", "div") or len(operands) != 2:
        return 0
    first, second = operands
    for centred, spread in ((first, second), (second, first)):
        if centred.centred and centred.centred == spread.spread:
            return centred.centred
    return 0


def _moment(equation: Any, operands: list[_Moment]) -> _Moment:
    """Return what is known of the result of an operation."""
    name = equation.primitive.name
    if all(operand.fixed for operand in operands):
        return _Moment(fixed=True)
    if name in VIEWS:
        return operands[0]
    if name in _SUMS:
        summed = operands[0]
        many = prod(equation.invars[0].aval.shape) // max(prod(equation.outvars[0].aval.shape), 1)
        # A mean over examples of means over pixels is one over both.
        return _Moment(of=summed.of, count=many * max(summed.count, 1))
    if name == "sub" and operands[1].count and operands[1].of is operands[0].of:
        return _Moment(centred=operands[1].count)
    moving = [operand for operand in operands if not operand.fixed]
    if name in _ROOTS and moving[0].count:
        return _Moment(spread=moving[0].count)
    if name in _ALONG and len(moving) < len(operands) and len(moving) == 1:
        # Times a number, or plus one.
        (only,) = moving
        kept = name in ("mul", "div", "add", "sub")
        if name in ("mul", "div") and (only.centred or only.spread):
            return only
        return _Moment(of=only.of if kept and name != "add" else object(), count=only.count)
    if name in _ALONG and all(operand.count for operand in moving):
        return _Moment(count=moving[0].count)
    return _Moment()


# --- dropout ---------------------------------------------------------------------------------------------------------

_DRAWS = frozenset({"random_bits", "threefry2x32", "rng_bit_generator", "rng_uniform"})
_FOLDED: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else float("nan"),
    "max": max,
    "min": min,
    "neg": lambda a: -a,
}


@dataclass(frozen=True)
class _Chance:
    """The facts on an array along a random mask.

    Args:
        number: the number that every entry is; None if they differ or are not known.
        is_drawn: whether it follows from random bits and numbers alone.
        share: the share of entries that are true, of a mask; None for other arrays.
    """

    number: float | None = None
    is_drawn: bool = False
    share: float | None = None


_UNKNOWN, _DRAWN = _Chance(), _Chance(is_drawn=True)


def dropped_shares(closed: Any) -> tuple[float, ...]:
    """Return the share of entries that each random mask of a program sets to 0, in the order in which they run.

    A mask compares uniform random numbers with a number; what it selects between, or multiplies, is dropped where the
    other choice is 0.

    Args:
        closed: what `jax.make_jaxpr` returns.
    """
    shares: list[float] = []

    def step(equation: Any, operands: list[_Chance]) -> list[_Chance]:
        inside = _stepped_inside(equation, operands, lambda: _UNKNOWN, step, _literal)
        if inside is not None:
            return inside
        dropped = _dropped(equation.primitive.name, operands)
        if dropped is not None:
            shares.append(dropped)
        return [_chance(equation.primitive.name, operands)] * len(equation.outvars)

    arguments = [_UNKNOWN] * len(closed.jaxpr.invars)
    walk(closed.jaxpr, closed.consts, arguments, step, _literal)
    return tuple(shares)


def _dropped(name: str, operands: list[_Chance]) -> float | None:
    """Return the share of entries that an operation sets to 0 by a mask, or None."""
    if name == "select_n" and len(operands) == 3:
        # The first of the two is taken where the mask is false.
        share, if_false, if_true = operands[0].share, *operands[1:]
        if share is not None and if_false.number == 0 and if_true is _UNKNOWN:
            return 1 - share
        if share is not None and if_true.number == 0 and if_false is _UNKNOWN:
            return share
    if name == "mul":
        shares = [operand.share for operand in operands if operand.share is not None]
        if len(shares) == 1 and _UNKNOWN in operands:
            return 1 - shares[0]
    return None


def _chance(name: str, operands: list[_Chance]) -> _Chance:
    """Return what is known of the result of an operation."""
    if name in _DRAWS:
        return _DRAWN
    if name in VIEWS and operands:
        return operands[0]
    numbers = [operand.number for operand in operands]
    if name in _FOLDED and None not in numbers:
        return _Chance(number=float(_FOLDED[name](*numbers)))
    if name in ("lt", "le", "gt", "ge"):
        return _mask(name, *operands)
    if name == "not" and operands[0].share is not None:
        return _Chance(share=1 - operands[0].share)
    drawn = [operand.is_drawn for operand in operands]
    if any(drawn) and all(is_drawn or number is not None for is_drawn, number in zip(drawn, numbers, strict=True)):
        return _DRAWN
    return _UNKNOWN


def _mask(name: str, left: _Chance, right: _Chance) -> _Chance:
    """Return the mask that a comparison of uniform numbers between 0 and 1 with a number makes."""
    for drawn, bound, below in ((left, right, name in ("lt", "le")), (right, left, name in ("gt", "ge"))):
        if drawn.is_drawn and bound.number is not None and 0 <= bound.number <= 1:
            return _Chance(share=bound.number if below else 1 - bound.number)
    return _UNKNOWN


def _literal(value: Any) -> _Chance:
    """Return what is known of a number in the program, or of an array of equal numbers."""
    try:
        flat = np.asarray(value).ravel()
        return _Chance(number=float(flat[0])) if flat.size and np.all(flat == flat[0]) else _UNKNOWN
    except (TypeError, ValueError):  # a random key is no number
        return _UNKNOWN


def _stepped_inside(
    equation: Any,
    operands: Sequence[Any],
    missing: Callable[[], Any],
    step: Callable[[Any, list[Any]], list[Any]],
    wrap: Callable[[Any], Any],
) -> list[Any] | None:
    """Return the results of the programs inside an operation for its operands; None if it has none.

    Only of a call is the result known: a loop changes what it carries from round to round, and of branches one runs.
    """
    nesting = nesting_of(equation)
    if nesting is None or nesting is Nesting.COMBINER:
        return None
    is_call = nesting in (Nesting.CALL, Nesting.RULED_CALL)
    results: list[Any] = []
    for inner in inner_programs(equation):
        arguments = inner.operands(operands, missing())
        results = walk(inner.jaxpr, inner.constants, arguments, step, wrap)
        if is_call:
            return results
    return [missing() for _ in equation.outvars]


# --- penalties ------------------------------------------------------------------------------------------------------

_ADDITIONS = frozenset({"add", "add_any"})


def penalty(closed: Any, leaves: Sequence[Any]) -> float | None:
    """Return the sum of the addends of a loss that no example changes; 0 without any, None where it is not finite.

    Args:
        closed: the program of the loss, its first output, from `jax.make_jaxpr`.
        leaves: the leaves of the parameters, its first inputs.
    """
    program = straighten(closed, len(leaves))
    addends = [addend for addend in _addends(program, program.outputs[0]) if addend.origin is Source.DERIVED]
    if not addends:
        return 0.0
    values = run_once(lambda *arrays: [_value(program, addend, arrays, {}) for addend in addends], *leaves)
    total = float(sum(np.asarray(value, float).sum() for value in values))
    return total if np.isfinite(total) else None


def _addends(program: StraightProgram, value: Atom) -> Iterator[Atom]:
    """Yield the values whose sum a value is, as far as it is written as one."""
    step = program.makers.get(value)
    if step is not None and step.primitive in _ADDITIONS and value.origin is not Source.DERIVED:
        for operand in step.operands:
            yield from _addends(program, operand)
    elif step is not None and step.primitive in VIEWS and value.shape == ():
        yield from _addends(program, step.operands[0])
    else:
        yield value


def _value(program: StraightProgram, atom: Atom, leaves: Sequence[Any], known: dict[Value, Any]) -> Any:
    """Return a value that is computed from parameters alone."""
    if isinstance(atom, Constant):
        return atom.value
    if atom in known:
        return known[atom]
    step = program.makers.get(atom)
    if step is None:
        return leaves[program.inputs.index(atom)]
    results = evaluate(step.equation, [_value(program, operand, leaves, known) for operand in step.operands])
    known.update(zip(step.results, results, strict=True))
    return known[atom]
