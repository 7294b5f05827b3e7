"""Pages in files of their own: a page of the lab with recorded replies, which needs neither the lab nor the network."""

from downslope.lab.recordings._export import export, exporting

__all__ = ["export", "exporting"]
