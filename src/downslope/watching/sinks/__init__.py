"""Sinks: a trace sent to an experiment tracker, whole or as it grows."""

from downslope.watching.sinks._follow import following
from downslope.watching.sinks._send import send

__all__ = ["following", "send"]
