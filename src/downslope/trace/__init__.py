"""The waist: what every step left behind, how it ended, and how it is kept on disk."""

from downslope.trace._columns import median_over_looks
from downslope.trace._journal import Journal
from downslope.trace._store import export, load, save
from downslope.trace._trace import Outcome, Spectrum, Trace, as_trace, with_few_directions

__all__ = [
    "Journal",
    "Outcome",
    "Spectrum",
    "Trace",
    "as_trace",
    "export",
    "load",
    "median_over_looks",
    "save",
    "with_few_directions",
]
