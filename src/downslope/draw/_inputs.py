"""The arguments of pictures, checked in one place: objectives as text, traces, results, findings and axes.

This is the only module of the folder that knows `descent`: it makes an objective of text. The pictures themselves get
objectives, traces and results, and never see what made a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from downslope._errors import ObjectiveError, PointError, SettingError, TraceError, described, nearest
from downslope._files import refuse_unwritable
from downslope._numbers import real
from downslope.descent import Objective, check_point, objective
from downslope.trace import Trace, as_trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.formulas import Formula

Drawable: TypeAlias = "str | Formula | Objective | Callable[[Any], Any]"
Bounds: TypeAlias = Mapping[str, tuple[float, float]] | tuple[float, float] | None
Units: TypeAlias = Mapping[str, str] | None
T = TypeVar("T")


def objective_of(value: Drawable, units: Units = None) -> Objective:
    """Return an objective; that of a formula or its text as `ds.objective` reads it.

    Raises:
        ObjectiveError: for anything else.
        FormulaError: for text that cannot be read.
    """
    if isinstance(value, Objective):
        return value
    # A result such as a trace is callable in no sense that could be drawn; a class or a number is neither.
    if value is None or isinstance(value, int | float | list | tuple | dict | Trace | type):
        raise ObjectiveError(
            f"a picture of a function takes a formula, not {described(value)}",
            hint='for example ds.draw.curve("x² - 4x + 5") or ds.draw.landscape("x² + 2y²")',
        )
    return objective(value, units=units)


def trace_of(value: object, picture: str) -> Trace:
    """Return a trace with at least one row, or that of a result that holds one.

    Raises:
        SettingError: for anything else.
        TraceError: for a run of which nothing is written down yet.
    """
    trace = as_trace(value, f"draw.{picture}", f'ds.draw.{picture}(ds.descend("x²", 10))')
    if not len(trace):
        raise TraceError("this run has not written any rows yet", hint="try again in a moment")
    return trace


def way_of(value: object, picture: str) -> Trace | None:
    """Return the trace to draw over a function; None where none is to be drawn."""
    if value is None:
        return None
    return as_trace(value, f"draw.{picture}", f'ds.draw.{picture}("x² + 2y²", ds.descend("x² + 2y²", …))')


def point_of(objective: Objective, at: Any) -> dict[str, float] | None:
    """Return a point by name, as `descend` reads its start; None where there is none.

    Raises:
        PointError: for a name that is missing or unknown, or something that is not a finite number.
    """
    if at is None:
        return None
    if not isinstance(at, Mapping | int | float | Sequence) or isinstance(at, str):
        raise PointError(f"at is a point, not {described(at)}", hint='for example at={"x": 1}')
    return {name: float(value) for name, value in check_point(objective, at).items()}


def bounds_of(bounds: Bounds, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return ranges by name, those that were passed: a mapping, or one pair for a single name.

    Raises:
        PointError: for a name that is not drawn, or a range that is not two finite numbers, the lower first.
    """
    if bounds is None:
        return {}
    example = "bounds={" + ", ".join(f'"{name}": (-2, 2)' for name in names) + "}"
    if isinstance(bounds, tuple | list) and len(names) == 1 and len(bounds) == 2:
        bounds = {names[0]: (bounds[0], bounds[1])}
    if not isinstance(bounds, Mapping):
        raise PointError(f"bounds are ranges by name, not {described(bounds)}", hint=f"for example {example}")
    ranges = {}
    for name, pair in bounds.items():
        if name not in names:
            close = nearest(str(name), names)
            raise PointError(
                f"bounds name {name!r}, and the picture shows {' and '.join(names)}",
                hint=f"did you mean {close}?" if close else None,
            )
        try:
            low, high = (real(end) for end in pair)
        except (TypeError, ValueError, OverflowError):
            low = high = 0.0
        if not -float("inf") < low < high < float("inf"):
            needed = f"the range of {name} must be two numbers, the lower first"
            raise PointError(f"{needed}, not {described(pair)}", hint=f"for example {example}")
        ranges[name] = (low, high)
    return ranges


@dataclass(frozen=True)
class ResultKind:
    """A kind of result that a picture takes.

    Args:
        words: what it is called.
        example: what makes it.
        attributes: what a picture reads of it.
    """

    words: str
    example: str
    attributes: tuple[str, ...]


FIT = ResultKind("a fit", 'ds.fit("y = a×x + b", "data.csv")', ("model", "predicted", "group_labels"))
WHOLE_FIT = ResultKind("a fit of one problem", FIT.example, ("uncertainty", "profile", "confidence_region"))
SWEEP = ResultKind("a sweep of rates", 'ds.sweep("x² + 10y²", {"x": 4, "y": 1})', ("rates", "lanes", "objective"))
RACE = ResultKind("a race or a sweep", 'ds.compare("x² + 10y²", {"x": 4, "y": 1})', ("lanes", "objective"))
MULTISTART = ResultKind("a multistart", 'ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)})', ("basins", "starts", "space"))
PRESCRIPTION = ResultKind("a prescription", 'ds.prescribe(ds.plan("x²", 1, learning_rate=2))', ("yardstick", "trials"))
RATE_FINDING = ResultKind("a rate finding", 'ds.find_learning_rate("x²", 10)', ("checks", "test_rates"))


def result_of(value: T, picture: str, kind: ResultKind) -> T:
    """Return a result of a kind. Results come from higher floors, so they are known by what they hold.

    Raises:
        SettingError: for anything else.
    """
    if all(hasattr(value, attribute) for attribute in kind.attributes):
        return value
    example = f"for example ds.draw.{picture}({kind.example})"
    raise SettingError(f"draw.{picture} takes {kind.words}, not {described(value)}", hint=example)


def findings_of(findings: Iterable[Any] | None) -> tuple[Any, ...]:
    """Return findings to mark, those of a diagnosis; none where there is none.

    Raises:
        SettingError: for anything else.
    """
    if findings is None:
        return ()
    listed = tuple(findings) if isinstance(findings, Iterable) else (findings,)
    if not all(hasattr(finding, "symptom") and hasattr(finding, "steps") for finding in listed):
        raise SettingError(f"findings are those of a diagnosis, not {described(findings)}", hint="ds.diagnose(trace)")
    return listed


def axes_of(axes: Any, new: Callable[[], Axes]) -> Axes:
    """Return the axes to draw on, new ones if None.

    Raises:
        SettingError: for something that is no Matplotlib axes.
    """
    return panels_of(None if axes is None else [axes], 1, lambda: [new()])[0]


def panels_of(axes: Any, count: int, new: Callable[[], list[Axes]]) -> list[Axes]:
    """Return the axes to draw on, new ones if None.

    Raises:
        SettingError: for another number of axes, or something that is none.
    """
    if axes is None:
        return new()
    panels = list(axes) if isinstance(axes, Iterable) else [axes]
    if len(panels) != count or not all(hasattr(panel, "get_lines") for panel in panels):
        wanted = "Matplotlib axes" if count == 1 else f"{count} Matplotlib axes"
        came = f"{len(panels)} axes" if all(hasattr(panel, "get_lines") for panel in panels) else described(axes)
        raise SettingError(f"axes must be {wanted}, not {came}", hint="leave axes out for a new figure")
    return panels


MOVING = (".gif", ".apng")  # the suffixes of moving pictures


def file_of(file: str | Path) -> Path:
    """Return the path of an animation, checked.

    Raises:
        SettingError: if it is no path, its name does not end in .gif or .apng, or it cannot be written.
    """
    if not isinstance(file, str | Path):
        raise SettingError(f"a moving picture is written to a file, not {described(file)}", hint='"way.gif"')
    target = Path(file)
    if target.suffix.lower() not in MOVING:
        raise SettingError(f"a moving picture is a GIF or an APNG; {target.name!r} does not end in .gif or .apng")
    refuse_unwritable(target)
    return target
