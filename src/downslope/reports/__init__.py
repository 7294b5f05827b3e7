"""Reports: a run in words and tables, as one HTML file, and as the command to type."""

from downslope.reports._commands import as_command
from downslope.reports._page import report
from downslope.reports._summary import Summary, summary

__all__ = ["Summary", "as_command", "report", "summary"]
