"""Many descents at once: sweeps of rates, races of methods, crowds of starts, the search for the lowest valley."""

from downslope.ensembles._basins import Basin
from downslope.ensembles._compare import Entry, Race, compare
from downslope.ensembles._lanes import count
from downslope.ensembles._multistart import Multistart, multistart
from downslope.ensembles._search import Search, search
from downslope.ensembles._space import even
from downslope.ensembles._sweep import Sweep, sweep

__all__ = [
    "Basin",
    "Entry",
    "Multistart",
    "Race",
    "Search",
    "Sweep",
    "compare",
    "count",
    "even",
    "multistart",
    "search",
    "sweep",
]
