"""The lab: a local page to see, drag and understand a descent."""

from downslope.lab._widget import LabWidget, show
from downslope.lab.recordings import export
from downslope.lab.server._serve import serve

__all__ = ["LabWidget", "export", "serve", "show"]
