"""The waist: the record of every step of a descent, its outcome, and how it is saved and loaded."""

from downslope.trace._columns import median_over_looks
from downslope.trace._folders import is_written, writing
from downslope.trace._journal import Journal
from downslope.trace._load import Damaged, Outline, load, outline
from downslope.trace._store import export, save, save_files
from downslope.trace._trace import HasTrace, Outcome, Spectrum, Trace, as_trace

__all__ = [
    "Damaged",
    "HasTrace",
    "Journal",
    "Outcome",
    "Outline",
    "Spectrum",
    "Trace",
    "as_trace",
    "export",
    "is_written",
    "load",
    "median_over_looks",
    "outline",
    "save",
    "save_files",
    "writing",
]
