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
from downslope.networks.data._facts import facts
from downslope.networks.data._samples import SampleName, sample_names
from downslope.networks.data._target import CLASSES, NUMBERS, SUITED_LOSS, TASKS, TWO_CLASSES, Target

__all__ = [
    "CLASSES",
    "NUMBERS",
    "SUITED_LOSS",
    "TASKS",
    "TWO_CLASSES",
    "Encoding",
    "Examples",
    "Missing",
    "RowChoices",
    "SampleName",
    "Target",
    "Task",
    "examples",
    "examples_like",
    "facts",
    "prepare",
    "sample_names",
    "share_of",
    "split_rows",
]
