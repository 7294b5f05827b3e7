"""Go down: the verb from a Plan to a Trace.

The compiled loop (`_loop`) runs in chunks of many steps. Between two chunks, and only there, the host looks: it shows the
progress, and stops if the user asked to.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import SettingError
from downslope._types import Columns, Point
from downslope.descent._loop import Chunk, Given, Recipe, program
from downslope.descent._plan import Plan, plan
from downslope.descent._progress import Interruption, progress_bar
from downslope.descent._spectrum import ends_of_large, spectrum_of_hessian
from downslope.trace import Outcome, Spectrum, Trace

_SMALLEST_RECORD = 256
_LARGEST_RECORD = 65536
_MOST_ROWS = 20_000_000
_FIRST_LOOK = 1024  # steps before the first look at the clock, where a step may be slow
_CHUNK_SECONDS = 0.4


def descend(
    thing: Any,
    start: Point | None = None,
    *,
    progress: bool | Callable[[int, int, float], None] | None = None,
    **choices: Any,
) -> Trace:
    """Go down from a start and keep what every step left behind.

    Each step is x ← x − α∇f(x) for gradient descent, and what `method` says for the others.

    Args:
        thing: a formula's text, a Formula, a JAX function of a point, an Objective, or a whole Plan.
        start: the point at step 0; not given with a Plan.
        progress: True or False to show a progress bar or not, None to show one on a terminal once it has taken a second; or a
            function of (steps done, steps allowed, value), called now and then.
        choices: `method`, `learning_rate`, `schedule`, `steps`, `tolerance`, `clip_norm`, `clip_value`, `record`, `seed`, `data` and
            the method's settings, as for `plan`.

    Returns:
        The trace, one row a recorded step, the start being step 0. Its `outcome` says how it ended; a descent that goes
        wrong is an Outcome and not an error. Ctrl-C ends it as `Outcome.INTERRUPTED`, with every step so far.

    Raises:
        DownslopeError: for a plan that makes no sense; see `plan`.

    >>> trace = descend("f(x) = x² - 4x + 5", start={"x": 0}, learning_rate=0.1, steps=20)
    >>> round(float(trace.end["x"]), 6)
    1.976942
    """
    made = _plan(thing, start, choices)
    with precision(made.objective.precision), Interruption() as interruption, progress_bar(progress, made.steps) as show:
        return _run(made, interruption, show)


def _plan(thing: Any, start: Point | None, choices: Mapping[str, Any]) -> Plan:
    """Return the plan that was given, or the one that the choices make."""
    if not isinstance(thing, Plan):
        return plan(thing, start, **choices)
    if start is not None or choices:
        raise SettingError(
            "a plan holds its start and settings already",
            hint="change them with dataclasses.replace(plan, …), or pass the objective instead of the plan",
        )
    return thing


def _run(made: Plan, interruption: Interruption, show: Callable[[int, int, float], None]) -> Trace:
    """Run the chunks one after another and gather their rows."""
    recipe = _recipe(made)
    begin, go_on = program(recipe)
    given = _given(made)
    most = recipe.capacity * recipe.every
    if made.objective.formula is None or made.objective.data:
        most = min(most, -(-_FIRST_LOOK // recipe.every) * recipe.every)
    chunk = begin(_as_arrays(made), np.int64(min(most, made.steps)), given)
    pieces, hessians = [_rows(chunk)], chunk.hessians
    interrupted = False
    while _unfinished(chunk, made.steps):
        done = int(chunk.state.step)
        show(done, made.steps, float(chunk.state.value))
        if interruption.asked:
            interrupted = True
            break
        began = time.perf_counter()
        asked = min(most, made.steps - done)
        chunk = go_on(chunk.state, np.int64(asked), given)
        pieces.append(_rows(chunk))
        most = _next_size(recipe, asked, time.perf_counter() - began)
    show(int(chunk.state.step), made.steps, float(chunk.state.value))
    recorded = _joined(pieces, recipe.every)
    outcome = Outcome.INTERRUPTED if interrupted else _outcome(chunk)
    ends = None if hessians is None else (np.asarray(hessians)[0], np.asarray(chunk.hessians)[1])
    return _trace(made, chunk, recorded, outcome, ends)


def _recipe(made: Plan) -> Recipe:
    """Return what the program must be compiled for, its record sized to the plan."""
    every = made.record.every
    rows = made.steps // every + 2
    if rows > _MOST_ROWS:
        raise SettingError(
            f"{made.steps} steps recorded every {every} would keep {rows} rows, more than {_MOST_ROWS}",
            hint=f"record every {-(-made.steps // 1_000_000)} steps: record={-(-made.steps // 1_000_000)}",
        )
    wanted = 1 << max(rows - 1, 1).bit_length()
    curvature = made.record.curvature
    return Recipe(
        objective=made.objective,
        method=made.method,
        schedule=made.schedule,
        clips=(made.clip_norm is not None, made.clip_value is not None),
        capacity=min(max(wanted, _SMALLEST_RECORD), _LARGEST_RECORD),
        every=every,
        whole=made.is_small,
        curvature=made.is_small if curvature is None else curvature,
        hessian=made.is_small and made.record.spectrum,
    )


def _given(made: Plan) -> Given:
    """Return the traced arguments."""
    settings = {name: np.float64(number) for name, number in made.method.settings.items() if name != "memory"}
    return Given(
        data=made.objective.data,
        rate=np.float64(made.learning_rate),
        settings=settings | {"seed": np.uint32(made.seed)},
        course={name: np.float64(number) for name, number in made.schedule.settings.items()},
        budget=np.float64(max(made.steps, 1)),
        tolerance=np.float64(made.tolerance),
        clip_norm=np.float64(made.clip_norm or 0),
        clip_value=np.float64(made.clip_value or 0),
    )


def _as_arrays(made: Plan) -> Point:
    """Return the start as arrays of the objective's precision."""
    dtype = np.dtype(made.objective.precision)
    if isinstance(made.start, dict) and made.objective.names is not None:
        return {name: np.asarray(leaf, dtype) for name, leaf in made.start.items()}
    return jax().tree.map(lambda leaf: np.asarray(leaf, dtype), made.start)


def _unfinished(chunk: Chunk, steps: int) -> bool:
    """Tell whether the chunk ended only because it was full."""
    return int(chunk.state.step) < steps and all(bool(flag) for flag in chunk.flags)


def _next_size(recipe: Recipe, steps: int, seconds: float) -> int:
    """Return how many steps the next chunk should take to last long enough to cost nothing, and short enough to be told of."""
    wanted = int(steps * _CHUNK_SECONDS / max(seconds, 1e-6))
    rows = min(max(wanted // recipe.every, 1), recipe.capacity)
    return rows * recipe.every


def _rows(chunk: Chunk) -> Columns:
    """Return the rows of a chunk that hold something, as NumPy arrays."""
    rows = int(chunk.rows)
    return {name: np.asarray(column)[:rows] for name, column in chunk.columns.items()}


def _joined(pieces: list[Columns], every: int) -> dict[str, np.ndarray]:
    """Return the pieces as one record; a piece's last row is the next one's first, which knows the step that leaves it."""
    if len(pieces) == 1:
        recorded = dict(pieces[0])
    else:
        last = len(pieces) - 1
        recorded = {
            name: np.concatenate([piece[name][: None if i == last else -1] for i, piece in enumerate(pieces)])
            for name in pieces[0]
        }
    if "step" not in recorded:
        recorded["step"] = np.arange(len(recorded["value"]))
    return recorded


def _outcome(chunk: Chunk) -> Outcome:
    """Return how the last chunk ended."""
    if not bool(chunk.flags.finite):
        return Outcome.NOT_FINITE
    if not bool(chunk.flags.steep):
        return Outcome.CONVERGED
    return Outcome.STEPS_USED if bool(chunk.flags.moving) else Outcome.STALLED


def _trace(
    made: Plan,
    chunk: Chunk,
    recorded: dict[str, np.ndarray],
    outcome: Outcome,
    ends: tuple[np.ndarray, np.ndarray] | None,
) -> Trace:
    """Return the trace of the rows that were gathered."""
    step = recorded["step"]
    coordinates, gradients = recorded.pop("coordinates", None), recorded.pop("gradients", None)
    recorded["learning_rate"] = _rates(made, step)
    if "first_order_decrease" in recorded:
        recorded["predicted_decrease"] = _predicted(recorded)
    part_columns = {name.removeprefix("parts/"): recorded.pop(name) for name in list(recorded) if name.startswith("parts/")}
    names = _tree.part_names(made.start)
    not_finite = outcome is Outcome.NOT_FINITE
    return Trace(
        outcome=outcome,
        recorded=recorded,
        coordinate_names=_tree.coordinate_names(made.start) if coordinates is not None else (),
        coordinates=coordinates,
        gradients=gradients,
        part_names=names,
        part_columns=part_columns,
        start=_by_part(names, made.start),
        end=_by_part(names, chunk.state.point),
        spectra=_spectra(made, chunk, int(step[-1]), ends),
        plan=made.description,
        versions=_versions(),
        not_finite_part=("value", *names)[int(chunk.bad_part)] if not_finite else None,
        not_finite_step=_failed_step(recorded) if not_finite else None,
    )


def _rates(made: Plan, step: np.ndarray) -> np.ndarray:
    """Return the learning rate of the step that leaves each row; a single number where it never changes."""
    if made.schedule.name == "constant":
        return np.asarray(made.learning_rate)
    settings = dict(made.schedule.settings)
    if made.schedule.function is not None:
        rates = np.asarray(jax().vmap(made.schedule.function)(step), dtype=float)
    else:
        rates = np.asarray(made.schedule.rate(step, made.learning_rate, max(made.steps, 1), settings, np), dtype=float)
    return np.append(rates[:-1], np.nan)


def _predicted(recorded: dict[str, np.ndarray]) -> np.ndarray:
    """Return −gᵀu − uᵀHu/2 where the curvature along the update is known."""
    first_order = recorded.pop("first_order_decrease")
    if "update_curvature" in recorded:
        return first_order - recorded["update_curvature"] / 2
    curvature = recorded.get("curvature", np.full(len(first_order), np.nan))
    return first_order - curvature * recorded["update_norm"] ** 2 / 2


def _failed_step(recorded: Columns) -> int:
    """Return the step whose value or gradient was not finite: 0 if the start's was, else the one after the last row."""
    last = int(recorded["step"][-1])
    return 0 if last == 0 and not np.isfinite(recorded["value"][-1]) else last + 1


def _by_part(names: tuple[str, ...], point: Point) -> dict[str, np.ndarray]:
    """Return the leaves of a point by name."""
    return {name: np.asarray(leaf) for name, leaf in zip(names, _tree.leaves(point), strict=True)}


def _spectra(
    made: Plan, chunk: Chunk, last_step: int, ends: tuple[np.ndarray, np.ndarray] | None
) -> tuple[Spectrum, ...]:
    """Return the curvature at the start and at the end, one entry if they are the same point."""
    if not made.record.spectrum:
        return ()
    if ends is None:
        return ends_of_large(made.objective, made.start, chunk.state.point, last_step)
    scale = None
    if chunk.preconditioner is not None:
        scale = np.concatenate([np.ravel(leaf) for leaf in _tree.leaves(chunk.preconditioner)])
    first, last = ends
    end = spectrum_of_hessian(last, last_step, made.start, scale)
    return (end,) if last_step == 0 else (spectrum_of_hessian(first, 0, made.start), end)


@functools.cache
def _versions() -> dict[str, str]:
    """Return the versions of what computed the trace."""
    names = ("downslope", "jax", "numpy", "optax")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
