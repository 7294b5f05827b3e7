"""Sinks: a trace sent to a tracker of experiments, whole or as it grows."""

from downslope.watching.sinks._follow import following
from downslope.watching.sinks._send import send

__all__ = ["following", "send"]
