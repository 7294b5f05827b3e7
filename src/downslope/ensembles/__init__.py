"""Many descents at once: sweeps of rates, comparisons of methods, many starts, the search for the lowest minimum."""

from downslope.ensembles._basins import Basin
from downslope.ensembles._compare import Entry, Race, compare
from downslope.ensembles._lanes import count
from downslope.ensembles._multistart import Multistart, multistart
from downslope.ensembles._search import Search, search
from downslope.ensembles._space import RowLayout, Space, even
from downslope.ensembles._sweep import Sweep, crew_of, sweep

__all__ = [
    "Basin",
    "Entry",
    "Multistart",
    "Race",
    "RowLayout",
    "Search",
    "Space",
    "Sweep",
    "compare",
    "count",
    "crew_of",
    "even",
    "multistart",
    "search",
    "sweep",
]
