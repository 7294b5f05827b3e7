"""The gallery: each picture of `downslope.draw`, drawn when the site is built by the example beside its function."""

from __future__ import annotations

import ast
import inspect
import os
from pathlib import Path
from typing import Any

from tables import summary

import downslope as ds

# What several pictures share; the page shows it once.
SETUP = """\
import downslope as ds

valley = ds.objective("f(x, y) = x² + 2y²")
trace = ds.descend(valley, {"x": 4, "y": 3}, learning_rate=0.1, steps=20)
narrow, start = "f(x, y) = x² + 10y²", {"x": 4, "y": 1}
training = ds.train(
    "digits", hidden=(32, 32), steps=400, probe_every=20, progress=False
)
"""


class IncompleteGalleryError(Exception):
    """A picture has no example that draws it."""


def check() -> None:
    """Raise unless the example of each picture ends in its call.

    Raises:
        IncompleteGalleryError: otherwise, with the names.
    """
    faults = [picture.name for picture in ds.draw.PICTURES if f"ds.draw.{picture.name}(" not in picture.example]
    if faults:
        raise IncompleteGalleryError(f"the examples of these pictures do not draw them: {', '.join(faults)}")


def page(folder: Path) -> str:
    """Draw every picture into a folder, and return the gallery's Markdown.

    Args:
        folder: where to write the pictures to; the page lies beside it.

    Raises:
        IncompleteGalleryError: if a picture has no example.
    """
    check()
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(compile(SETUP, "setup", "exec"), names)  # noqa: S102 - the code above
        parts = [_part(picture, names, folder.name) for picture in ds.draw.PICTURES]
    finally:
        os.chdir(before)
    top = [
        "# Gallery",
        "Every picture of `ds.draw`, drawn when this page was built. Each takes `axes=` to draw on your own figure; "
        "[the reference](reference/draw.md) has all arguments. The examples share:",
        f"```python\n{SETUP}```",
    ]
    return "\n\n".join([*top, *parts]) + "\n"


def _part(picture: ds.draw.Picture, names: dict[str, Any], folder: str) -> str:
    """Draw one picture, and return its part of the page."""
    import matplotlib.pyplot as plt

    *before, last = ast.parse(picture.example).body
    exec(compile(ast.Module(before, []), picture.name, "exec"), names)  # noqa: S102 - our own code
    assert isinstance(last, ast.Expr)
    drawn = eval(compile(ast.Expression(last.value), picture.name, "eval"), names)  # noqa: S307 - our own code
    if isinstance(drawn, Path):
        file = drawn.name
    else:
        file = f"{picture.name}.png"
        axes = drawn[0] if isinstance(drawn, list) else drawn
        axes.figure.savefig(file, dpi=120, bbox_inches="tight")
    plt.close("all")
    sentence = summary(inspect.getdoc(picture.draw) or "")
    return (
        f"## {picture.name}\n\n{sentence}\n\n![ds.draw.{picture.name}]({folder}/{file}){{ .picture }}\n\n"
        f"```python\n{picture.example}\n```\n\n[All arguments][downslope.draw.{picture.name}]"
    )
