"""The lab: a local page to see, drag and understand a descent."""

from downslope.lab.recordings import export
from downslope.lab.server._serve import serve

__all__ = ["export", "serve"]
