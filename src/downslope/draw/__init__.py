"""Pictures of functions, traces, fits and ensembles, in Matplotlib, and the data behind some of them.

A picture takes what its verb takes or returns: a function as a formula's text or an objective, a descent as a trace or
any result that holds one, otherwise the result itself. It draws on `axes` or on a figure of its own. A picture of one
panel returns its `Axes`, a picture of several a list of them, from above; their `figure` can be saved. `animate` and
`animate_race` write a GIF and return its path.

`PICTURES` lists every picture with what it shows. Three functions return data of pictures: `grid` the values of a curve
or a landscape, `levels` its contour levels, `box` the ranges in which a descent is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from downslope.draw._activations import activations
from downslope.draw._animate import animate
from downslope.draw._basins import basins
from downslope.draw._curve import curve
from downslope.draw._fit import fit
from downslope.draw._grid import Grid, box, grid, levels
from downslope.draw._landscape import landscape
from downslope.draw._layers import layers
from downslope.draw._learning_rate import learning_rate
from downslope.draw._network import network
from downslope.draw._prescription import prescription
from downslope.draw._progress import progress
from downslope.draw._race import animate_race, race
from downslope.draw._sharpness import sharpness
from downslope.draw._slice import slice
from downslope.draw._surface import surface
from downslope.draw._sweep import sweep
from downslope.draw._training import training
from downslope.draw._updates import updates


@dataclass(frozen=True)
class Picture:
    """One picture, for lists of them: a report, a command, a gallery.

    Args:
        draw: the function, whose first argument is what it shows.
        shows: "function", "descent" (a trace), "training" (the trace of a network), or the result's name.
        caption: what the picture shows, in a sentence; "" for pictures that explain themselves.
        marks_findings: whether the second argument are findings.
    """

    draw: Callable[..., Any]
    shows: str
    caption: str = ""
    marks_findings: bool = False

    @property
    def name(self) -> str:
        """Its name in `downslope.draw`."""
        return self.draw.__name__

    def of(self, shown: Any, findings: Iterable[Any] = ()) -> Any:
        """Return the axes of the picture; findings are marked where it marks any.

        Raises:
            SettingError: where there is nothing of the kind to show.
        """
        return self.draw(shown, tuple(findings)) if self.marks_findings else self.draw(shown)


# In the order in which a report shows them.
PICTURES: tuple[Picture, ...] = (
    Picture(curve, "function"),
    Picture(landscape, "function"),
    Picture(surface, "function"),
    Picture(animate, "function"),
    Picture(slice, "function"),
    Picture(
        progress,
        "descent",
        "Value, norm of the gradient and learning rate by step; what was found is marked where it shows.",
        marks_findings=True,
    ),
    Picture(
        training,
        "training",
        "Loss and score by step, on the rows trained on and on those held back; below, what was found, over the steps "
        "at which it shows.",
        marks_findings=True,
    ),
    Picture(layers, "training", "The norm of the gradient in each layer by step, the first layer lowest."),
    Picture(activations, "training", "The activations of each layer by step."),
    Picture(updates, "training", "The length of each step over the norm of the weights it changes."),
    Picture(sharpness, "training", "The ends of the Hessian's spectrum by step."),
    Picture(network, "training", "The network at the end: weights as lines, biases as circles."),
    Picture(fit, "fit"),
    Picture(sweep, "sweep"),
    Picture(race, "race"),
    Picture(animate_race, "race"),
    Picture(basins, "multistart"),
    Picture(learning_rate, "rate finding"),
    Picture(prescription, "prescription"),
)

__all__ = [
    "PICTURES",
    "Grid",
    "Picture",
    "activations",
    "animate",
    "animate_race",
    "basins",
    "box",
    "curve",
    "fit",
    "grid",
    "landscape",
    "layers",
    "learning_rate",
    "levels",
    "network",
    "prescription",
    "progress",
    "race",
    "sharpness",
    "slice",
    "surface",
    "sweep",
    "training",
    "updates",
]
