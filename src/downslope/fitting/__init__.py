"""Fit an equation to a table: parameters, their uncertainty, and the descent to them."""

from downslope.fitting._fit import equation, fit
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._result import Fit, Prediction
from downslope.fitting._uncertainty import Parameter, Uncertainty

__all__ = [
    "EquationModel",
    "Fit",
    "FitArguments",
    "FitProblem",
    "Parameter",
    "Prediction",
    "Uncertainty",
    "equation",
    "fit",
]
