"""`descend`: from a Plan to a Trace.

The compiled loop (`_loop`) runs in chunks of many steps. Between two chunks, and only there, the host looks: it shows
the progress, and stops if the user asked to.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from downslope import _tree
from downslope._choices import door
from downslope._engine import jax, kept, precision
from downslope._errors import SettingError
from downslope._types import Columns, Point
from downslope.descent._choices import DescendChoices
from downslope.descent._chunk_result import ChunkResult, joined, result_of
from downslope.descent._curvature import ends_of_large, spectrum_of_hessian
from downslope.descent._exploration import explored
from downslope.descent._numpy_loop import numpy_program
from downslope.descent._objective import Objective
from downslope.descent._plan import Plan, make_plan
from downslope.descent._progress import Interruption, checked_progress, progress_bar
from downslope.descent._recipe import UNROLLED, Arguments, LoopProgram, Recipe, arguments_of, rates_of, versions
from downslope.descent.batches._descent import descend_batches
from downslope.formulas import Formula
from downslope.trace import Outcome, Spectrum, Trace

_SMALLEST_RECORD = 256
_LARGEST_RECORD = 65536
_MOST_ROWS = 20_000_000
_FIRST_LOOK = 1024  # steps before the first look at the clock, where a step may be slow
_CHUNK_SECONDS = 0.4


@door(DescendChoices)
def descend(
    objective: str | Formula | Objective | Callable[..., Any] | Plan,
    start: Point = None,
    **choices: Unpack[DescendChoices],
) -> Trace:
    """Descend from a start and record every step.

    A step of gradient descent is x ← x − α∇f(x); the other methods step by their own rules.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, an Objective, or a whole Plan.
        start: the point at step 0; not passed with a Plan.
        **choices: as in `DescendChoices`.

    Returns:
        The trace, one row per recorded step; the start is step 0. Its `outcome` says how it ended; a descent that goes
        wrong is an Outcome, not an error. Ctrl-C ends it as `Outcome.INTERRUPTED`, with every step so far.

    Raises:
        DownslopeError: for an invalid plan; see `plan`.

    >>> trace = descend("f(x) = x² - 4x + 5", start={"x": 0}, learning_rate=0.1, steps=20)
    >>> round(float(trace.end["x"]), 6)
    1.976942
    """
    passed = dict(choices)
    progress = checked_progress(passed.pop("progress", None))
    plan = _plan(objective, start, passed)
    if plan.objective.batched is not None:
        return descend_batches(plan, progress=progress)
    with precision(plan.objective.precision) if plan.runs_in == "jax" else contextlib.nullcontext():
        ready = prepared(plan)
        takes_long = plan.steps > ready.first_size
        with Interruption(takes_long) as interruption, progress_bar(progress, plan.steps) as show:
            trace = _run(plan, ready, interruption, show)
    return explored(plan, trace, descend)


def finished(plan: Plan, ready: Prepared, results: list[ChunkResult], outcome: Outcome) -> Trace:
    """Return the trace of a descent that has ended, with what lies around its end."""
    return explored(plan, _trace(plan, ready, results, outcome), descend)


def _plan(objective: Any, start: Point, choices: Mapping[str, Any]) -> Plan:
    """Return the plan that was passed, or the one that the choices make."""
    if not isinstance(objective, Plan):
        return make_plan(objective, start, choices, also=("progress",))
    if start is not None or choices:
        raise SettingError(
            "a plan already holds its start and settings",
            hint="change them with plan.changed(…), or pass the objective instead of the plan",
        )
    return objective


def _run(plan: Plan, ready: Prepared, interruption: Interruption, show: Callable[[int, int, float], None]) -> Trace:
    """Run the chunks one after another and collect their results."""
    most = ready.first_size
    steps = min(most, plan.steps)
    chunk = ready.program.begin(ready.start, ready.zero, ready.first_steps, ready.arguments)
    result = result_of(ready.program, chunk, steps, ready.arguments, ready.start)
    results = [result]
    while result.unfinished and result.step < plan.steps:
        show(result.step, plan.steps, result.value)
        if interruption.requested:
            return _trace(plan, ready, results, Outcome.INTERRUPTED)
        began = time.perf_counter()
        steps = min(most, plan.steps - result.step)
        result = next_result(ready, result, steps, ready.arguments)
        results.append(result)
        most = _next_size(ready.recipe, steps, time.perf_counter() - began)
    show(result.step, plan.steps, result.value)
    return _trace(plan, ready, results, result.outcome)


def next_result(ready: Prepared, result: ChunkResult, steps: int, arguments: Arguments) -> ChunkResult:
    """Return the result of the chunk that follows another."""
    if result.state is None:
        chunk = ready.program.begin(result.point, np.int64(result.step), np.int64(steps), arguments)
    else:
        chunk = ready.program.go_on(result.state, np.int64(steps), arguments)
    return result_of(ready.program, chunk, result.step + steps, arguments, ready.start)


@dataclass(frozen=True)
class Prepared:
    """A plan as the compiled programs take it, its arrays on the device."""

    recipe: Recipe
    program: LoopProgram
    start: Point
    arguments: Arguments
    zero: Any
    first_steps: Any
    first_size: int
    part_names: tuple[str, ...]
    coordinate_names: tuple[str, ...]
    start_by_part: Columns


def prepared(plan: Plan) -> Prepared:
    """Return a plan prepared for its engine, once for each plan."""
    return kept(plan, "prepared", lambda: _prepared(plan))


def _prepared(plan: Plan) -> Prepared:
    recipe = _recipe(plan)
    # Without data a step costs nanoseconds, and the first chunk may be the whole descent; with data it may cost seconds
    # itself.
    first_size = recipe.capacity * recipe.every
    if plan.objective.formula is None or plan.objective.data or recipe.engine == "numpy":
        first_size = min(first_size, -(-_FIRST_LOOK // recipe.every) * recipe.every)
    first_steps = np.int64(min(first_size, plan.steps))
    on_device = (_as_arrays(plan), arguments_of(plan), np.int64(0), first_steps)
    if recipe.engine == "jax":
        on_device = jax().device_put(on_device)
    start, arguments, zero, first_steps = on_device
    names = _tree.part_names(plan.start)
    coordinates = _tree.coordinate_names(plan.start) if recipe.whole else ()
    return Prepared(
        recipe=recipe,
        program=kept(plan.objective.owner, recipe.key, lambda: _program(recipe)),
        start=start,
        arguments=arguments,
        zero=zero,
        first_steps=first_steps,
        first_size=first_size,
        part_names=names,
        coordinate_names=coordinates,
        start_by_part=_tree.arrays_by_part(plan.start),
    )


def _program(recipe: Recipe) -> LoopProgram:
    """Return the loop of a recipe."""
    if recipe.engine == "numpy":
        return numpy_program(recipe)
    from downslope.descent._loop import program

    return program(recipe)


def _recipe(plan: Plan) -> Recipe:
    """Return the structure that the program is compiled for, its record sized to the plan."""
    every = plan.record.every
    rows = plan.steps // every + 2
    if rows > _MOST_ROWS:
        raise SettingError(
            f"{plan.steps} steps recorded every {every} would keep {rows} rows, more than {_MOST_ROWS}",
            hint=f"record every {-(-plan.steps // 1_000_000)} steps: record={-(-plan.steps // 1_000_000)}",
        )
    curvature = plan.record.curvature
    return Recipe(
        function=plan.objective.function,
        method=plan.method,
        schedule=plan.schedule,
        clips=plan.clips,
        capacity=_capacity(rows),
        every=every,
        whole=plan.is_small,
        curvature=plan.is_small if curvature is None else curvature,
        hessian=plan.is_small and plan.record.spectrum,
        size=_tree.size(plan.start),
        parts=len(_tree.part_names(plan.start)),
        engine=plan.runs_in,
    )


def _capacity(rows: int) -> int:
    """Return the capacity for a number of rows: the next of 4, 5, 6 or 7 times a power of two, to share programs."""
    quarter = 1 << max(rows.bit_length() - 3, 0)
    return min(max(-(-rows // quarter) * quarter, _SMALLEST_RECORD), _LARGEST_RECORD)


def _as_arrays(plan: Plan) -> Point:
    """Return the start as arrays of the objective's precision."""
    dtype = np.dtype(plan.objective.precision)
    if _tree.is_flat(plan.start):
        return {name: np.asarray(leaf, dtype) for name, leaf in plan.start.items()}
    return jax().tree.map(lambda leaf: np.asarray(leaf, dtype), plan.start)


def _next_size(recipe: Recipe, steps: int, seconds: float) -> int:
    """Return the size of the next chunk: long enough to be efficient, short enough to update the progress bar."""
    # A whole number of unrolled steps: a chunk that ended between two looks would have to be cut and run again.
    wanted = int(steps * _CHUNK_SECONDS / max(seconds, 1e-6)) // recipe.every
    rows = min(wanted // UNROLLED * UNROLLED, recipe.capacity // UNROLLED * UNROLLED)
    return max(rows, UNROLLED) * recipe.every


def _trace(plan: Plan, ready: Prepared, results: list[ChunkResult], outcome: Outcome) -> Trace:
    """Return the trace of the collected results."""
    recorded = joined(results, plan.record.every)
    end = results[-1]
    coordinates, gradients = recorded.pop("coordinates", None), recorded.pop("gradients", None)
    recorded["learning_rate"] = rates_of(plan, recorded["step"])
    if "first_order_decrease" in recorded:
        recorded["predicted_decrease"] = _predicted(recorded)
    part_columns = {
        name.removeprefix("parts/"): recorded.pop(name) for name in list(recorded) if name.startswith("parts/")
    }
    bad = end.bad_part if outcome is Outcome.NOT_FINITE else None
    return Trace(
        outcome=outcome,
        recorded=recorded,
        coordinate_names=ready.coordinate_names,
        coordinates=coordinates,
        gradients=gradients,
        part_names=ready.part_names,
        part_columns=part_columns,
        start=ready.start_by_part,
        end=_tree.arrays_by_part(end.point),
        spectra=_spectra(plan, results[0], end),
        plan=plan.description,
        versions=versions(ready.recipe.engine),
        not_finite_part=None if bad is None else ("value", *_numbered(ready))[bad],
        not_finite_step=None if bad is None else _failed_step(recorded, gradients),
    )


def _numbered(ready: Prepared) -> tuple[str, ...]:
    """Return the names that `bad_part` counts: the coordinates where each is recorded at every step, else the parts."""
    return ready.coordinate_names if ready.recipe.whole and ready.recipe.every == 1 else ready.part_names


def _predicted(recorded: dict[str, np.ndarray]) -> np.ndarray:
    """Return −gᵀu − uᵀHu/2 where the curvature along the update is known."""
    first_order = recorded.pop("first_order_decrease")
    if "update_curvature" in recorded:
        with np.errstate(invalid="ignore"):  # ∞ − ∞ where a descent ran away
            return first_order - recorded["update_curvature"] / 2
    curvature = recorded.get("curvature", np.full(len(first_order), np.nan))
    return first_order - curvature * recorded["update_norm"] ** 2 / 2


def _failed_step(recorded: Columns, gradients: np.ndarray | None) -> int:
    """Return the step whose value or gradient was not finite: 0 if the start's was, else the one after the last row."""
    slopes = recorded["gradient_norm"][-1] if gradients is None else gradients[-1]
    bad_start = not (np.isfinite(recorded["value"][-1]) and np.all(np.isfinite(slopes)))
    last = int(recorded["step"][-1])
    return last if bad_start else last + 1


def _spectra(plan: Plan, first: ChunkResult, last: ChunkResult) -> tuple[Spectrum, ...]:
    """Return the curvature at the start and at the end, one entry if they are the same point."""
    if not plan.record.spectrum:
        return ()
    if first.hessians is None or last.hessians is None:
        return ends_of_large(plan.objective, plan.start, last.point, last.step)
    scale = None
    if last.preconditioner is not None:
        scale = np.concatenate([np.ravel(leaf) for leaf in _tree.leaves(last.preconditioner)])
    end = spectrum_of_hessian(last.hessians[1], last.step, plan.start, scale)
    return (end,) if last.step == 0 else (spectrum_of_hessian(first.hessians[0], 0, plan.start), end)
