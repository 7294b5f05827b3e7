"""Keras 3: `from downslope.watching.keras import WatchCallback`."""

from downslope.watching.keras._callback import WatchCallback

__all__ = ["WatchCallback"]
