"""The result of a fit: parameters with their errors, measures of quality, predictions with bands."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._copies import fields_alone
from downslope._types import Columns, plain
from downslope.descent import Objective
from downslope.diagnosis import Diagnosis
from downslope.executors import ExecutorLike
from downslope.fitting._bootstrap import Bootstrap, bootstrap
from downslope.fitting._curvature import Curvature, curvature
from downslope.fitting._derived import Derived, derived, derived_in_groups
from downslope.fitting._fitted_equation import FittedEquation
from downslope.fitting._inference import checked_level, confidence_region, profile, profile_intervals, region_arcs
from downslope.fitting._markup import parameter_table
from downslope.fitting._model import EquationModel
from downslope.fitting._prediction import Prediction, columns_along, predicted_with_band
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._profile import Interval, Profile
from downslope.fitting._region import ConfidenceRegion
from downslope.fitting._report import as_text, summary, table
from downslope.fitting._residuals import (
    ResidualTests,
    deviations,
    estimated_columns,
    orthogonal_rows,
    residual_tests,
    standardised,
    table_of,
)
from downslope.fitting._uncertainty import Parameter, Uncertainty
from downslope.trace import Trace

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True, eq=False)
class Fit(FittedEquation):
    """The result of a fit.

    Args:
        parameters: every parameter by name, in order of appearance.
        trace: the descent to them.
        findings: findings on the descent and on the data, the most important first.
        data: the columns of the equation, without rows with missing cells.
        row_numbers: the numbers of these rows in the table, counted from 1.
        left_out: numbers of the rows with missing cells, counted from 1.
        notes: how the equation was interpreted and how the fit proceeded, as sentences.
        confidence: level of the intervals, from 0 to 1.
        loss: name of the loss.
        loss_scale: the residual from which on a robust loss grows more slowly than the square; NaN for the linear loss.
        model: the equation.
        problem: the structure of the fit.
        arguments: its data.
        uncertainty: covariance and degrees of freedom.
        objective: the mean square, as a function of the free parameters.
        bounds: lowest and highest value of each free parameter.
        intervals: how the intervals of `parameters` were computed: "linear" or "profile".
        profiled: profile intervals by name: of every parameter where `intervals` is "profile", else of `curved`.
        curved: the parameters whose linear interval is misleading.
        aside: the columns of rows that are not used, for pictures; NaN for a missing cell.
        aside_groups: the number of the group of each of these rows, −1 for none; empty without groups.
    """

    parameters: Mapping[str, Parameter]
    trace: Trace
    findings: Diagnosis
    data: Columns
    row_numbers: np.ndarray
    left_out: tuple[int, ...]
    notes: tuple[str, ...]
    confidence: float
    loss: str
    loss_scale: float
    model: EquationModel = field(repr=False)
    problem: FitProblem = field(repr=False)
    arguments: FitArguments = field(repr=False)
    uncertainty: Uncertainty = field(repr=False)
    objective: Objective = field(repr=False)
    bounds: tuple[np.ndarray, np.ndarray] = field(repr=False)
    intervals: str = "linear"
    profiled: Mapping[str, Interval] = field(default_factory=dict)
    curved: tuple[str, ...] = ()
    aside: Columns = field(default_factory=dict, repr=False)
    aside_groups: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int), repr=False)

    __getstate__ = fields_alone

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of the free parameters, in their order, shape (free, free)."""
        return self.uncertainty.covariance

    @property
    def correlation(self) -> np.ndarray:
        """The correlation of the free parameters, in their order, shape (free, free)."""
        return self.uncertainty.correlation

    @property
    def free(self) -> tuple[str, ...]:
        """The names of the free parameters, in the order of `covariance` and `correlation`."""
        return self.problem.free

    @functools.cached_property
    def measured(self) -> np.ndarray:
        """The left side of the equation at each row, shape (rows,)."""
        return self.model.measured(self.data)

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """The right side of the equation at each row, shape (rows,)."""
        return self.model.predicted(self.values, self.data)

    @functools.cached_property
    def estimated_columns(self) -> dict[str, np.ndarray]:
        """The columns with errors (`sigma_x`) at the points of the curve that are nearest to the rows, by name."""
        return estimated_columns(self)

    @property
    def degrees_of_freedom(self) -> int:
        """The number of rows minus the number of determined parameters that are not at a bound."""
        return self.uncertainty.degrees_of_freedom

    @functools.cached_property
    def residual_sum_of_squares(self) -> float:
        """The weighted sum of the squared residuals; with errors in columns, that of the orthogonal distances."""
        if self.arguments.deviations:
            return float(np.sum(orthogonal_rows(self)[0] ** 2))
        return float(np.sum((self.residuals * self.arguments.weight) ** 2))

    @property
    def residual_standard_deviation(self) -> float:
        """√(sum of squares / degrees of freedom); NaN for 0 degrees of freedom."""
        with np.errstate(invalid="ignore"):
            return float(np.sqrt(self.uncertainty.residual_variance))

    @property
    def has_known_deviations(self) -> bool:
        """Whether the deviations of the measurements are known: `absolute_sigma`, or a likelihood."""
        return self.uncertainty.absolute

    def predict(
        self, data: Any = None, *, band: str = "confidence", confidence: float | None = None, sigma: Any = None
    ) -> Prediction:
        """Predict the left side of the equation, with a band.

        Args:
            data: the columns of the right side of the equation, as a mapping or a table like that of the fit; the rows
                of the fit if None.
            band: "confidence" for where the curve lies, "prediction" for where the next measurement lies.
            confidence: level of the band, from 0 to 1; that of the fit if None.
            sigma: standard deviations of the next measurements, in the sense of the fit's own; equal to those if None.

        Raises:
            DataError: if a column is missing or not numeric.
            SettingError: for an unknown band, or a prediction band without `sigma` where the fit's own differ.
        """
        return predicted_with_band(self, data, band, self.confidence if confidence is None else confidence, sigma)

    def profile_intervals(self, level: float = 0.95, *, executor: ExecutorLike = None) -> dict[str, Interval]:
        """Return the interval of each parameter by profile likelihood.

        Each parameter is moved while the others are refitted, until the squares have risen to the level: by
        s²·F(1, n − p), or by χ²(1) where σ is known. Unlike value ± t·error, the ends need not be equally far away.

        Args:
            level: the level, between 0 and 1.
            executor: where refits to large data run, as for `fit`.

        Returns:
            Low and high end by name. An end that the data do not determine is infinite; a bound ends an interval.

        Raises:
            SettingError: for a robust loss, or without degrees of freedom.

        >>> import downslope as ds
        >>> demand = {"t": [1, 2, 3, 4, 5, 7], "demand": [8.3, 10.3, 19, 16, 15.6, 19.8]}
        >>> ends = ds.fit("demand = A (1 - e^(-k t))", demand).profile_intervals()
        >>> [round(end, 3) for end in ends["k"]]
        [0.131, 1.808]
        """
        return profile_intervals(self, level, executor)

    def profile(self, name: str, level: float = 0.95, *, executor: ExecutorLike = None) -> Profile:
        """Return the profile of a parameter: the rise of the squares as it moves and the others are refitted.

        Args:
            name: a free parameter.
            level: the level of its interval.
            executor: where the refits run, as for `fit`.
        """
        return profile(self, name, level, executor)

    def confidence_region(self, first: str, second: str, level: float = 0.95, *, points: int = 64) -> ConfidenceRegion:
        """Return the joint region of two parameters by profile likelihood.

        Args:
            first: a free parameter.
            second: another one.
            level: the level at which both lie inside.
            points: the number of points on the border.
        """
        return confidence_region(self, first, second, level, points)

    def region_arcs(
        self, region: ConfidenceRegion, ranges: np.ndarray | Sequence[tuple[float, float]]
    ) -> list[np.ndarray]:
        """Return the border of a joint region within ranges, for a picture: all of it, where `points` miss a part.

        Args:
            region: what `confidence_region` returned.
            ranges: the range of each of both parameters.

        Returns:
            Its pieces, each of shape (points, 2), with the region at the left: a closed curve, or one that ends just
            outside of the ranges.
        """
        return region_arcs(self, region, ranges)

    @functools.cached_property
    def curvature(self) -> Curvature:
        """The curvature of the model by Bates and Watts, in units of the border of the confidence region.

        Far below 1, linear intervals are right. `intrinsic` is that of the model; `parameter_effects` is what other
        parameters, such as a logarithm, can mend. NaN for a robust loss or where the data determine no errors.
        """
        return curvature(self)

    def derived(self, text: str, confidence: float | None = None) -> Derived:
        """Return a quantity derived from the parameters, with its error by the delta method.

        Args:
            text: a formula of parameters, "ln(2)/k", or an equation, "half_life = ln(2)/k".
            confidence: level of its interval; that of the fit if None.

        Raises:
            FormulaError: for a formula that cannot be read or has a name that is no parameter.

        >>> import downslope as ds
        >>> decay = ds.fit("y = A e^(-k t)", {"t": [0, 1, 2, 3], "y": [20.1, 14.8, 11.1, 8.1]})
        >>> half = decay.derived("ln(2)/k")
        >>> round(half.value, 3), round(half.standard_error, 3)
        (2.304, 0.025)
        """
        return derived(self, text, self.confidence if confidence is None else checked_level(confidence))

    derive = derived

    def derived_in_groups(self, text: str, confidence: float | None = None) -> list[Derived]:
        """Return a quantity derived from the parameters, one for each group where it has parameters of the groups.

        Args:
            text: as for `derived`, in the parameters of the equation: "half_life = ln(2)/k".
            confidence: level of the intervals; that of the fit if None.
        """
        return derived_in_groups(self, text, self.confidence if confidence is None else checked_level(confidence))

    def bootstrap(
        self,
        samples: int = 1000,
        kind: str = "cases",
        *,
        seed: int = 0,
        confidence: float | None = None,
        executor: ExecutorLike = None,
    ) -> Bootstrap:
        """Refit resampled data, for errors that rest on fewer assumptions than the covariance.

        Args:
            samples: the number of refits.
            kind: "cases" resamples rows; "residuals" adds resampled residuals to the curve, for few or designed rows.
            seed: seed of the resampling.
            confidence: level of the intervals; that of the fit if None.
            executor: where refits to large data run, as for `fit`.

        Raises:
            SettingError: for parameters that the data do not determine, or settings that make no sense.
        """
        level = self.confidence if confidence is None else checked_level(confidence)
        return bootstrap(self, samples, kind, seed, level, executor)

    def table(self) -> polars.DataFrame:
        """Return the rows of the fit: columns, fitted, residual, standardised residual and leverage."""
        return table_of(self)

    def residual_tests(self) -> ResidualTests:
        """Return tests of the residuals: runs, normality, outliers and leverage."""
        return residual_tests(self)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the parameters with their errors as rows of text, the headings first."""
        return table(self)

    def summary(self) -> list[tuple[str, str]]:
        """Return the quality of the fit, as labels and texts."""
        return summary(self)

    @property
    def measurement_deviation(self) -> float:
        """The standard deviation of a measurement of weight 1; of a robust loss, that of most rows."""
        return float(np.sqrt(self.uncertainty.measurement_variance))

    @property
    def scaled_residuals(self) -> np.ndarray:
        """The residuals over the standard deviation of a measurement, ignoring leverage, shape (rows,)."""
        return standardised(self, np.zeros(len(self.measured)))

    @property
    def standardised_residuals(self) -> np.ndarray:
        """The residuals over their standard deviations, shape (rows,); NaN where the fit follows a row exactly."""
        return standardised(self)

    @property
    def deviations(self) -> np.ndarray | None:
        """The standard deviation of each measurement, shape (rows,), from σ, weights or a likelihood; else None.

        Deviations that are known only relative to each other are as they were passed, unless the residuals say that
        they are wrong by more than a factor of five: then they are scaled to the residuals.
        """
        return deviations(self)

    @property
    def group_labels(self) -> tuple[str, ...]:
        """The groups of a fit by groups, in order; none otherwise."""
        return () if self.model.grouping is None else self.model.grouping.labels

    @property
    def group_rows(self) -> np.ndarray:
        """The number of each row's group, shape (rows,); 0 without groups."""
        if self.model.grouping is None:
            return np.zeros(len(self.measured), dtype=int)
        return np.argmax([self.data[name] for name in self.model.grouping.indicators], axis=0)

    def columns_along(
        self, column: str, count: int = 400, *, points: Any = None, group: str | None = None
    ) -> dict[str, Any]:
        """Return columns at which the model is drawn as a curve over a column, the others at their medians.

        Args:
            column: the column along the axis; it goes a little beyond the data.
            count: the number of points.
            points: values of the column in place of evenly spaced ones.
            group: the group whose curve it is; the first if None.
        """
        return columns_along(self, column, count, points, group)

    def parameter_table(self) -> polars.DataFrame:
        """Return a row for each parameter: its group, if it has one, value, standard error, interval, unit and role."""
        return parameter_table(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the fit as plain data, for JSON."""
        fields = {
            "read_as": self.read_as,
            **self._common_fields(),
            "profile": {name: list(ends) for name, ends in self.profiled.items()},
            "covariance": self.covariance.tolist(),
            "correlation": {
                name: dict(zip(self.free, map(float, row), strict=True))
                for name, row in zip(self.free, self.correlation, strict=True)
            },
            "outcome": self.trace.outcome.identifier,
            "outcome_sentence": self.trace.ending,
            "steps": self.trace.last_step,
            "method": self.trace.plan["method"],
        }
        return plain(fields)

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={parameter.value:.6g}" for name, parameter in self.parameters.items())
        return f"<Fit {values}>"
