"""The waist: what every step left behind, and how it ended."""

from downslope.trace._outcome import Outcome
from downslope.trace._trace import Spectrum, Trace

__all__ = ["Outcome", "Spectrum", "Trace"]
