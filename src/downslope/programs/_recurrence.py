"""A scan as a recurrence: its state at every step, with a zero added so that a gradient can be taken.

The rounds of a scan share one program, so that a layer inside has no single pre-activation. What tells whether
gradients get through is the state that is carried from round to round. Here a scan is written anew with an addend to
its state in each round; at zero it computes the same, and the gradient by the addend is ∂loss/∂state at that step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from downslope._engine import jax
from downslope.programs._provenance import PRODUCTS, Source, StraightProgram, TracedStep
from downslope.programs._walk import Nesting, evaluate, inner_programs, nesting_of, walk


@dataclass(frozen=True, eq=False)
class NestedKernels:
    """A step that holds kernels and is not opened.

    Args:
        step: the step.
        leaves: the leaves that it multiplies by; of a scan without a product, those that it reads.
        length: how many rounds a scan with a state has; None for other steps.
    """

    step: TracedStep
    leaves: tuple[int, ...]
    length: int | None

    @property
    def reason(self) -> str:
        """Why there is no single pre-activation."""
        name = self.step.primitive
        if name in ("scan", "while"):
            return f"inside a `{name}`, whose rounds share one program, so it has no single pre-activation"
        if name == "cond":
            return "inside a `cond`, of which only one branch runs"
        if name.startswith("custom_"):
            return "inside a function with a derivative rule of its own, which has to stay whole"
        return f"inside a `{name}`, which is not opened"

    @property
    def state_shapes(self) -> tuple[tuple[tuple[int, ...], Any], ...]:
        """Shape and type of the addends of a scan: a slice for every round of each part of the state."""
        return tuple(((self.length or 0, *aval.shape), aval.dtype) for aval in _state(self.step.equation))


def nested_kernels(program: StraightProgram) -> tuple[NestedKernels, ...]:
    """Return the steps that hold kernels inside, and the scans whose state depends on parameters."""
    nested = []
    for step in program.steps:
        if step.primitive in PRODUCTS:
            continue
        inside = [kernel for kernel in step.kernels if isinstance(kernel, int)]
        is_scan = nesting_of(step.equation) is Nesting.SCAN
        has_state = is_scan and bool(_state(step.equation))
        if has_state and not inside and any(_is_learned(operand.origin) for operand in step.operands):
            inside = sorted({operand.origin for operand in step.operands if isinstance(operand.origin, int)})
        if inside:
            nested.append(NestedKernels(step, tuple(inside), step.equation.params["length"] if has_state else None))
    return tuple(nested)


def scanned(equation: Any, operands: Sequence[Any], addends: Sequence[Any]) -> list[Any]:
    """Evaluate a scan with an addend to its state in each round.

    Args:
        equation: the scan.
        operands: what it reads.
        addends: of each part of the state that is made of real numbers, shape (rounds, *shape of the part).
    """
    settings = equation.params
    (body,) = inner_programs(equation)
    first, last = settings["num_consts"], settings["num_consts"] + settings["num_carry"]
    fixed, start, slices = operands[:first], list(operands[first:last]), operands[last:]
    moving = [index for index, variable in enumerate(equation.invars[first:last]) if _is_real(variable.aval)]
    for index in moving:  # a number that is written in the program has no type of its own
        start[index] = jax().numpy.asarray(start[index], equation.invars[first + index].aval.dtype)

    def run(carried: list[Any], taken: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
        sliced, pushes = taken
        state = list(carried)
        for index, push in zip(moving, pushes, strict=True):
            state[index] = state[index] + push
        results = walk(body.jaxpr, body.constants, [*fixed, *state, *sliced], evaluate, lambda value: value)
        return results[: len(state)], results[len(state) :]

    carried, collected = jax().lax.scan(
        run, start, (list(slices), list(addends)), length=settings["length"], reverse=settings["reverse"]
    )
    return [*carried, *collected]


def _state(equation: Any) -> list[Any]:
    """Return the types of the parts of a scan's state that are made of real numbers."""
    first = equation.params["num_consts"]
    carried = equation.invars[first : first + equation.params["num_carry"]]
    return [variable.aval for variable in carried if _is_real(variable.aval)]


def _is_learned(origin: Any) -> bool:
    return isinstance(origin, int) or origin is Source.DERIVED


def _is_real(aval: Any) -> bool:
    return bool(jax().numpy.issubdtype(getattr(aval, "dtype", None), jax().numpy.floating))
