"""Watching: traces of trainings that other loops run."""

from downslope.watching._choices import WatchChoices
from downslope.watching._rows import WatchedRows
from downslope.watching._seen import SeenRows
from downslope.watching._watch import Follower, Instrument, Watch, begin_watch, watch

__all__ = ["Follower", "Instrument", "SeenRows", "Watch", "WatchChoices", "WatchedRows", "begin_watch", "watch"]
