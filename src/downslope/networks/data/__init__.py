"""Data: tables, arrays and samples read, encoded as examples, and measured by simple learners."""

from downslope.networks.data._encoding import Encoding
from downslope.networks.data._examples import (
    Examples,
    Missing,
    RowChoices,
    Task,
    examples,
    examples_like,
    prepare,
    share_of,
    split_rows,
)
from downslope.networks.data._facts import facts, facts_of_arrays, suited_metric
from downslope.networks.data._lanes import FileBatches
from downslope.networks.data._references import area_under_curve, balanced_accuracy
from downslope.networks.data._rows import order_of
from downslope.networks.data._samples import SampleName, sample_names
from downslope.networks.data._survey import StreamedRows, survey
from downslope.networks.data._target import (
    CLASSES,
    NUMBERS,
    SUITED_LOSS,
    TASKS,
    TWO_CLASSES,
    Target,
    class_weights,
)

__all__ = [
    "CLASSES",
    "NUMBERS",
    "SUITED_LOSS",
    "TASKS",
    "TWO_CLASSES",
    "Encoding",
    "Examples",
    "FileBatches",
    "Missing",
    "RowChoices",
    "SampleName",
    "StreamedRows",
    "Target",
    "Task",
    "area_under_curve",
    "balanced_accuracy",
    "class_weights",
    "examples",
    "examples_like",
    "facts",
    "facts_of_arrays",
    "order_of",
    "prepare",
    "sample_names",
    "share_of",
    "split_rows",
    "suited_metric",
    "survey",
]
