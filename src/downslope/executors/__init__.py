"""Independent work on any executor: units sent to processes and machines, and the crew that runs them."""

from downslope.executors._choices import ExecutorChoices, ExecutorLike, Submits
from downslope.executors._crew import Crew
from downslope.executors._kinds import check_executor
from downslope.executors._units import Unit, shared

__all__ = ["Crew", "ExecutorChoices", "ExecutorLike", "Submits", "Unit", "check_executor", "shared"]
