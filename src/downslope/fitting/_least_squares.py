"""From a start to the least squares: Levenberg–Marquardt, and SciPy's trust region where it ends badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._engine import double_precision, jax
from downslope.fitting._equivalent import Rewriting
from downslope.fitting._levenberg_marquardt import recorded
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._uncertainty import uncertainty

LEVENBERG_MARQUARDT, TRUST_REGION = "levenberg-marquardt", "trust region"
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


def levenberg_marquardt(problem: FitProblem, arguments: FitArguments, bounds: Bounds, start: np.ndarray, steps: int) -> Solution:
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


def trust_region(problem: FitProblem, arguments: FitArguments, bounds: Bounds, start: np.ndarray, steps: int) -> Solution:
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
