"""The shared interface of fits, of all rows together or by groups: values by name, quality, reports."""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._text import html_pairs, html_table
from downslope.diagnosis import Diagnosis
from downslope.fitting._likelihoods import LIKELIHOODS, deviance, information_factor, log_likelihood
from downslope.fitting._markup import to_html, to_latex, to_markdown, write_report
from downslope.fitting._prediction import Prediction, bands
from downslope.fitting._uncertainty import information_criterion

if TYPE_CHECKING:
    from pathlib import Path

    from downslope._types import Columns
    from downslope.fitting._model import EquationModel
    from downslope.fitting._problem import FitArguments
    from downslope.fitting._uncertainty import Parameter

_ROUNDING = 1e-28  # of the sum of measured squares: a total sum of squares below it is 0


class FittedEquation(ABC):
    """The result of a fit: what a `Fit` and a `GroupedFit` have in common."""

    # Fields or properties of the results themselves.
    model: EquationModel
    arguments: FitArguments
    data: Columns
    parameters: Mapping[str, Parameter]
    findings: Diagnosis
    row_numbers: np.ndarray
    left_out: tuple[int, ...]
    notes: tuple[str, ...]
    confidence: float
    loss: str
    measured: np.ndarray
    predicted: np.ndarray
    degrees_of_freedom: int
    residual_sum_of_squares: float
    residual_standard_deviation: float

    @property
    @abstractmethod
    def has_known_deviations(self) -> bool:
        """Whether the deviations of the measurements are known: `absolute_sigma`, or a likelihood."""

    @property
    @abstractmethod
    def measurement_deviation(self) -> float:
        """The standard deviation of a measurement of weight 1; NaN where the rows do not determine it."""

    @property
    @abstractmethod
    def scaled_residuals(self) -> np.ndarray:
        """The residuals over the standard deviation of a measurement, ignoring leverage, shape (rows,)."""

    @abstractmethod
    def predict(self, data: Any = None, *, band: str = "confidence") -> Prediction:
        """Predict the left side of the equation, with a band."""

    @abstractmethod
    def rows(self) -> list[tuple[str, ...]]:
        """Return the parameters with their errors as rows of text, the headings first."""

    @abstractmethod
    def summary(self) -> list[tuple[str, str]]:
        """Return the quality of the fit, as labels and texts."""

    def __getitem__(self, name: str) -> float:
        """Return the value of a parameter; of a group's as `fit["Vm[treated]"]`."""
        return self.parameters[name].value

    @property
    def read_as(self) -> str:
        """The equation in book notation."""
        return self.model.equation.read_as

    @property
    def values(self) -> dict[str, float]:
        """The value of each parameter, by name."""
        return {name: parameter.value for name, parameter in self.parameters.items()}

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard error of each parameter, by name; by groups, the residual variance is that of all of them."""
        return {name: parameter.standard_error for name, parameter in self.parameters.items()}

    @property
    def residuals(self) -> np.ndarray:
        """Measured minus predicted, shape (rows,)."""
        return self.measured - self.predicted

    @property
    def chi_square(self) -> float:
        """χ², the sum of the squared residuals in units of σ; NaN unless σ is known: `absolute_sigma`, a likelihood."""
        if self.loss in LIKELIHOODS:
            factor = information_factor(self.loss, self.predicted)
            return float(np.sum((self.residuals * self.arguments.weight * factor) ** 2))
        return self.residual_sum_of_squares if self.has_known_deviations else np.nan

    @property
    def deviance(self) -> float:
        """Twice the logarithm of the greatest possible likelihood over that of the fit; NaN for no likelihood."""
        return deviance(self.loss, self.predicted, self.arguments) if self.loss in LIKELIHOODS else np.nan

    @property
    def reduced_chi_square(self) -> float:
        """χ²/ν, about 1 where the model fits; NaN unless σ is known."""
        return self.chi_square / self.degrees_of_freedom if self.degrees_of_freedom > 0 else np.nan

    @property
    def p_value(self) -> float:
        """The probability of a χ² at least as large if the model and σ are right; NaN unless σ is known."""
        if not self.has_known_deviations or self.degrees_of_freedom <= 0:
            return np.nan
        from scipy.special import chdtrc

        return float(chdtrc(self.degrees_of_freedom, self.chi_square))

    @functools.cached_property
    def r_squared(self) -> float:
        """1 − residual / total sum of squares, both weighted and about the mean of all rows; NaN if the latter is 0.

        For a likelihood and for orthogonal distances, which have no such share, it is NaN too.
        """
        if self.loss in LIKELIHOODS or self.arguments.deviations:
            return np.nan
        weight = self.arguments.weight**2
        with np.errstate(invalid="ignore"):
            centre = np.sum(weight * self.measured) / np.sum(weight)
            total = float(np.sum(weight * (self.measured - centre) ** 2))
        nothing = _ROUNDING * float(np.sum(weight * self.measured**2))
        return 1 - self.residual_sum_of_squares / total if total > nothing else np.nan

    @property
    def aic(self) -> float:
        """Akaike's information criterion n·ln(RSS/n) + 2p: of two fits to the same rows, the lower is preferred.

        RSS + 2p where the deviations of the measurements are known, 2p − 2 ln L of a likelihood; NaN for a robust loss.
        """
        return self._criterion(2.0)

    @property
    def bic(self) -> float:
        """Schwarz's (Bayesian) criterion n·ln(RSS/n) + p·ln n, with the same exceptions."""
        return self._criterion(float(np.log(len(self.measured))))

    def _criterion(self, price: float) -> float:
        rows = len(self.measured)
        cost = price * (rows - self.degrees_of_freedom)
        if self.loss in LIKELIHOODS:
            return cost - 2 * log_likelihood(self.loss, self.predicted, self.arguments)
        if self.loss != "linear":
            return np.nan
        return information_criterion(self.residual_sum_of_squares, rows, cost, absolute=self.has_known_deviations)

    @property
    def along(self) -> str | None:
        """The only column of the model's right side, along which a picture shows it; None where there are several."""
        columns = self.model.right_columns
        return columns[0] if len(columns) == 1 else None

    def bands(self, columns: Mapping[str, Any]) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Return the bands at these columns, the widest first: a label, the low ends and the high ends.

        Args:
            columns: as `columns_along` gives them. A band whose ends are not finite is left out.
        """
        return bands(self, columns)

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        return to_markdown(self)

    def to_latex(self) -> str:
        """Return the report as LaTeX: the equation, and a table of parameters in the style of booktabs."""
        return to_latex(self)

    def to_html(self) -> str:
        """Return the report as a page of HTML."""
        return to_html(self)

    def report(self, file: str | os.PathLike[str]) -> Path:
        """Write the report into a file: .md, .tex, .html or .txt.

        Raises:
            SettingError: for a name that ends in something else.
            DataError: for a file that cannot be written.
        """
        return write_report(self, file)

    def _common_fields(self) -> dict[str, Any]:
        """Return the fields that both results have in JSON."""
        return {
            "parameters": {name: parameter.as_dict() for name, parameter in self.parameters.items()},
            "rows": len(self.measured),
            "left_out": list(self.left_out),
            "degrees_of_freedom": self.degrees_of_freedom,
            "residual_sum_of_squares": self.residual_sum_of_squares,
            "residual_standard_deviation": self.residual_standard_deviation,
            "chi_square": self.chi_square,
            "reduced_chi_square": self.reduced_chi_square,
            "p_value": self.p_value,
            "r_squared": self.r_squared,
            "deviance": self.deviance,
            "aic": self.aic,
            "bic": self.bic,
            "errors_in": list(self.arguments.deviations or ()),
            "loss": self.loss,
            "confidence": self.confidence,
            "notes": list(self.notes),
            "read": dict(self.model.read),
            "findings": self.findings.as_list(),
        }

    def _repr_html_(self) -> str:
        return html_table(self.rows(), self.read_as) + html_pairs(self.summary()) + self.findings._repr_html_()
