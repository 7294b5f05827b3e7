"""The options that commands share, and how their texts become values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

import downslope as ds

FormulaText = Annotated[
    str, typer.Argument(metavar="FORMULA", help='A formula as written in a book: "f(x) = x² - 4x + 5".')
]
At = Annotated[str | None, typer.Option("--at", metavar="POINT", help="The point to stand at: x=3,y=1.")]
Start = Annotated[str | None, typer.Option("--start", metavar="POINT", help="The point to start from: x=4,y=3.")]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="FILE", help="A CSV or Parquet file whose columns the formula names.")
]
Unit = Annotated[
    list[str] | None, typer.Option("--unit", metavar="NAME=UNIT", help="The unit of a name: t=hour. May be repeated.")
]
Rate = Annotated[
    float | None,
    typer.Option("--learning-rate", "-a", metavar="α", help="The learning rate; the method's own if none is given."),
]
Steps = Annotated[int, typer.Option("--steps", "-n", metavar="N", help="The most steps to take.")]
MethodName = Annotated[
    str, typer.Option("--method", "-m", help="How to step: gradient descent, momentum, adam, newton, bfgs, …")
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=NUMBER", help="A setting of the method or schedule: momentum=0.8. May be repeated."
    ),
]
ScheduleName = Annotated[
    str | None,
    typer.Option("--schedule", help="How the rate changes: constant, step, exponential, cosine, warm-up."),
]
Tolerance = Annotated[float, typer.Option("--tolerance", help="Stop when the norm of the gradient falls to this.")]
ClipNorm = Annotated[float | None, typer.Option("--clip-norm", help="Shorten gradients longer than this.")]
ClipValue = Annotated[float | None, typer.Option("--clip-value", help="Cut the gradient's entries to ± this.")]
Every = Annotated[int, typer.Option("--every", metavar="K", help="Record every K-th step.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of what is random.")]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: .png, .svg, .pdf or .gif.")]
Within = Annotated[str | None, typer.Option("--within", metavar="RANGES", help="What to show: x=-3..3,y=-1..1.")]
Bounds = Annotated[str | None, typer.Option("--bounds", metavar="RANGES", help="Where to look: x=-3..3,y=0..1.")]
OpenBounds = Annotated[
    str | None,
    typer.Option("--bounds", metavar="RANGES", help="How far parameters may go: k=0..,b=-1..1; ends may be open."),
]
Save = Annotated[Path | None, typer.Option("--save", metavar="DIR", help="Keep the trace in this folder.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write everything into one HTML file.")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only.")]
Check = Annotated[bool, typer.Option("--check", help="Exit with 1 if the descent has a problem.")]


def point(text: str | None, option: str, names: tuple[str, ...]) -> dict[str, float]:
    """Return the point that a text such as `x=4,y=3` tells of.

    Args:
        text: names and numbers; a number may be an expression without names, such as π/2.
        option: the option it was given with, for the message.
        names: the names that the formula has.

    Raises:
        PointError: if there is no text, or a piece of it is not `name=number`.
    """
    example = ",".join(f"{name}={i}" for i, name in enumerate(names, start=1)) or "x=1"
    if text is None:
        raise ds.PointError(f"where? {option} is missing", hint=f"give every variable a number: {option} {example}")
    found: dict[str, float] = {}
    for piece in text.replace(";", ",").split(","):
        name, equals, number = (part.strip() for part in piece.partition("="))
        if not (name and equals and number):
            raise ds.PointError(
                f"{option}: {piece.strip()!r} is not name=number", hint=f"for example {option} {example}"
            )
        if name in found:
            raise ds.PointError(f"{option}: {name} is given twice")
        found[name] = _number(number, f"{option}: {name}")
    return found


def ranges(text: str | None, option: str = "--within") -> dict[str, tuple[float, float]] | None:
    """Return the ranges that a text such as `x=-3..3,y=0..1` tells of, or None for none.

    Args:
        text: names and ranges.
        option: the option it was given with, for the message.

    Raises:
        PointError: if a piece of it is not `name=low..high` with low below high.
    """
    if text is None:
        return None
    found: dict[str, tuple[float, float]] = {}
    for name, (low, high) in open_ranges(text, option).items():
        if low is None or high is None:
            raise ds.PointError(f"{option}: {name} has an open end", hint=f"for example {option} {name}=-3..3")
        found[name] = (low, high)
    return found


def open_ranges(text: str | None, option: str) -> dict[str, tuple[float | None, float | None]]:
    """Return the ranges that a text such as `x=0..,y=..1` tells of, None for an open end.

    Raises:
        PointError: if a piece of it is not `name=low..high` with low below high.
    """
    found: dict[str, tuple[float | None, float | None]] = {}
    for piece in text.replace(";", ",").split(",") if text is not None else ():
        name, _, span = (part.strip() for part in piece.partition("="))
        low, dots, high = (part.strip() for part in span.partition(".."))
        if not (name and dots and (low or high)):
            raise ds.PointError(
                f"{option}: {piece.strip()!r} is not name=low..high", hint=f"for example {option} x=-3..3"
            )
        ends = [_number(end, f"{option}: {name}") if end else None for end in (low, high)]
        if ends[0] is not None and ends[1] is not None and not ends[0] < ends[1]:
            raise ds.PointError(f"{option}: {name} goes from {low} to {high}, which is no range")
        found[name] = (ends[0], ends[1])
    return found


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Return texts such as `t=hour` as a mapping."""
    found = {}
    for text in texts or []:
        name, equals, rest = (part.strip() for part in text.partition("="))
        if not (name and equals and rest):
            raise ds.SettingError(f"{option}: {text!r} is not name=value")
        found[name] = rest
    return found


def column_or_number(text: str | None) -> str | float | None:
    """Return the number that a text is, or else the text, as a column's name."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def settings(texts: list[str] | None) -> dict[str, float]:
    """Return settings such as `momentum=0.8` as numbers."""
    return {name: _number(number, f"--set {name}") for name, number in pairs(texts, "--set").items()}


def _number(text: str, what: str) -> float:
    """Return the number that a text is, or that an expression without names comes to."""
    try:
        number = float(text)
    except ValueError:
        try:
            number = ds.formula(text)({})
        except ds.DownslopeError:
            raise ds.PointError(f"{what} must be a number, not {text!r}") from None
    if not math.isfinite(number):
        raise ds.PointError(f"{what} must be a finite number, not {text!r}")
    return number
