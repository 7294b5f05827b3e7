"""The public names of downslope and the modules that they come from: the one list of them.

Type checkers read it in place of `__init__.py`, which reads it as well, to fetch each name when it is first used. A
star stands for the `__all__` of a file of layers, so that a new layer is named there alone.
"""

from downslope import draw as draw
from downslope import lab as lab
from downslope._choices import Choice as Choice
from downslope._choices import choices as choices
from downslope._engine import clear_caches as clear_caches
from downslope._errors import DataError as DataError
from downslope._errors import DownslopeError as DownslopeError
from downslope._errors import FormulaError as FormulaError
from downslope._errors import MissingExtraError as MissingExtraError
from downslope._errors import ObjectiveError as ObjectiveError
from downslope._errors import PointError as PointError
from downslope._errors import SettingError as SettingError
from downslope._errors import TraceError as TraceError
from downslope._errors import UnitError as UnitError
from downslope.backpropagation import Backpropagation as Backpropagation
from downslope.backpropagation import Edge as Edge
from downslope.backpropagation import Node as Node
from downslope.backpropagation import backprop as backprop
from downslope.descent import Batches as Batches
from downslope.descent import Beginning as Beginning
from downslope.descent import Objective as Objective
from downslope.descent import Plan as Plan
from downslope.descent import Record as Record
from downslope.descent import Slope as Slope
from downslope.descent import descend as descend
from downslope.descent import objective as objective
from downslope.descent import plan as plan
from downslope.descent import slope as slope
from downslope.diagnosis import Diagnosis as Diagnosis
from downslope.diagnosis import Finding as Finding
from downslope.diagnosis import NotRun as NotRun
from downslope.diagnosis import Severity as Severity
from downslope.diagnosis import diagnose as diagnose
from downslope.ensembles import Basin as Basin
from downslope.ensembles import Entry as Entry
from downslope.ensembles import Multistart as Multistart
from downslope.ensembles import Race as Race
from downslope.ensembles import Search as Search
from downslope.ensembles import Space as Space
from downslope.ensembles import Sweep as Sweep
from downslope.ensembles import compare as compare
from downslope.ensembles import multistart as multistart
from downslope.ensembles import search as search
from downslope.ensembles import sweep as sweep
from downslope.fitting import EquationModel as EquationModel
from downslope.fitting import Fit as Fit
from downslope.fitting import FitArguments as FitArguments
from downslope.fitting import FitProblem as FitProblem
from downslope.fitting import Parameter as Parameter
from downslope.fitting import Prediction as Prediction
from downslope.fitting import Uncertainty as Uncertainty
from downslope.fitting import equation as equation
from downslope.fitting import fit as fit
from downslope.formulas import Chain as Chain
from downslope.formulas import CriticalPoint as CriticalPoint
from downslope.formulas import CriticalPoints as CriticalPoints
from downslope.formulas import Derivation as Derivation
from downslope.formulas import Formula as Formula
from downslope.formulas import chain as chain
from downslope.formulas import critical_points as critical_points
from downslope.formulas import derive as derive
from downslope.formulas import formula as formula
from downslope.methods import Method as Method
from downslope.methods import MethodSpec as MethodSpec
from downslope.methods import NoTheory as NoTheory
from downslope.methods import Schedule as Schedule
from downslope.methods import Setting as Setting
from downslope.methods import Theory as Theory
from downslope.methods import method as method
from downslope.methods import method_names as method_names
from downslope.methods import schedule as schedule
from downslope.networks import Encoding as Encoding
from downslope.networks import Examples as Examples
from downslope.networks import ForwardContext as ForwardContext
from downslope.networks import Layer as Layer
from downslope.networks import Network as Network
from downslope.networks import Setup as Setup
from downslope.networks import Training as Training
from downslope.networks import UnitPass as UnitPass
from downslope.networks import activation_names as activation_names
from downslope.networks import examples as examples
from downslope.networks import loss_names as loss_names
from downslope.networks import network as network
from downslope.networks import predict as predict
from downslope.networks import sample_names as sample_names
from downslope.networks import train as train
from downslope.networks import unit_pass as unit_pass
from downslope.networks.layers._convolution import *
from downslope.networks.layers._shaping import *
from downslope.networks.layers._units import *
from downslope.remedies import Effect as Effect
from downslope.remedies import Prescription as Prescription
from downslope.remedies import RateCheck as RateCheck
from downslope.remedies import RateFinding as RateFinding
from downslope.remedies import Remedy as Remedy
from downslope.remedies import Trial as Trial
from downslope.remedies import find_learning_rate as find_learning_rate
from downslope.remedies import prescribe as prescribe
from downslope.reports import Summary as Summary
from downslope.reports import as_command as as_command
from downslope.reports import report as report
from downslope.reports import summary as summary
from downslope.tables import Table as Table
from downslope.tables import read_cells as read_cells
from downslope.tables import read_table as read_table
from downslope.tables import table_suffixes as table_suffixes
from downslope.tables import write_table as write_table
from downslope.trace import Outcome as Outcome
from downslope.trace import Spectrum as Spectrum
from downslope.trace import Trace as Trace
from downslope.trace import export as export
from downslope.trace import load as load
from downslope.trace import save as save

__all__: list[str]
__version__: str
