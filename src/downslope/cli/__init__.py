"""The command line `downslope`; it uses what `import downslope` gives and nothing else."""

from downslope.cli._main import main

__all__ = ["main"]
