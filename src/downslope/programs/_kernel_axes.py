"""The axes of a kernel: those that the product sums over, and those of the units.

A product says which axes of its operand it contracts. Between the leaf and the operand lie transpositions, reshapes,
slices, casts. Each is followed by what it does to axes, so that `x @ w`, `w @ x`, `einsum`, `vmap` and the layers of
any library are read alike, and no convention is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

from downslope.programs._provenance import Constant, Source, StraightProgram, TracedStep
from downslope.programs._walk import called, walk

Axes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _View:
    """A leaf after rearrangements.

    Args:
        axes: for each axis of the view, the axes of the leaf that it runs along; none for one that was added.
        ranges: the part that is left of each axis of the leaf.
    """

    axes: Axes
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class KernelAxes:
    """The axes of a kernel in its leaf.

    Args:
        inputs: those that the product sums over.
        units: those along which the units stand. An axis that is neither counts the members of an ensemble.
        ranges: the part of each axis of the leaf that the kernel is, from and up to.
    """

    inputs: tuple[int, ...]
    units: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]


def kernel_axes(program: StraightProgram) -> dict[TracedStep, KernelAxes]:
    """Return the axes of the kernel of each product of data with a leaf; without those that cannot be told."""
    views: dict[Any, _View | None] = {
        value: _View(tuple((axis,) for axis in range(len(value.shape))), tuple((0, side) for side in value.shape))
        for value in program.inputs
        if isinstance(value.origin, int)
    }
    known: dict[TracedStep, KernelAxes] = {}
    for step in program.steps:
        operands = [views.get(operand, operand) for operand in step.operands]
        for result, view in zip(step.results, _rearranged(step.equation, operands), strict=True):
            if isinstance(result.origin, int):
                views[result] = view
        axes = _of_product(step, operands)
        if axes is not None:
            known[step] = axes
    return known


def _of_product(step: TracedStep, operands: Sequence[Any]) -> KernelAxes | None:
    """Return the axes of a product's kernel; None for another step, and where they are not known."""
    sides = [side for side, operand in enumerate(step.operands) if operand.origin in step.kernels]
    if len(step.kernels) != 1 or not sides or not isinstance(operands[sides[0]], _View):
        return None
    side, view = sides[0], operands[sides[0]]
    settings = step.equation.params
    if step.primitive == "dot_general":
        contracted, batched = (axes[side] for axes in settings["dimension_numbers"])
        summed = set(contracted)
        kept = [axis for axis in range(len(view.axes)) if axis not in (*contracted, *batched)]
    elif step.primitive == "conv_general_dilated" and side == 1:
        unit, *window = settings["dimension_numbers"].rhs_spec
        summed, kept = set(window), [unit]
    else:
        return None
    inputs, units = (_in_leaf(view, axes) for axes in (sorted(summed), kept))
    # A reshape that mixes inputs and units leaves no axis that is one of the two.
    return None if set(inputs) & set(units) else KernelAxes(inputs, units, view.ranges)


def _in_leaf(view: _View, axes: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of the leaf that axes of a view run along."""
    return tuple(dict.fromkeys(own for axis in axes for own in view.axes[axis]))


def _rearranged(equation: Any, operands: Sequence[Any]) -> list[_View | None]:
    """Return the views that an equation makes of views; None for each that is none, or not known."""
    inner = called(equation, ruled=True)
    if inner is not None:
        return [
            outcome if isinstance(outcome, _View) else None
            for outcome in walk(
                inner.jaxpr,
                inner.constants,
                inner.operands(operands, None),
                _rearranged,
                lambda value: Constant(value, Source.DATA),
            )
        ]
    unknown: list[_View | None] = [None] * len(equation.outvars)
    if equation.primitive.name == "optimization_barrier":
        return [operand if isinstance(operand, _View) else None for operand in operands]
    view = operands[0] if operands else None
    if not isinstance(view, _View):
        return unknown
    before, after = equation.invars[0].aval.shape, [variable.aval.shape for variable in equation.outvars]
    arrange = _ARRANGEMENTS.get(equation.primitive.name)
    if arrange is not None:
        return arrange(view, equation.params, operands[1:], before, after)
    # Casts, copies, reversals: the axes stay.
    if any(shape != before for shape in after):
        return unknown
    return [view for _ in after]


def _transposed(view: _View, settings: Mapping[str, Any], *_: Any) -> list[_View | None]:
    return [_View(tuple(view.axes[axis] for axis in settings["permutation"]), view.ranges)]


def _squeezed(view: _View, settings: Mapping[str, Any], *_: Any) -> list[_View | None]:
    kept = [axes for axis, axes in enumerate(view.axes) if axis not in settings["dimensions"]]
    return [_View(tuple(kept), view.ranges)]


def _broadcast(
    view: _View, settings: Mapping[str, Any], others: Any, before: Any, after: Sequence[tuple[int, ...]]
) -> list[_View | None]:
    into = dict(zip(settings["broadcast_dimensions"], range(len(before)), strict=True))
    kept = [
        view.axes[into[axis]] if axis in into and after[0][axis] == before[into[axis]] else ()
        for axis in range(len(after[0]))
    ]
    return [_View(tuple(kept), view.ranges)]


def _sliced(
    view: _View, settings: Mapping[str, Any], others: Any, before: Any, after: Sequence[tuple[int, ...]]
) -> list[_View | None]:
    if settings["strides"] is not None and set(settings["strides"]) != {1}:
        return [None]
    return [_cut(view, before, settings["start_indices"], after[0])]


def _dynamically_sliced(
    view: _View, settings: Mapping[str, Any], others: Sequence[Any], before: Any, after: Sequence[tuple[int, ...]]
) -> list[_View | None]:
    # Where a slice begins may be a number that is not known before it runs.
    if not all(isinstance(start, Constant) for start in others):
        return [None]
    starts = [int(start.value) for start in others]
    clamped = [max(0, min(start, side - length)) for start, side, length in zip(starts, before, after[0], strict=True)]
    return [_cut(view, before, clamped, after[0])]


def _split(
    view: _View, settings: Mapping[str, Any], others: Any, before: Sequence[int], after: Sequence[tuple[int, ...]]
) -> list[_View | None]:
    axis, sizes = settings["axis"], settings["sizes"]
    starts = [0, *accumulate(sizes)][: len(sizes)]
    return [
        _cut(view, before, [start if own == axis else 0 for own in range(len(before))], shape)
        for start, shape in zip(starts, after, strict=True)
    ]


def _cut(view: _View, before: Sequence[int], starts: Sequence[int], lengths: Sequence[int]) -> _View | None:
    """Return a part of a view, or None where the axis that is cut is not one axis of the leaf."""
    ranges = list(view.ranges)
    for axes, side, start, length in zip(view.axes, before, starts, lengths, strict=True):
        if length == side:
            continue
        if len(axes) != 1 or ranges[axes[0]][1] - ranges[axes[0]][0] != side:
            return None
        first = ranges[axes[0]][0] + start
        ranges[axes[0]] = (first, first + length)
    return _View(view.axes, tuple(ranges))


def _reshaped(
    view: _View, settings: Mapping[str, Any], others: Any, before: Sequence[int], after: Sequence[tuple[int, ...]]
) -> list[_View | None]:
    if settings.get("dimensions") is not None or 0 in before:
        return [None]
    new: list[tuple[int, ...]] = [()] * len(after[0])
    # Axes of length 1 carry nothing; of the others, the fewest neighbours of equal product become one another.
    old_axes = [axis for axis, side in enumerate(before) if side != 1]
    new_axes = [axis for axis, side in enumerate(after[0]) if side != 1]
    while old_axes and new_axes:
        ours, theirs = [old_axes.pop(0)], [new_axes.pop(0)]
        while (left := prod(before[axis] for axis in ours)) != (right := prod(after[0][axis] for axis in theirs)):
            if left < right:
                ours.append(old_axes.pop(0))
            else:
                theirs.append(new_axes.pop(0))
        merged = tuple(own for axis in ours for own in view.axes[axis])
        for axis in theirs:
            new[axis] = merged
    return [_View(tuple(new), view.ranges)]


_ARRANGEMENTS: Mapping[str, Any] = {
    "broadcast_in_dim": _broadcast,
    "dynamic_slice": _dynamically_sliced,
    "reshape": _reshaped,
    "slice": _sliced,
    "split": _split,
    "squeeze": _squeezed,
    "transpose": _transposed,
}
