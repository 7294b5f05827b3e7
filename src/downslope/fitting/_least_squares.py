"""Solve for the least squares from a start, by Levenberg–Marquardt or SciPy's trust region, and convert to a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._engine import double_precision, jax
from downslope._types import Plain
from downslope.descent import Objective, plan, spectrum_of_hessian, versions
from downslope.diagnosis import Diagnosis, diagnose
from downslope.fitting._equivalent import Rewriting
from downslope.fitting._levenberg_marquardt import recorded, recorded_in_numpy
from downslope.fitting._numeric_problem import MOST_ROWS, NumericProblem, is_small
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._uncertainty import uncertainty
from downslope.methods import FIT_METHODS, NEWTON
from downslope.trace import Outcome, Trace

LEVENBERG_MARQUARDT, TRUST_REGION = (spec.name for spec in FIT_METHODS)
_SMALLEST_RECORD = 256  # rows; most fits end within, and share a compiled program
_PATIENCE = 2000  # evaluations by the trust region

Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Solution:
    """The iterations of a solver, one row per accepted step; row 0 is the start.

    Args:
        method: LEVENBERG_MARQUARDT or TRUST_REGION.
        points: shape (rows, free).
        gradients: Jᵀr at each, shape (rows, free).
        squares: half the sum of squares at each, shape (rows,).
        jacobian: of the residuals at the end, shape (data rows, free).
        hessian: of half the squares at the end, shape (free, free).
        still: whether the solver converged.
        undetermined: indices of the parameters that the data do not determine at the end.
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
        """Return the solution in a subset of the parameters, each multiplied by a factor.

        Args:
            lengths: the factors, shape (free,).
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
        """Return the same iterations in equivalent parameters: permuted, with other signs and phases.

        Args:
            free: names of the parameters, in order.
            rewriting: the change of the parameters.
        """
        sources, signs, shifts = zip(*(rewriting.of[name] for name in free), strict=True)
        order, sign = [free.index(source) for source in sources], np.array(signs)
        return replace(
            self,
            points=self.points[:, order] * sign + np.array(shifts),
            gradients=self.gradients[:, order] * sign,
            jacobian=self.jacobian[:, order] * sign,
            hessian=self.hessian[np.ix_(order, order)] * np.outer(sign, sign),
            undetermined=tuple(sorted(order.index(index) for index in self.undetermined)),
        )

    @property
    def end(self) -> np.ndarray:
        """The last point, shape (free,)."""
        return self.points[-1]

    @property
    def finite(self) -> bool:
        """Whether the sum of squares at the end is finite."""
        return bool(np.isfinite(self.squares[-1]))

    @property
    def has_slopes(self) -> bool:
        """Whether every derivative at the end is finite."""
        return bool(np.all(np.isfinite(self.jacobian)))

    @property
    def sound(self) -> bool:
        """Whether the solver converged at a finite point that the data determine."""
        return self.finite and self.still and not self.undetermined


def levenberg_marquardt(
    problem: FitProblem, arguments: FitArguments, bounds: Bounds, start: np.ndarray, steps: int
) -> Solution:
    """Solve by the method of Levenberg and Marquardt.

    Args:
        problem: the residuals.
        arguments: the data.
        bounds: lowest and highest value of each free parameter.
        start: shape (free,).
        steps: the maximum number of steps to try.
    """
    if is_small(arguments):
        numeric = NumericProblem(problem, arguments)
        state, record = recorded_in_numpy(numeric.linearised, start, bounds, is_bounded(bounds), steps)
        hessian = numeric.hessian(state.free)
    else:
        capacity = max(_SMALLEST_RECORD, 1 << steps.bit_length())
        with double_precision():
            # The number of steps is an argument, so any number of them runs the same program.
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
        bool(state.still) and bool(np.all(np.isfinite(state.jacobian))),
        _undetermined(state.jacobian, state.residuals),
    )


def trust_region(
    problem: FitProblem, arguments: FitArguments, bounds: Bounds, start: np.ndarray, steps: int
) -> Solution:
    """Solve by SciPy's trust-region reflective method, then converge by the other method."""
    from scipy.optimize import least_squares

    linearised = _linearised(problem, arguments)
    visited: list[np.ndarray] = []

    def residuals(free: np.ndarray) -> np.ndarray:
        rows = linearised(free)[0]
        # SciPy refuses NaN and ∞. 1e150 squared is still finite, so the step is only rejected.
        return np.where(np.isfinite(rows), rows, 1e150)

    def jacobian(free: np.ndarray) -> np.ndarray:
        visited.append(free.copy())
        return np.nan_to_num(linearised(free)[1])

    slopes: Any = jacobian  # SciPy's annotation admits only the names of its own approximations

    with np.errstate(all="ignore"):
        # SciPy needs a start strictly between the bounds.
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
        along = [linearised(free) for free in way]
    return Solution(
        TRUST_REGION,
        np.concatenate([way, final.points]),
        np.concatenate([*([matrix.T @ rows] for rows, matrix in along), final.gradients]),
        np.concatenate([np.array([rows @ rows / 2 for rows, _ in along]), final.squares]),
        final.jacobian,
        final.hessian,
        final.still,
        final.undetermined,
    )


def _linearised(problem: FitProblem, arguments: FitArguments) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the function from a point to residuals and their Jacobian."""
    if is_small(arguments):
        return NumericProblem(problem, arguments).linearised
    program = jax().jit(
        lambda free, arguments: (problem.residuals(free, arguments), jax().jacfwd(problem.residuals)(free, arguments))
    )

    def linearised(free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with double_precision():
            return jax().device_get(program(free, arguments))

    return linearised


def is_bounded(bounds: Bounds) -> bool:
    """Return whether any bound is finite."""
    return bool(np.isfinite(bounds).any())


def better(solutions: list[Solution]) -> Solution:
    """Return the solution with the lowest squares; of equal ones a sound one, then the first."""
    finite = [solution for solution in solutions if solution.finite] or solutions
    lowest = min(float(solution.squares[-1]) for solution in finite)
    level = [solution for solution in finite if solution.squares[-1] <= lowest * (1 + 1e-9)]
    return next((solution for solution in level if solution.sound), level[0] if level else finite[0])


def _undetermined(jacobian: np.ndarray, residuals: np.ndarray) -> tuple[int, ...]:
    """Return the indices of the parameters that the data do not determine."""
    if not np.all(np.isfinite(jacobian)):
        return ()
    return uncertainty(jacobian, residuals, np.zeros(jacobian.shape[1], bool)).undetermined


def trace_of(problem: FitProblem, objective: Objective, solution: Solution, steps: int) -> Trace:
    """Convert the iterations of any solver to a trace of the mean square.

    Args:
        problem: the structure of the fit.
        objective: the mean square.
        solution: the iterations.
        steps: the maximum number of steps.
    """
    start = dict(zip(problem.free, map(float, solution.points[0]), strict=True))
    description = plan(objective, start, method=NEWTON, steps=steps, tolerance=0.0).description
    with_errors = bool(getattr(objective.function, "uncertain", ()))
    engine = "numpy" if _rows(objective) <= MOST_ROWS or with_errors else "jax"
    described = {**description, "method": solution.method, "settings": {}, "engine": engine}
    return _trace(problem.free, described, solution, _rows(objective))


def verdict_on(
    problem: FitProblem, trace: Trace, objective: Objective, solution: Solution, held: np.ndarray
) -> Diagnosis:
    """Diagnose the iterations of a solver independently of the units of the parameters.

    Parameters on a bound are left out. The others are scaled by their effect on the predictions: the curvature of the
    mean square in raw parameters would call a fit in metres ill-conditioned and the same fit in kilometres not.

    Args:
        problem: the structure of the fit.
        trace: the trace of the solution.
        objective: the mean square.
        solution: the iterations.
        held: which parameters are on a bound, shape (free,).
    """
    if held.all():
        return Diagnosis(())
    lengths = np.linalg.norm(solution.jacobian, axis=0)
    lengths = np.where((lengths > 0) & np.isfinite(lengths), lengths, 1.0)
    names = tuple(name for name, rests in zip(problem.free, held, strict=True) if not rests)
    scaled = solution.scaled(lengths, ~held)
    return diagnose(_trace(names, {**trace.plan, "names": sorted(names)}, scaled, _rows(objective)))


def _trace(free: tuple[str, ...], described: Plain, solution: Solution, rows: int) -> Trace:
    """Return the trace of the mean square in some of the parameters."""
    # Traces list coordinates in alphabetical order, as JAX does the leaves of a mapping.
    names = tuple(sorted(free))
    order = np.array([free.index(name) for name in names])
    share = 2 / rows  # the solver minimises half the sum of squares, the trace shows their mean
    last = len(solution.points) - 1
    start, end = (
        {name: np.asarray(point[index]) for name, index in zip(names, order, strict=True)}
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
        versions=versions(str(described["engine"])),
        not_finite_part=None if solution.finite else "value",
        not_finite_step=None if solution.finite else last,
    )


def _rows(objective: Objective) -> int:
    """Return the number of rows of a mean square."""
    return len(next(iter(objective.data.values())))
