"""The waist: the record of every step of a descent, its outcome, and how it is saved and loaded."""

from downslope.trace._columns import median_over_looks
from downslope.trace._folders import is_written, writing
from downslope.trace._journal import Journal
from downslope.trace._known_facts import (
    BatchPlan,
    DataFacts,
    LogFacts,
    LossFacts,
    NamedLoss,
    NetworkFacts,
    TraceFacts,
    TracePlan,
    class_labels,
    judged_scores,
    known_keys,
)
from downslope.trace._load import Damaged, Outline, load, outline
from downslope.trace._read_files import read_arrays, read_json
from downslope.trace._store import Attached, export, save, save_attached
from downslope.trace._trace import HasTrace, HasTraces, Outcome, Spectrum, Trace, as_trace
from downslope.trace._trace_from import trace_from

__all__ = [
    "Attached",
    "BatchPlan",
    "Damaged",
    "DataFacts",
    "HasTrace",
    "HasTraces",
    "Journal",
    "LogFacts",
    "LossFacts",
    "NamedLoss",
    "NetworkFacts",
    "Outcome",
    "Outline",
    "Spectrum",
    "Trace",
    "TraceFacts",
    "TracePlan",
    "as_trace",
    "class_labels",
    "export",
    "is_written",
    "judged_scores",
    "known_keys",
    "load",
    "median_over_looks",
    "outline",
    "read_arrays",
    "read_json",
    "save",
    "save_attached",
    "trace_from",
    "writing",
]
