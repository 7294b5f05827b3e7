"""Fit an equation to a table: parameters, their uncertainty, and the descent to them."""

from downslope.fitting._bootstrap import Bootstrap
from downslope.fitting._comparison import FitComparison, compare_fits
from downslope.fitting._derived import Derived
from downslope.fitting._fit import equation, fit
from downslope.fitting._grouped_fit import GroupedFit
from downslope.fitting._model import EquationModel
from downslope.fitting._named_models import NamedModel, models
from downslope.fitting._prediction import Prediction
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._profile import Interval, Profile
from downslope.fitting._region import ConfidenceRegion
from downslope.fitting._residuals import ResidualTests
from downslope.fitting._result import Fit
from downslope.fitting._saved import load, load_trace, save
from downslope.fitting._uncertainty import Parameter, Uncertainty

__all__ = [
    "Bootstrap",
    "ConfidenceRegion",
    "Derived",
    "EquationModel",
    "Fit",
    "FitArguments",
    "FitComparison",
    "FitProblem",
    "GroupedFit",
    "Interval",
    "NamedModel",
    "Parameter",
    "Prediction",
    "Profile",
    "ResidualTests",
    "Uncertainty",
    "compare_fits",
    "equation",
    "fit",
    "load",
    "load_trace",
    "models",
    "save",
]
