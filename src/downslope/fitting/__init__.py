"""Fit: an equation over a table to parameters, how sure they are, and how they were found. Made of descents."""

from downslope.fitting._fit import equation, fit
from downslope.fitting._model import EquationModel
from downslope.fitting._result import Fit, Prediction
from downslope.fitting._uncertainty import Parameter

__all__ = ["EquationModel", "Fit", "Parameter", "Prediction", "equation", "fit"]
