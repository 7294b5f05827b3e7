"""The gallery: each picture of `downslope.draw`, drawn by the code that stands beneath it when the site is built."""

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

# The value of each is what is saved: axes, or a GIF that was written.
PICTURES = {
    "curve": """\
parabola = ds.objective("f(x) = x² - 4x + 5")
steps = ds.descend(parabola, {"x": -1}, learning_rate=0.2, steps=8)
ds.draw.curve(parabola, steps, at={"x": 0})""",
    "landscape": "ds.draw.landscape(valley, trace)",
    "surface": "ds.draw.surface(valley, trace)",
    "animate": 'ds.draw.animate(valley, trace, "animate.gif")',
    "progress": "ds.draw.progress(trace, ds.diagnose(trace))",
    "sweep": "ds.draw.sweep(ds.sweep(narrow, start, steps=200))",
    "race": "ds.draw.race(ds.compare(narrow, start, steps=100))",
    "animate_race": """\
race = ds.compare(narrow, start, ("momentum", "adam"), steps=40)
ds.draw.animate_race(race, "race.gif")""",
    "basins": """\
box = {"x": (-3, 3), "y": (-2, 2)}
ds.draw.basins(ds.multistart("x⁴ - 4x² + x + y²", box))""",
    "fit": """\
equation = "temperature = room + excess e^(-k minutes)"
ds.draw.fit(ds.fit(equation, "coffee.csv"))""",
    "learning_rate": "ds.draw.learning_rate(ds.find_learning_rate(narrow, start))",
    "prescription": """\
plan = ds.plan(narrow, start, learning_rate=0.11, steps=60)
ds.draw.prescription(ds.prescribe(plan, seeds=3))""",
    "training": "ds.draw.training(training.trace, ds.diagnose(training.trace))",
    "layers": "ds.draw.layers(training.trace)",
    "activations": "ds.draw.activations(training.trace)",
    "updates": "ds.draw.updates(training.trace)",
    "sharpness": "ds.draw.sharpness(training.trace)",
    "network": """\
small = ds.train("spirals", hidden=(8, 8), steps=400, progress=False)
ds.draw.network(small.trace)""",
    "slice": """\
ds.draw.slice(training.objective, training.trace, like=training.model)""",
}


class IncompleteGalleryError(Exception):
    """A picture has no example, or an example no picture."""


def check() -> None:
    """Raise unless each picture has an example.

    Raises:
        IncompleteGalleryError: otherwise, with the names.
    """
    faults = {picture.name for picture in ds.draw.PICTURES} ^ PICTURES.keys()
    if faults:
        raise IncompleteGalleryError(
            f"PICTURES in website/gallery.py and draw.PICTURES differ: {', '.join(sorted(faults))}"
        )


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
        parts = [_part(picture, names, folder.name) for picture in PICTURES]
    finally:
        os.chdir(before)
    top = [
        "# Gallery",
        "Every picture of `ds.draw`, drawn when this page was built. Each takes `axes=` to draw on your own figure; "
        "[the reference](reference/draw.md) has all arguments. The examples share:",
        f"```python\n{SETUP}```",
    ]
    return "\n\n".join([*top, *parts]) + "\n"


def _part(picture: str, names: dict[str, Any], folder: str) -> str:
    """Draw one picture, and return its part of the page."""
    import matplotlib.pyplot as plt

    *before, last = ast.parse(PICTURES[picture]).body
    exec(compile(ast.Module(before, []), picture, "exec"), names)  # noqa: S102 - the code above
    assert isinstance(last, ast.Expr)
    drawn = eval(compile(ast.Expression(last.value), picture, "eval"), names)  # noqa: S307 - the code above
    if isinstance(drawn, Path):
        file = drawn.name
    else:
        file = f"{picture}.png"
        axes = drawn[0] if isinstance(drawn, list) else drawn
        axes.figure.savefig(file, dpi=120, bbox_inches="tight")
    plt.close("all")
    sentence = summary(inspect.getdoc(getattr(ds.draw, picture)) or "")
    return (
        f"## {picture}\n\n{sentence}\n\n![ds.draw.{picture}]({folder}/{file}){{ .picture }}\n\n"
        f"```python\n{PICTURES[picture]}\n```\n\n[All arguments][downslope.draw.{picture}]"
    )
