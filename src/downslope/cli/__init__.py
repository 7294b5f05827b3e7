"""The command line `downslope`; it uses only what `import downslope` exports."""

from downslope.cli._main import main

__all__ = ["main"]
