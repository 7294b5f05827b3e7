"""The command line: `downslope derive | slope | descend | diagnose | draw`."""

from downslope.cli._main import main

__all__ = ["main"]
