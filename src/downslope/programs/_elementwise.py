"""Elementwise operations of a program, evaluated by NumPy; and activations recognised by their values.

An activation has many spellings: a function of JAX, a call of another library, three operations by hand. All of them
map a number to a number. So the operations behind a pre-activation are evaluated on a grid, one after the other, and
the course on the grid is compared with that of each known activation. An operation that is not in the list, or that
mixes entries, ends the search: what is not known gets no name.
"""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.programs._provenance import Constant, Source, TracedStep, Value
from downslope.programs._walk import called, walk

_GRID = np.linspace(-12.0, 12.0, 97)  # beyond 6, where relu6 and its like part from relu
_MOST_STEPS = 40  # behind one pre-activation; gelu, the longest of the known ones, takes ten
# The two formulas of gelu differ by 5e-4; any two other activations by more than 0.05.
_CLOSE = 2e-3
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class _NotElementwise(Exception):  # noqa: N818  it ends a search and is no error
    """Raised at an operation that is not known, or that mixes entries."""


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of the elementwise operations on a pre-activation.

    Args:
        value: the value of the program behind the activation; behind the first operation that is not linear where the
            activation has no name.
        name: the activation; None where it is not known.
    """

    value: Value
    name: str | None


@dataclass(frozen=True, eq=False)
class Readers:
    """The lookups of a program by value: its readers, each with its number in the order of the steps, and its maker."""

    of: Mapping[Any, Sequence[tuple[int, TracedStep]]]
    makers: Mapping[Any, TracedStep]


def ending_of(value: Value, readers: Readers) -> Ending | None:
    """Return what the elementwise operations on a value end in; None if the first to read it is not elementwise.

    A value behind it stands for the whole only if nothing else reads what comes before: silu is the product in
    x·sigmoid(x), not the sigmoid.
    """
    courses: dict[Any, np.ndarray] = {value: _GRID}
    waiting = [(number, id(step), step) for number, step in readers.of.get(value, ())]
    heapq.heapify(waiting)
    first: Ending | None = None
    named: Ending | None = None
    for _ in range(_MOST_STEPS):
        if not waiting:
            break
        number, _, step = heapq.heappop(waiting)
        while waiting and waiting[0][0] == number:  # it reads two values, or one twice
            heapq.heappop(waiting)
        try:
            (course,) = _results(
                step.equation, [_course(atom, courses, readers) for atom in step.operands], value.shape
            )
        except (_NotElementwise, TypeError, ValueError):
            break
        (result,) = step.results
        courses[result] = course
        for entry, reader in readers.of.get(result, ()):
            heapq.heappush(waiting, (entry, id(reader), reader))
        if any(not _reads_only(reader, result, courses) for _, _, reader in waiting) or _is_affine(course):
            continue
        name = _name_of(course)
        first = first or Ending(result, None)
        named = Ending(result, name) if name is not None else named
    return named or first


def _reads_only(step: TracedStep, result: Value, courses: Mapping[Any, np.ndarray]) -> bool:
    """Tell whether a step reads nothing of what lies between the pre-activation and a result."""
    return all(operand is result or operand not in courses for operand in step.operands)


def _course(atom: Any, courses: Mapping[Any, np.ndarray], readers: Readers) -> np.ndarray:
    """Return a value on the grid, or a number that the program itself writes."""
    if atom in courses:
        return courses[atom]
    if isinstance(atom, Constant):
        return _uniform(atom.value)
    if atom.origin not in (Source.ZERO, Source.CONSTANT) or atom not in readers.makers:
        raise _NotElementwise
    maker = readers.makers[atom]
    results = _results(maker.equation, [_course(operand, courses, readers) for operand in maker.operands], None)
    return results[maker.results.index(atom)]


def _results(equation: Any, operands: Sequence[np.ndarray], shape: tuple[int, ...] | None) -> list[np.ndarray]:
    """Return what an equation makes of numbers: of the signal along the grid, and of constants."""
    inner = called(equation, ruled=True)
    if inner is not None:

        def step(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
            return _results(equation, operands, shape)

        return walk(inner.jaxpr, inner.constants, inner.operands(operands, np.asarray(np.nan)), step, _uniform)
    compute = _OPERATIONS.get(equation.primitive.name)
    moving = any(operand.ndim for operand in operands)
    if compute is None or (moving and any(variable.aval.shape != shape for variable in equation.outvars)):
        raise _NotElementwise
    with np.errstate(all="ignore"):
        return [np.asarray(compute(equation.params, *operands))]


def _uniform(value: Any) -> np.ndarray:
    """Return the number that all entries of a constant are."""
    array = np.asarray(value)
    if array.dtype.kind == "V":  # half precision, which is no type of NumPy's own
        array = array.astype(np.float32)
    if not array.size or array.dtype.kind not in "biuf" or np.any(array != array.flat[0]):
        raise _NotElementwise
    return array.flat[0].astype(bool if array.dtype.kind == "b" else float)[()]


def _is_affine(course: np.ndarray) -> bool:
    """Tell whether a course is a line, or constant."""
    return course.shape != _GRID.shape or bool(np.allclose(np.diff(course, 2), 0, atol=1e-9 * (1 + np.ptp(course))))


def _name_of(course: np.ndarray) -> str | None:
    """Return the activation that has a course on the grid."""
    for name, wanted in _courses().items():
        if np.allclose(course, wanted, rtol=1e-3, atol=_CLOSE):
            return name
    below, above = _GRID < 0, _GRID >= 0
    slopes = course[below] / _GRID[below]
    # A leaky relu has a slope of its own below zero, which is a setting.
    leaks = np.allclose(course[above], _GRID[above], atol=_CLOSE) and np.ptp(slopes) < _CLOSE and 0 < slopes[0] < 1
    return "leaky_relu" if leaks else None


@functools.cache
def _courses() -> dict[str, np.ndarray]:
    """Return the courses of the known activations on the grid.

    The exponential is none of them: it is the first operation of a softmax, too.
    """
    x = _GRID
    sigmoid = 1 / (1 + np.exp(-x))
    return {
        "relu": np.maximum(x, 0),
        "tanh": np.tanh(x),
        "sigmoid": sigmoid,
        "softplus": np.logaddexp(x, 0),
        "elu": np.where(x > 0, x, np.expm1(x)),
        "selu": _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)),
        "silu": x * sigmoid,
        "gelu": x * (1 + _erf(x / math.sqrt(2))) / 2,
    }


_erf = np.vectorize(math.erf, otypes=[float])
_erfc = np.vectorize(math.erfc, otypes=[float])


def _cast(settings: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Return numbers as another type; what is rounded to whole numbers is no activation."""
    kind = np.dtype(settings["new_dtype"]).kind
    if kind in "iu" and x.ndim:
        raise _NotElementwise
    return np.asarray(x, bool) if kind == "b" else np.asarray(x, float)


def _selected(_: Mapping[str, Any], which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    """Return the case that is chosen for each number, the first for 0 and false."""
    chosen = np.asarray(which, int)
    if len(cases) != 2:
        raise _NotElementwise
    return np.where(chosen == 0, cases[0], cases[1])


def _plain(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return an operation without settings."""
    return lambda settings, *operands: function(*operands)


# The elementwise operations of JAX that activations are written in; see the module's docstring for all others.
_OPERATIONS: Mapping[str, Callable[..., np.ndarray]] = {
    "integer_pow": lambda settings, x: np.asarray(x, float) ** settings["y"],
    "convert_element_type": _cast,
    "select_n": _selected,
    "clamp": lambda settings, low, x, high: np.minimum(np.maximum(x, low), high),
    **{
        name: _plain(function)
        for name, function in {
            "abs": np.abs,
            "add": np.add,
            "and": np.logical_and,
            "cosh": np.cosh,
            "div": np.divide,
            "eq": np.equal,
            "erf": _erf,
            "erfc": _erfc,
            "exp": np.exp,
            "exp2": np.exp2,
            "expm1": np.expm1,
            "ge": np.greater_equal,
            "gt": np.greater,
            "is_finite": np.isfinite,
            "le": np.less_equal,
            "log": np.log,
            "log1p": np.log1p,
            "logistic": lambda x: 1 / (1 + np.exp(-x)),
            "lt": np.less,
            "max": np.maximum,
            "min": np.minimum,
            "mul": np.multiply,
            "ne": np.not_equal,
            "neg": np.negative,
            "not": np.logical_not,
            "or": np.logical_or,
            "pow": np.power,
            "rsqrt": lambda x: 1 / np.sqrt(x),
            "sign": np.sign,
            "sinh": np.sinh,
            "sqrt": np.sqrt,
            "square": np.square,
            "sub": np.subtract,
            "tanh": np.tanh,
        }.items()
    },
    # Numbers written once are spread over the array; the signal itself keeps its shape.
    **dict.fromkeys(
        ("broadcast_in_dim", "copy", "copy_p", "expand_dims", "reduce_precision", "reshape", "squeeze"),
        lambda settings, x, *_: x,
    ),
    **dict.fromkeys(("stop_gradient", "optimization_barrier"), lambda settings, x: x),
}
