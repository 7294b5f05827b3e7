"""Pictures of a trace: Matplotlib functions that take and return axes."""

from downslope.draw._animate import animate
from downslope.draw._curve import curve
from downslope.draw._fit import fit
from downslope.draw._landscape import landscape
from downslope.draw._progress import progress
from downslope.draw._surface import surface

__all__ = ["animate", "curve", "fit", "landscape", "progress", "surface"]
