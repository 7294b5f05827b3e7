"""Recorded pages: a page of the lab with its replies in one file, which needs neither the lab nor the network."""

from downslope.lab.recordings._export import export, exporting

__all__ = ["export", "exporting"]
