"""Pictures of functions, traces, fits and ensembles, in Matplotlib, and the data behind some of them.

A picture takes what its verb takes or returns: a function as a formula's text or an objective, a descent as a trace or
any result that holds one, otherwise the result itself. It draws on `axes` or on a figure of its own. A picture of one
panel returns its `Axes`, a picture of several a list of them, from above; their `figure` can be saved. `animate` and
`animate_race` write a GIF and return its path.

`PICTURES` lists every picture with what it shows. Three functions return data of pictures: `grid` the values of a curve
or a landscape, `levels` its contour levels, `box` the ranges in which a descent is shown.
"""

from __future__ import annotations

import importlib

from downslope._exports import exports
from downslope.draw._style import in_order

_MODULE_OF = exports(__name__, __loader__, __file__)
_exported = {name: getattr(importlib.import_module(home), name) for name, home in _MODULE_OF.items()}
globals().update(_exported)

PICTURES = in_order(_exported.values())
"""Every picture, in the order in which a report shows them: functions, descents, trainings, results."""

__all__ = ["PICTURES", *sorted(_MODULE_OF)]  # pyright: ignore[reportUnsupportedDunderAll]  # type checkers read the stub
