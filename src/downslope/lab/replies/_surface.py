"""The ground in three dimensions, as a picture."""

from __future__ import annotations

import base64
import io
from typing import Any

import downslope as ds
from downslope.draw import _style as style
from downslope.lab.replies._descent import plan_of
from downslope.lab.replies._ground import box_around
from downslope.lab.replies._request import Request, RequestError

_SIZE, _DOTS = (7.0, 5.2), 150
_INK = {"light": "#1d2733", "dark": "#dfe7ee"}


def surface(told: dict[str, Any]) -> dict[str, Any]:
    """Return a picture of the ground from the side, with the way down on it."""
    request = Request(told)
    made = plan_of(request)
    over = request.over(made.objective)
    theme = request.text("theme")
    if len(over) != 2 or theme not in _INK:
        raise RequestError("A surface is over two variables, light or dark.")
    trace = ds.descend(made, progress=False)
    axes: Any = style.new_axes(three_dimensional=True, size=_SIZE)
    ds.draw.surface(made.objective, trace, over=(over[0], over[1]), within=box_around(trace, over), axes=axes)
    azimuth, elevation = request.number_or_none("azimuth"), request.number_or_none("elevation")
    axes.view_init(elev=30.0 if elevation is None else elevation, azim=-60.0 if azimuth is None else azimuth)
    _recolour(axes, _INK[theme])
    file = io.BytesIO()
    axes.figure.savefig(file, format="png", dpi=_DOTS, transparent=True)
    return {"png": base64.b64encode(file.getvalue()).decode("ascii")}


def _recolour(axes: Any, ink: str) -> None:
    """Write in a colour that can be read on the page, and leave the walls away."""
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.0, 0.0, 0.0, 0.0))
        axis.label.set_color(ink)
        axis.line.set_color(ink)
    axes.tick_params(colors=ink)
    axes.set_title("")
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
