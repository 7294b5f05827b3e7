"""The noun of a picture, and the shared style: colours that the colour-blind can tell apart, and calm axes.

References: Okabe and Ito, "Color universal design", 2008.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FUNCTION = "#3b4a57"
PATH = "#d55e00"
START = "#0072b2"
END = "#009e73"
TANGENT = "#0072b2"
RATE = "#56708a"
NOTE = "#e69f00"
PROBLEM = "#cc3311"
LANES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3b4a57", "#8c6d31", "#7b3294")
# The path has one colour; its ends differ by their filling.
END_MARKS: Mapping[str, Mapping[str, Any]] = {
    "start": {
        "marker": "o",
        "linestyle": "",
        "color": "white",
        "markeredgecolor": PATH,
        "markeredgewidth": 2.2,
        "markersize": 8,
    },
    "end": {
        "marker": "o",
        "linestyle": "",
        "color": PATH,
        "markeredgecolor": "white",
        "markeredgewidth": 1.3,
        "markersize": 10,
    },
}
GRID = "#d9dee3"
ZERO = "#8a97a3"
INK = "#23303b"
CONTOURS = "bone"
SIZE = (7.2, 4.8)


def new_figure(size: tuple[float, float], dpi: float = 140) -> Figure:
    """Return a figure that belongs to no window and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def new_axes(*, three_dimensional: bool = False, size: tuple[float, float] = SIZE) -> Axes:
    """Return axes of a new figure."""
    axes: Any = new_figure(size).add_subplot(projection="3d" if three_dimensional else None)
    return axes


def new_panels(count: int, *, heights: Sequence[float], size: tuple[float, float] = SIZE) -> list[Axes]:
    """Return stacked axes of a new figure that share the x-axis."""
    return list(new_figure(size).subplots(count, 1, sharex=True, height_ratios=list(heights)))


def calm(axes: Axes) -> None:
    """Remove the upper and right spines and soften ticks and grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#8a97a3")
    axes.tick_params(colors=INK, labelsize=9, color="#8a97a3")
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def zero_lines(axes: Axes) -> None:
    """Draw the axes through zero where that lies inside the picture."""
    for (low, high), draw in ((axes.get_xlim(), axes.axvline), (axes.get_ylim(), axes.axhline)):
        if low < 0 < high:
            draw(0, color=ZERO, linewidth=0.9, zorder=1)


def message(axes: Axes, text: str) -> None:
    """Write in the middle of a picture why nothing is drawn."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=11, color=RATE)


def scale_height(axes: Axes, values: np.ndarray) -> None:
    """Make the height logarithmic where nothing lies below 0 and what lies above spans more than a hundredfold."""
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if len(positive) and finite.min() >= 0 and 100 * positive.min() < positive.max():
        axes.set_yscale("log")


def title(axes: Axes, text: str, *, below: str = "") -> None:
    """Write a title, cut where it would not fit, and a smaller line below it."""
    shown = text if len(text) <= 80 else text[:77] + "…"
    axes.set_title(shown, fontsize=11, color=INK, loc="left", pad=22 if below else 10)
    if below:
        position: dict[str, Any] = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 8)}
        line = axes.annotate(below, **position, textcoords="offset points", fontsize=8.5, color=RATE)
        line.set_in_layout(False)  # it may reach over what stands beside the axes


def label(name: str, units: Mapping[str, str]) -> str:
    """Return the label of an axis, with its unit if it has one."""
    return f"{name} ({units[name]})" if units.get(name) else name


def legend(axes: Axes, *, below: bool = False, beside: bool = False) -> None:
    """Draw the legend where there is room, or below or beside a picture that is full."""
    handles, names = axes.get_legend_handles_labels()
    if not handles:
        return
    position: dict[str, Any] = {"loc": "best"}
    if below and len(axes.figure.axes) == 1:
        # Layouts make room for a figure's legend even where the axes keep one scale.
        columns = min(len(handles), 3)
        axes.figure.legend(handles, names, loc="outside lower center", ncol=columns, frameon=False, fontsize=9)
        return
    if below:
        position = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.1), "ncol": min(len(handles), 3)}
    if beside:
        position = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    axes.legend(handles, names, frameon=True, framealpha=0.92, edgecolor="none", fontsize=9, **position)


# What a picture is, apart from the function that draws it: what it shows, its caption, its example, its rank.


Shown = Literal["function", "descent", "training", "fit", "sweep", "race", "multistart", "rate finding", "prescription"]
Function = TypeVar("Function", bound=Callable[..., Any])
_KINDS = get_args(Shown)


@dataclass(frozen=True)
class Picture:
    """One picture, for lists of them: a report, a gallery, the tests of what every picture refuses.

    Args:
        draw: the function, whose first argument is what it shows.
        shows: "function", "descent" (a trace), "training" (the trace of a network), or the result's name.
        example: Python that draws it and ends in the call; the gallery runs and shows it.
        caption: what the picture shows, in a sentence; "" for pictures that explain themselves.
        marks_findings: whether the second argument is a diagnosis whose findings are marked.
        order: its rank among pictures that show the same; pictures of equal rank come by name.
    """

    draw: Callable[..., Any]
    shows: Shown
    example: str
    caption: str = ""
    marks_findings: bool = False
    order: int = 100

    @property
    def name(self) -> str:
        """Its name in `downslope.draw`."""
        return self.draw.__name__

    @property
    def rank(self) -> tuple[int, int, str]:
        """The sort key of pictures."""
        return _KINDS.index(self.shows), self.order, self.name

    def of(self, shown: Any, findings: Iterable[Any] = ()) -> Any:
        """Return the axes of the picture; findings are marked where it marks any.

        Raises:
            SettingError: where there is nothing of the kind to show.
        """
        return self.draw(shown, tuple(findings)) if self.marks_findings else self.draw(shown)


def picture(
    shows: Shown, *, example: str, caption: str = "", marks_findings: bool = False, order: int = 100
) -> Callable[[Function], Function]:
    """Return a decorator that describes a function as a picture; the arguments are those of `Picture`."""

    def described(draw: Function) -> Function:
        # An attribute, not a registry: `PICTURES` is read from the functions that the folder exports.
        draw.__picture__ = Picture(draw, shows, inspect.cleandoc(example), caption, marks_findings, order)  # pyright: ignore[reportFunctionMemberAccess]
        return draw

    return described


def in_order(functions: Iterable[object]) -> tuple[Picture, ...]:
    """Return the pictures that functions draw, in the order in which a report shows them."""
    described = [function.__picture__ for function in functions if hasattr(function, "__picture__")]  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(sorted(described, key=lambda picture: picture.rank))
