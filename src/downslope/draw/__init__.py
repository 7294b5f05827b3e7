"""Pictures of traces, fits and ensembles: Matplotlib functions that take and return axes."""

from downslope.draw._activations import activations
from downslope.draw._animate import animate
from downslope.draw._basins import basins
from downslope.draw._curve import curve
from downslope.draw._fit import fit
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

__all__ = [
    "activations",
    "animate",
    "animate_race",
    "basins",
    "curve",
    "fit",
    "landscape",
    "layers",
    "learning_rate",
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
