"""Fit: an equation over a table to parameters, how sure they are, and how they were found. Made of descents."""

from downslope.fitting._fit import fit
from downslope.fitting._result import Fit, Prediction
from downslope.fitting._uncertainty import Parameter

__all__ = ["Fit", "Parameter", "Prediction", "fit"]
