"""The public names of `downslope.draw`: the one list of the files that hold pictures.

Type checkers read it in place of `__init__.py`, which reads it as well. A picture is named in the `__all__` of its
file.
"""

from downslope.draw._activations import *
from downslope.draw._animate import *
from downslope.draw._basins import *
from downslope.draw._curve import *
from downslope.draw._fit import *
from downslope.draw._fit_groups import *
from downslope.draw._fit_profile import *
from downslope.draw._fit_residuals import *
from downslope.draw._grid import Grid as Grid
from downslope.draw._grid import box as box
from downslope.draw._grid import grid as grid
from downslope.draw._landscape import *
from downslope.draw._layers import *
from downslope.draw._learning_rate import *
from downslope.draw._levels import levels as levels
from downslope.draw._network import *
from downslope.draw._prescription import *
from downslope.draw._progress import *
from downslope.draw._race import *
from downslope.draw._sharpness import *
from downslope.draw._slice import *
from downslope.draw._style import Picture as Picture
from downslope.draw._sweep import *
from downslope.draw._training import *

PICTURES: tuple[Picture, ...]
__all__: list[str]
