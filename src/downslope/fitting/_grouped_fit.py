"""The result of a fit of many groups that share no parameter: parameters with errors by group, and a table of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._copies import fields_alone
from downslope._errors import DataError, SettingError, described
from downslope._numbers import reals
from downslope._text import aligned, listed, number, rounded
from downslope._types import Columns, plain
from downslope.diagnosis import Diagnosis
from downslope.fitting._findings import findings_of_groups
from downslope.fitting._fitted_equation import FittedEquation
from downslope.fitting._group_errors import GroupErrors, weighted_rows
from downslope.fitting._groups import Groups, checked_by, groups_of, member, numbers_of
from downslope.fitting._likelihoods import LIKELIHOODS, residual_weights
from downslope.fitting._model import EquationModel
from downslope.fitting._prediction import Prediction, columns_along
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._quantiles import t_quantile
from downslope.fitting._report import share_line, spread_line
from downslope.fitting._uncertainty import Parameter
from downslope.formulas import ARRAYS, Formula, NumericFormula, with_trees
from downslope.tables import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path

    import polars

_SHOWN = 12  # groups that the report lists


@dataclass(frozen=True, eq=False)
class GroupedFit(FittedEquation):
    """The result of a fit of many groups, each with parameters of its own.

    It has the interface of a `Fit`, with parameters `Vm[treated]`, `Vm[untreated]`, …. `parameter_table` has a row for
    each group.

    Args:
        model: the equation.
        groups: the groups of the rows.
        problem: the structure of the fit of one group.
        arguments: the data of all groups.
        data: the columns of the equation, without rows with missing cells.
        row_numbers: the numbers of these rows in the table, counted from 1.
        left_out: numbers of the omitted rows, counted from 1.
        notes: how the equation was interpreted, as sentences.
        confidence: level of the intervals, from 0 to 1.
        loss: name of the loss.
        loss_scale: the residual from which on a robust loss grows more slowly than the square.
        free_values: the free parameters, shape (free, groups).
        converged: which groups' fits converged, shape (groups,).
        errors: the uncertainty of the free parameters.
        aside: the columns of rows that are not used, for pictures; NaN for a missing cell.
        aside_groups: the number of the group of each of these rows, −1 for none.
    """

    model: EquationModel = field(repr=False)
    groups: Groups = field(repr=False)
    problem: FitProblem = field(repr=False)
    arguments: FitArguments = field(repr=False)
    data: Columns = field(repr=False)
    row_numbers: np.ndarray = field(repr=False)
    left_out: tuple[int, ...]
    notes: tuple[str, ...]
    confidence: float
    loss: str
    loss_scale: float
    free_values: np.ndarray = field(repr=False)
    converged: np.ndarray = field(repr=False)
    errors: GroupErrors = field(repr=False)
    aside: Columns = field(default_factory=dict, repr=False)
    aside_groups: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int), repr=False)

    __getstate__ = fields_alone

    @property
    def free(self) -> tuple[str, ...]:
        """The free parameters of all groups."""
        return tuple(member(name, label) for name in self.problem.free for label in self.groups.labels)

    @functools.cached_property
    def _everything(self) -> dict[str, tuple[np.ndarray, np.ndarray, str]]:
        """Values, standard errors and role of each parameter of the equation, in its order, by group."""
        values = self.problem.everything(self.free_values, self.arguments)
        errors = dict(zip(self.problem.free, self.errors.standard_errors(), strict=True))
        shape = len(self.groups.labels)
        known = {}
        for name in self.model.parameters:
            role = "fixed" if name in self.arguments.fixed else "free" if name in errors else "tied"
            error = self._tied_error(name) if role == "tied" else errors.get(name, np.zeros(shape))
            known[name] = (np.broadcast_to(np.asarray(values[name], float), (shape,)), error, role)
        return known

    def _tied_error(self, name: str) -> np.ndarray:
        """Return the standard error of a tied parameter in each group."""
        trees: dict[str, Any] = {}
        for other, tie in self.problem.ties:
            trees[other] = with_trees(tie, trees)
        _, slopes = self._evaluated(trees[name], {}, self.free_values)
        return np.sqrt(np.einsum("pg,pqg,qg->g", slopes, self.errors.covariances(), slopes))

    def _evaluated(self, tree: Any, columns: Mapping[str, Any], free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a formula and its slopes, shapes (…,) and (free, …)."""
        known = {**columns, **{name: np.float64(value) for name, value in self.arguments.fixed.items()}}
        numeric = NumericFormula(Formula(None, self.problem.free, tree, tuple(known)), ARRAYS, known)
        with np.errstate(all="ignore"):
            value, slopes = numeric.value_and_slopes(list(free))
        shape = free.shape[1:]
        return np.broadcast_to(value, shape), np.array([np.broadcast_to(slope, shape) for slope in slopes])

    @functools.cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Every parameter of every group by name: `Vm[treated]`."""
        width = self._half_width(self.confidence)
        parameters = {}
        for name, (values, errors, role) in self._everything.items():
            unit = self.model.unit(name)
            held = self.errors.held[self.problem.free.index(name)] if role == "free" else np.zeros(len(values), bool)
            for index, label in enumerate(self.groups.labels):
                value, error = float(values[index]), float(errors[index])
                half = error * width if error else 0.0
                each = member(name, label)
                own = "at bound" if held[index] else role
                parameters[each] = Parameter(each, value, error, value - half, value + half, unit, own)
        return parameters

    def _half_width(self, confidence: float) -> float:
        return t_quantile(confidence, np.inf if self.errors.absolute else self.degrees_of_freedom)

    @property
    def covariances(self) -> np.ndarray:
        """The covariance of the free parameters of each group, shape (free, free, groups)."""
        return self.errors.covariances()

    @property
    def measured(self) -> np.ndarray:
        """The left side of the equation at each row, shape (rows,)."""
        return self.arguments.measured

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """The right side of the equation at each row, shape (rows,)."""
        right = self._right
        return self._evaluated(right, self.arguments.columns, self.free_values[:, self.groups.index])[0]

    @property
    def _right(self) -> Any:
        right = self.problem.right
        for name, tie in reversed(self.problem.ties):
            right = with_trees(right, {name: tie})
        return right

    @property
    def degrees_of_freedom(self) -> int:
        """The number of rows minus the number of determined parameters, over all groups."""
        return int(np.sum(np.maximum(self.errors.degrees_of_freedom, 0)))

    @property
    def residual_sum_of_squares(self) -> float:
        """The weighted sum of the squared residuals of all groups."""
        return float(np.sum(self.errors.squares))

    @property
    def residual_standard_deviation(self) -> float:
        """√(sum of squares / degrees of freedom) over all groups."""
        return float(np.sqrt(self.errors.pooled_variance))

    @functools.cached_property
    def findings(self) -> Diagnosis:
        """The problems and their groups; otherwise the finding that all groups converged."""
        return findings_of_groups(self)

    def table(self) -> polars.DataFrame:
        """Return the rows of the fit: group, columns, fitted value and residual."""
        import polars

        labels = np.array(self.groups.labels, dtype=object)[self.groups.index]
        names = ",".join(self.groups.by)
        columns = {names: labels.tolist(), **self.data, "fitted": self.predicted, "residual": self.residuals}
        return polars.DataFrame({name: polars.Series(name, cells) for name, cells in columns.items()})

    def parameter_table(self, *, pooled: bool = True) -> polars.DataFrame:
        """Return a row for each group: its cells of `by`, rows, parameters, their errors, and how good the fit is.

        Args:
            pooled: whether the errors take the variance of the residuals from all groups together; else each group's
                own, as separate fits have it.
        """
        import polars

        own = dict(zip(self.problem.free, self.errors.standard_errors(pooled), strict=True))
        columns: dict[str, Any] = {name: list(cells) for name, cells in self.groups.cells.items()}
        columns["rows"] = self.groups.counts
        for name, (values, errors, role) in self._everything.items():
            columns[name] = values
            if role != "fixed":
                columns[f"{name}_error"] = own.get(name, errors)
        columns["residual_sum_of_squares"] = self.errors.squares
        columns["residual_standard_deviation"] = np.sqrt(self.errors.variances)
        columns["converged"] = self.converged
        return polars.DataFrame({name: polars.Series(name, cells) for name, cells in columns.items()})

    def write(self, file: str | Path, *, pooled: bool = True) -> Path:
        """Write `parameter_table` into a file, in the format that its name ends in: .parquet, .csv, ….

        Raises:
            SettingError: for an unknown suffix.
            DataError: for a file that cannot be written.
        """
        return write_table(self.parameter_table(pooled=pooled), file)

    def predict(self, data: Any = None, *, band: str = "confidence", confidence: float | None = None) -> Prediction:
        """Predict the left side of the equation in groups of the fit, with a band.

        Args:
            data: a table with the columns of the right side and those that tell groups apart; the rows of the fit if
                None.
            band: "confidence" for where the curve lies, "prediction" for where the next measurement lies.
            confidence: level of the band, from 0 to 1; that of the fit if None.

        Raises:
            DataError: if a column is missing or not numeric, or for a group that the fit does not have.
            SettingError: for an unknown band.
        """
        if band not in ("confidence", "prediction"):
            raise SettingError(f"a band is confidence or prediction, not {described(band)}")
        index, columns = self.groups.index, dict(self.arguments.columns)
        if data is not None:
            index, columns = self._at(read_table(data))
        value, slopes = self._evaluated(self._right, columns, self.free_values[:, index])
        slopes = np.where(self.errors.held[:, index], 0.0, slopes)
        variance = np.einsum("pr,pqr,qr->r", slopes, self.errors.covariances()[:, :, index], slopes)
        variance = np.where(np.any(self.errors.unknown[:, index] & (slopes != 0), axis=0), np.inf, variance)
        if band == "prediction":
            weight = self.arguments.weight if data is None else self.arguments.weight[0]
            if data is not None and np.ptp(self.arguments.weight) > 0:
                raise SettingError("the rows of the fit have different weights: that of a new measurement is unknown")
            of_one = 1.0 if self.has_known_deviations else self.errors.pooled_variance
            if self.loss in LIKELIHOODS:
                of_one = LIKELIHOODS[self.loss].variance(value)
            variance = variance + of_one / weight**2
        half = self._half_width(self.confidence if confidence is None else confidence) * np.sqrt(variance)
        return Prediction(value, value - half, value + half)

    def _at(self, table: Columns) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the group of each new row, and the columns there."""
        missing = [name for name in self.arguments.columns if name not in table]
        if missing:
            raise DataError(f"a prediction needs the column {missing[0]}")
        there = groups_of(table, checked_by(self.groups.by, table))
        index = numbers_of(there, self.groups.by, self.groups.labels)
        return index, {name: reals(name, table[name]) for name in self.arguments.columns}

    @property
    def has_known_deviations(self) -> bool:
        """Whether the deviations of the measurements are known: `absolute_sigma`, or a likelihood."""
        return self.errors.absolute and (self.loss == "linear" or self.loss in LIKELIHOODS)

    @property
    def _weights(self) -> np.ndarray:
        return residual_weights(self.loss, self.predicted, self.arguments)

    @property
    def measurement_deviation(self) -> float:
        """The standard deviation of a measurement of weight 1, over all groups."""
        return self.residual_standard_deviation

    @property
    def standardised_residuals(self) -> np.ndarray:
        """The residuals over the standard deviation of a measurement, shape (rows,); their leverage is not known."""
        return self.scaled_residuals

    @property
    def scaled_residuals(self) -> np.ndarray:
        """The residuals over the standard deviation of a measurement, shape (rows,)."""
        spread = 1.0 if self.has_known_deviations else self.residual_standard_deviation
        with np.errstate(all="ignore"):
            if self.arguments.deviations:
                return -weighted_rows(self.problem, self.arguments, self.groups.rows, self.free_values) / spread
            return self.residuals * self._weights / spread

    @property
    def deviations(self) -> np.ndarray | None:
        """The standard deviation of each measurement, shape (rows,), from σ, weights or a likelihood; else None."""
        weight = self._weights
        return None if np.all(weight == 1) and not self.has_known_deviations else 1 / weight

    @property
    def group_labels(self) -> tuple[str, ...]:
        """The groups, in order."""
        return self.groups.labels

    @property
    def group_rows(self) -> np.ndarray:
        """The number of each row's group, shape (rows,)."""
        return self.groups.index

    def columns_along(
        self, column: str, count: int = 400, *, points: Any = None, group: str | None = None
    ) -> dict[str, Any]:
        """Return columns at which the model of a group is drawn as a curve, as of a `Fit`."""
        columns = columns_along(self, column, count, points, group)
        index = 0 if group is None else self.groups.labels.index(group)
        cells = {name: kinds[index] for name, kinds in self.groups.cells.items()}
        rows = len(columns[column])
        return {name: [cell] * rows if np.ndim(cell) == 0 else cell for name, cell in {**columns, **cells}.items()}

    def rows(self) -> list[tuple[str, ...]]:
        """Return the first groups with their parameters and errors as rows of text, the headings first."""
        heads = [listed(self.groups.by), "rows"]
        for name, (_, _, role) in self._everything.items():
            heads += [name] if role == "fixed" else [name, "±"]
        rows = [(*heads, "residual sd")]
        deviations = np.sqrt(self.errors.variances)
        for index, label in enumerate(self.groups.labels[:_SHOWN]):
            row = [label, str(self.groups.counts[index])]
            for values, errors, role in self._everything.values():
                value, error = float(values[index]), float(errors[index])
                row += [rounded(value, error)] if role == "fixed" else [rounded(value, error), number(error, 2)]
            rows.append((*row, number(float(deviations[index]), 3)))
        return rows

    def summary(self) -> list[tuple[str, str]]:
        """Return the quality of the fit, as labels and texts."""
        rows = len(self.measured)
        count = len(self.groups.labels)
        unlisted = f", of which the first {_SHOWN} are listed" if count > _SHOWN else ""
        label, spread = spread_line(self)
        return [
            ("groups", f"{count}{unlisted}"),
            ("rows", f"{rows}" + (f", {len(self.left_out)} more left out for missing cells" if self.left_out else "")),
            ("degrees of freedom", str(self.degrees_of_freedom)),
            (label, f"{spread}, of all groups together"),
            share_line(self),
            ("AIC, BIC", f"{number(self.aic, 4)}, {number(self.bic, 4)}"),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the fit as plain data, for JSON."""
        fields = {
            "read_as": self.read_as,
            **self._common_fields(),
            "by": list(self.groups.by),
            "groups": list(self.groups.labels),
            "covariances": {
                label: {
                    name: dict(zip(self.problem.free, map(float, row), strict=True))
                    for name, row in zip(self.problem.free, self.covariances[:, :, index], strict=True)
                }
                for index, label in enumerate(self.groups.labels)
            },
            "rows_by_group": dict(zip(self.groups.labels, map(int, self.groups.counts), strict=True)),
            "converged": bool(self.converged.all()),
        }
        return plain(fields)

    def __str__(self) -> str:
        pairs = [f"{label:<28} {text}" for label, text in self.summary()]
        return "\n".join([f"Read as  {self.read_as}", "", *aligned(self.rows(), words={0}), "", *pairs])

    def __repr__(self) -> str:
        return f"<GroupedFit of {len(self.groups.labels)} groups: {', '.join(self.problem.free)}>"
