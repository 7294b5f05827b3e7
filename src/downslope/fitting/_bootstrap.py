"""The bootstrap of a fit: refits to resampled rows or residuals, all in parallel.

Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError, described, nearest, whole
from downslope.executors import Crew, ExecutorLike, Unit
from downslope.fitting._least_squares import is_bounded
from downslope.fitting._levenberg_marquardt import refitted
from downslope.fitting._numeric_problem import NumericProblem
from downslope.fitting._profile import Interval
from downslope.fitting._residuals import leverages

if TYPE_CHECKING:
    from downslope.fitting._result import Fit

_KINDS = ("cases", "residuals")
_TRIES = 100
_TOGETHER = 1 << 22  # numbers of a Jacobian at many points at once


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits to resampled data.

    Args:
        kind: "cases" for resampled rows, "residuals" for resampled residuals.
        names: the free parameters, in order.
        samples: their values in each refit, shape (samples, free).
        failed: the number of refits that did not end at a finite point and are left out.
        confidence: the level of `intervals`.
    """

    kind: str
    names: tuple[str, ...]
    samples: np.ndarray
    failed: int
    confidence: float

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard deviation of each parameter over the refits, by name."""
        deviations = np.std(self.samples, axis=0, ddof=1)
        return dict(zip(self.names, map(float, deviations), strict=True))

    @property
    def intervals(self) -> dict[str, Interval]:
        """The interval of each parameter between two quantiles of the refits, by name."""
        return self.intervals_at(self.confidence)

    def intervals_at(self, level: float) -> dict[str, Interval]:
        """Return the intervals at another level."""
        tails = (1 - level) / 2, (1 + level) / 2
        low, high = np.quantile(self.samples, tails, axis=0)
        return {
            name: Interval(float(first), float(last)) for name, first, last in zip(self.names, low, high, strict=True)
        }

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of the parameters over the refits, shape (free, free)."""
        return np.atleast_2d(np.cov(self.samples, rowvar=False))

    def as_dict(self) -> dict[str, Any]:
        """Return errors and intervals as plain data, for JSON."""
        return {
            "kind": self.kind,
            "samples": len(self.samples),
            "failed": self.failed,
            "standard_errors": self.standard_errors,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
        }

    def __repr__(self) -> str:
        errors: Mapping[str, float] = self.standard_errors
        texts = ", ".join(f"{name} ± {error:.3g}" for name, error in errors.items())
        return f"<Bootstrap of {len(self.samples)} {self.kind}: {texts}>"


def bootstrap(fit: Fit, samples: int, kind: str, seed: int, confidence: float, executor: ExecutorLike) -> Bootstrap:
    """Refit resampled data; see `Fit.bootstrap`."""
    samples = whole("samples", samples, least=2)
    whole("seed", seed, least=0)
    if kind not in _KINDS:
        close = nearest(str(kind), _KINDS)
        raise SettingError(
            f"a bootstrap resamples {' or '.join(_KINDS)}, not {described(kind)}",
            hint=f"did you mean {close}?" if close else None,
        )
    if fit.arguments.deviations and kind == "residuals":
        raise SettingError(
            "with errors in several columns, residuals cannot be resampled", hint='bootstrap(…, "cases")'
        )
    if fit.uncertainty.undetermined:
        raise SettingError(
            "the data do not determine every parameter, so refits would not be unique", hint="fix one of them"
        )
    together = max(1, _TOGETHER // (len(fit.measured) * (len(fit.free) + 1)))
    firsts = range(0, samples, together)
    units = [Unit(_refits, fit, (kind, seed, k, min(together, samples - first))) for k, first in enumerate(firsts)]
    with Crew(executor) as crew:
        ends, squares = zip(*crew.results(units), strict=True)
    points, finite = np.concatenate(ends), np.isfinite(np.concatenate(squares))
    finite &= np.all(np.isfinite(points), axis=1)
    if finite.sum() < 2:
        raise SettingError("fewer than two refits ended at a finite point", hint="give bounds")
    return Bootstrap(kind, fit.free, points[finite], int(np.sum(~finite)), confidence)


def _refits(fit: Fit, kind: str, seed: int, block: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of a block of refits, shape (count, free), and half their squares.

    Each block draws by itself, whichever process makes it.
    """
    random = np.random.default_rng((seed, block) if block else seed)
    numeric = NumericProblem(fit.problem, fit.arguments)
    best = np.array([fit[name] for name in fit.free])
    linearised = _of_samples(numeric, *_resampled(fit, kind, count, random))
    return refitted(linearised, np.tile(best, (count, 1)), fit.bounds, is_bounded(fit.bounds), _TRIES)


def _of_samples(numeric: NumericProblem, measured: np.ndarray, weight: np.ndarray) -> Any:
    """Return residuals and Jacobian as a function of points and of the samples that they belong to."""

    def linearised(free: np.ndarray, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return numeric.linearised(free, measured[lanes], weight[lanes])

    return linearised


def _resampled(fit: Fit, kind: str, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the left side and the weights of resampled data, shapes (count, rows)."""
    rows, weight = len(fit.measured), fit.arguments.weight
    if kind == "cases":
        # A row that is drawn k times counts k times; a row that is not drawn, not at all.
        drawn = random.multinomial(rows, np.full(rows, 1 / rows), size=count)
        return np.broadcast_to(fit.measured, (count, rows)), weight * np.sqrt(drawn)
    # Residuals shrink by √(1 − h); without this factor their spread would be too small.
    room = np.sqrt(np.maximum(1 - leverages(fit), np.finfo(float).eps))
    spread = fit.residuals * weight / room
    spread = spread - np.mean(spread)
    chosen = spread[random.integers(rows, size=(count, rows))]
    return fit.predicted + chosen / weight, np.broadcast_to(weight, (count, rows))
