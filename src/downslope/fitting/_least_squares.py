"""From a start to the least squares: Levenberg–Marquardt, and SciPy's trust region where it ends badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._engine import double_precision, jax
from downslope._types import Plain
from downslope.descent import Objective, plan, spectrum_of_hessian, versions
from downslope.diagnosis import Diagnosis, diagnose
from downslope.fitting._equivalent import Rewriting
from downslope.fitting._levenberg_marquardt import recorded
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._uncertainty import uncertainty
from downslope.methods import FIT_METHODS, NEWTON
from downslope.trace import Outcome, Trace

LEVENBERG_MARQUARDT, TRUST_REGION = (spec.name for spec in FIT_METHODS)
_SMALLEST_RECORD = 256
_PATIENCE = 2000

Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Solution:
    """A way down the squares, a row for each accepted step, the start being row 0.

    Args:
        method: LEVENBERG_MARQUARDT or TRUST_REGION.
        points: shape (rows, free).
        gradients: Jᵀr at each, shape (rows, free).
        squares: half the sum of squares at each, shape (rows,).
        jacobian: of the residuals at the end, shape (data rows, free).
        hessian: of half the squares at the end, shape (free, free).
        still: whether nothing was left to gain.
        undetermined: places of the parameters that the data do not determine at the end.
    """

    method: str
    points: np.ndarray
    gradients: np.ndarray
    squares: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray
    still: bool
    undetermined: tuple[int, ...]

    def scaled(self, lengths: np.ndarray, kept: np.ndarray) -> Solution:
        """Return the solution in some of its parameters, each multiplied by a length.

        Args:
            lengths: shape (free,).
            kept: which parameters to keep, shape (free,).
        """
        return replace(
            self,
            points=(self.points * lengths)[:, kept],
            gradients=(self.gradients / lengths)[:, kept],
            jacobian=(self.jacobian / lengths)[:, kept],
            hessian=(self.hessian / np.outer(lengths, lengths))[np.ix_(kept, kept)],
        )

    def rewritten(self, free: Sequence[str], rewriting: Rewriting) -> Solution:
        """Return the same way down with other places, signs and phases of its parameters.

        Args:
            free: the names of the parameters, in order.
            rewriting: what each gets.
        """
        sources, signs, shifts = zip(*(rewriting.of[name] for name in free), strict=True)
        order, sign = [free.index(source) for source in sources], np.array(signs)
        return replace(
            self,
            points=self.points[:, order] * sign + np.array(shifts),
            gradients=self.gradients[:, order] * sign,
            jacobian=self.jacobian[:, order] * sign,
            hessian=self.hessian[np.ix_(order, order)] * np.outer(sign, sign),
            undetermined=tuple(sorted(order.index(place) for place in self.undetermined)),
        )

    @property
    def end(self) -> np.ndarray:
        """The last point, shape (free,)."""
        return self.points[-1]

    @property
    def finite(self) -> bool:
        """Whether the squares are a number at all."""
        return bool(np.isfinite(self.squares[-1]))

    @property
    def sound(self) -> bool:
        """Whether it came to rest at a finite place that the data determine."""
        return self.finite and self.still and not self.undetermined


def levenberg_marquardt(
    problem: FitProblem, arguments: FitArguments, bounds: Bounds, start: np.ndarray, steps: int
) -> Solution:
    """Return the way from a start by the compiled method.

    Args:
        problem: what to fit.
        arguments: its data.
        bounds: lowest and highest value of each free parameter.
        start: shape (free,).
        steps: the most steps to try.
    """
    capacity = max(_SMALLEST_RECORD, 1 << steps.bit_length())
    with double_precision():
        state, record, hessian = jax().device_get(
            recorded(problem, capacity, is_bounded(bounds))(start, arguments, bounds, np.int64(steps))
        )
    rows = slice(int(state.taken) + 1)
    return Solution(
        LEVENBERG_MARQUARDT,
        record.free[rows],
        record.gradient[rows],
        record.squares[rows],
        state.jacobian,
        hessian,
        bool(state.still),
        _undetermined(state.jacobian, state.residuals),
    )


def trust_region(
    problem: FitProblem, arguments: FitArguments, bounds: Bounds, start: np.ndarray, steps: int
) -> Solution:
    """Return the way from a start by SciPy's trust-region reflective method, brought to rest by the compiled one."""
    from scipy.optimize import least_squares

    program = jax().jit(
        lambda free, arguments: (problem.residuals(free, arguments), jax().jacfwd(problem.residuals)(free, arguments))
    )
    visited: list[np.ndarray] = []

    def residuals(free: np.ndarray) -> np.ndarray:
        rows = np.asarray(program(free, arguments)[0])
        return np.where(np.isfinite(rows), rows, 1e150)

    def jacobian(free: np.ndarray) -> np.ndarray:
        visited.append(free.copy())
        return np.nan_to_num(np.asarray(program(free, arguments)[1]))

    slopes: Any = jacobian  # SciPy's signature knows only the names of its own

    with double_precision(), np.errstate(all="ignore"):
        inside = np.nextafter(bounds[0], np.inf), np.nextafter(bounds[1], -np.inf)
        try:
            ended = least_squares(
                residuals,
                np.clip(start, *inside),
                slopes,
                bounds,
                method="trf",
                x_scale="jac",
                max_nfev=min(steps, _PATIENCE),
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
            )
            last = ended.x
        except (ValueError, np.linalg.LinAlgError):
            last = start
        final = levenberg_marquardt(problem, arguments, bounds, last, steps)
        way = np.array(visited[:-1]).reshape(-1, len(start))
        linearised = [jax().device_get(program(free, arguments)) for free in way]
    return Solution(
        TRUST_REGION,
        np.concatenate([way, final.points]),
        np.concatenate([*([matrix.T @ rows] for rows, matrix in linearised), final.gradients]),
        np.concatenate([np.array([rows @ rows / 2 for rows, _ in linearised]), final.squares]),
        final.jacobian,
        final.hessian,
        final.still,
        final.undetermined,
    )


def is_bounded(bounds: Bounds) -> bool:
    """Tell whether any bound is finite."""
    return bool(np.isfinite(bounds).any())


def better(solutions: list[Solution]) -> Solution:
    """Return the solution of lowest squares; of those that are level, a sound one, and then the first."""
    finite = [one for one in solutions if one.finite] or solutions
    lowest = min(float(one.squares[-1]) for one in finite)
    level = [one for one in finite if one.squares[-1] <= lowest * (1 + 1e-9)]
    return next((one for one in level if one.sound), level[0] if level else finite[0])


def _undetermined(jacobian: np.ndarray, residuals: np.ndarray) -> tuple[int, ...]:
    """Return the places of the parameters that the data do not determine."""
    if not np.all(np.isfinite(jacobian)):
        return ()
    return uncertainty(jacobian, residuals, np.zeros(jacobian.shape[1], bool)).undetermined


# The way down the squares as a trace, whatever went down.


def trace_of(problem: FitProblem, objective: Objective, solution: Solution, steps: int) -> Trace:
    """Return a solution as a trace of the mean square.

    Args:
        problem: what was fitted.
        objective: its mean square.
        solution: the way to the least squares.
        steps: the most steps that were allowed.
    """
    start = dict(zip(problem.free, map(float, solution.points[0]), strict=True))
    description = plan(objective, start, method=NEWTON.name, steps=steps, tolerance=0.0).description
    described = {**description, "method": solution.method, "settings": {}}
    return _trace(problem.free, described, solution, _rows(objective))


def verdict_on(
    problem: FitProblem, trace: Trace, objective: Objective, solution: Solution, held: np.ndarray
) -> Diagnosis:
    """Return what is to say of the way to a solution, whatever units its parameters are in.

    The parameters that rest on a bound are left out, and each other one is measured by the length of its effect on the
    predictions.

    Args:
        problem: what was fitted.
        trace: the trace of the solution.
        objective: its mean square.
        solution: the way to the least squares.
        held: which parameters rest on a bound, shape (free,).
    """
    if held.all():
        return Diagnosis(())
    lengths = np.linalg.norm(solution.jacobian, axis=0)
    lengths = np.where((lengths > 0) & np.isfinite(lengths), lengths, 1.0)
    names = tuple(name for name, rests in zip(problem.free, held, strict=True) if not rests)
    scaled = solution.scaled(lengths, ~held)
    return diagnose(_trace(names, {**trace.plan, "names": sorted(names)}, scaled, _rows(objective)))


def _trace(free: tuple[str, ...], described: Plain, solution: Solution, rows: int) -> Trace:
    """Return the trace of the mean square over some parameters."""
    names = tuple(sorted(free))
    order = np.array([free.index(name) for name in names])
    share = 2 / rows
    last = len(solution.points) - 1
    start, end = (
        {name: np.asarray(point[place]) for name, place in zip(names, order, strict=True)}
        for point in (solution.points[0], solution.end)
    )
    outcome = Outcome.STALLED if solution.still else Outcome.STEPS_USED
    return Trace(
        outcome=outcome if solution.finite else Outcome.NOT_FINITE,
        recorded={
            "step": np.arange(last + 1),
            "value": share * solution.squares,
            "learning_rate": np.asarray(np.nan),
        },
        coordinate_names=names,
        coordinates=solution.points[:, order],
        gradients=share * solution.gradients[:, order],
        part_names=names,
        part_columns={},
        start=start,
        end=end,
        spectra=(spectrum_of_hessian(share * solution.hessian[np.ix_(order, order)], last, end),),
        plan=described,
        versions=versions(),
        not_finite_part=None if solution.finite else "value",
        not_finite_step=None if solution.finite else last,
    )


def _rows(objective: Objective) -> int:
    """Return the number of rows that a mean square is taken over."""
    return len(next(iter(objective.data.values())))
