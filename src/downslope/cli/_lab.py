"""`downslope lab`: a local page to see, drag and understand a descent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import downslope as ds

Port = Annotated[
    int | None,
    typer.Option("--port", metavar="N", min=1, max=65535, help="Where it listens; 8765, or the next that is free."),
]
Host = Annotated[
    str, typer.Option("--host", metavar="NAME", help="Whom it listens to; beyond this machine a token is asked for.")
]
Runs = Annotated[
    Path, typer.Option("--runs", metavar="DIR", help="Where saved runs are looked for, and three folders deep within.")
]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")]


def lab(port: Port = None, host: Host = "127.0.0.1", browser: Browser = True, runs: Runs = Path()) -> None:
    """Open a local page to see, drag and understand a descent."""
    ds.lab.serve(host=host, port=port, open_browser=browser, runs=runs)
