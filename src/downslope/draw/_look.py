"""The look of a picture for print: its size, dots, grid, colours, labels and typeset formula, checked in one place.

A journal prints a column 3.5 inches wide, at 300 to 600 dots per inch, and often without colour. Text and lines shrink
with the figure, and shades of grey are those of the colours' luminance, so that dark stays dark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from downslope._errors import SettingError, described, mapping
from downslope._numbers import real
from downslope.draw import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST, _MOST_DOTS = 60.0, 2400.0  # inches, and dots per inch
_USUAL_WIDTH, _USUAL_DOTS = 7.2, 140.0  # inches from which on nothing shrinks, and dots per inch
_SMALLEST_TEXT = 6.5  # points
_SMALLEST_FORMULA = 8.0  # points; a formula that needs less is written as text
_POINTS = 72  # in an inch
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_LIGHT, _DARKER = 0.7, 0.75  # luminance of grids and the like; what is less light is faint in print unless darker
_MATHTEXT = ((r"\tfrac", r"\frac"), (r"\lvert", "|"), (r"\rvert", "|"))
_BESIDE = re.compile(r"(?<=[)}|]) (?=\w|\\(?!cdot|right|pm|le|ge))")  # between factors, where mathtext leaves no space
_WORDS = re.compile(r"\\text\{([^{}$\\]*)\}")


class FigureLook(TypedDict, total=False):
    """The look of a picture.

    Args:
        size: width and height in inches.
        dpi: dots per inch of a file of pixels; journals ask for 300 to 600.
        grid: False for none.
        grey: True for shades of grey.
        labels: texts of the axes, by "x", "y", "residual", and "title".
    """

    size: tuple[float, float]
    dpi: float
    grid: bool
    grey: bool
    labels: Mapping[str, str]


def checked(look: FigureLook, labels: Sequence[str], *, own_figure: bool = True) -> FigureLook:
    """Return the look of a picture, checked.

    Args:
        look: the settings.
        labels: the labels that the picture has.
        own_figure: whether the picture makes its figure.

    Raises:
        SettingError: for an unknown setting or label, or a size that is none.
    """
    for name in look:
        if name not in FigureLook.__annotations__:
            raise SettingError(f"a picture has no {name!r}", hint=f"it has {', '.join(FigureLook.__annotations__)}")
    for name in ("size", "dpi"):
        if name in look and not own_figure:
            raise SettingError(f"{name} applies to a new figure; these axes already have one")
    if "size" in look:
        _check_size(look["size"])
    if "dpi" in look and not 1 <= _number(look["dpi"]) <= _MOST_DOTS:
        raise SettingError(
            f"dpi is a number of dots per inch, not {described(look['dpi'])}", hint="for example dpi=300"
        )
    for name in mapping("labels", look.get("labels"), '{"x": "dose (mg)"}') or {}:
        if name not in labels:
            raise SettingError(f"the picture has no label {name!r}; it has {', '.join(labels)}")
    return look


def _check_size(size: Any) -> None:
    """Raise for a size that is not two lengths."""
    lengths = [_number(length) for length in size] if isinstance(size, Sequence) and not isinstance(size, str) else []
    if len(lengths) != 2 or not all(0.5 <= length <= _LARGEST for length in lengths):
        raise SettingError(
            f"size is a width and a height in inches, not {described(size)}", hint="for example size=(3.5, 2.8)"
        )


def _number(value: Any) -> float:
    try:
        return real(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def new_figure(look: FigureLook, size: tuple[float, float]) -> Figure:
    """Return a figure of the size and with the dots of a look."""
    # A figure is saved with the dots that it was made with.
    return style.new_figure(look.get("size", size), look.get("dpi", _USUAL_DOTS))


def stacked(look: FigureLook, heights: Sequence[float], size: tuple[float, float]) -> Callable[[], list[Axes]]:
    """Return the function that makes stacked axes with a common x-axis."""
    return lambda: list(
        new_figure(look, size).subplots(len(heights), 1, sharex=True, height_ratios=list(heights), squeeze=True)
    )


def label(look: FigureLook, name: str, usual: str) -> str:
    """Return a label as it was passed, else the usual one."""
    return str(look.get("labels", {}).get(name, usual))


def finish(panels: Sequence[Axes], look: FigureLook) -> None:
    """Give panels their grid, their colours, and text and lines as large as their figure allows.

    Call it last: what is drawn later keeps its own look.
    """
    for panel in panels:
        style.calm(panel)
        panel.tick_params(which="minor", color=style.ZERO)
        if not look.get("grid", True):
            panel.grid(visible=False, which="both")
    figure = panels[0].figure
    if "size" in look:
        _shrink(figure, min(1.0, look["size"][0] / _USUAL_WIDTH))
    if look.get("grey", False):
        _in_grey(figure)


def _shrink(figure: Any, factor: float) -> None:
    """Scale text, marks and lines of a figure."""
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    factor = factor**0.5
    for artist in figure.findobj():
        if isinstance(artist, Text):
            artist.set_fontsize(max(round(2 * float(artist.get_fontsize()) * factor) / 2, _SMALLEST_TEXT))
        elif isinstance(artist, Line2D):
            artist.set_markersize(artist.get_markersize() * factor)
            artist.set_linewidth(artist.get_linewidth() * factor)
    for panel in figure.axes:
        panel.tick_params(labelsize=max(round(18 * factor) / 2, _SMALLEST_TEXT))


def _in_grey(figure: Any) -> None:
    """Turn every colour of a figure into a shade of grey."""
    from matplotlib.collections import Collection, QuadMesh
    from matplotlib.colors import ListedColormap
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    frames = {legend.get_frame() for legend in figure.findobj(Legend)}
    for artist in figure.findobj(lambda artist: artist not in frames):
        if isinstance(artist, QuadMesh):
            shades = artist.get_cmap()(range(256))
            artist.set_cmap(ListedColormap([_grey(shade) for shade in shades]))
        elif isinstance(artist, Line2D):
            artist.set_color(_grey(artist.get_color()))
            artist.set_markerfacecolor(_grey(artist.get_markerfacecolor()))
            artist.set_markeredgecolor(_grey(artist.get_markeredgecolor()))
        elif isinstance(artist, Collection | Patch):
            for read, write in (("get_facecolor", "set_facecolor"), ("get_edgecolor", "set_edgecolor")):
                colours = getattr(artist, read)()
                if len(colours):
                    is_single = isinstance(colours[0], float | int)
                    getattr(artist, write)(_grey(colours) if is_single else [_grey(colour) for colour in colours])
        elif isinstance(artist, Text):
            artist.set_color(_grey(artist.get_color()))


def _grey(colour: Any) -> Any:
    """Return the shade of grey of a colour, as transparent as it."""
    from matplotlib.colors import to_rgba

    *parts, alpha = to_rgba(colour)
    if alpha == 0 or min(parts) == 1:
        return (*parts, alpha)
    shade = sum(weight * part for weight, part in zip(_LUMINANCE, parts, strict=True))
    shade *= 1.0 if shade > _LIGHT else _DARKER
    return (shade, shade, shade, alpha)


def formula_title(axes: Axes, latex: str, text: str, look: FigureLook) -> None:
    """Write a formula above axes, typeset where Matplotlib can and there is room, else as text; or their own title."""
    figure: Any = axes.figure
    width = axes.get_position().width * figure.get_size_inches()[0] * _POINTS * 1.1
    shown, points = formula_text(latex, text, look, width)
    axes.set_title(shown, fontsize=points, color=style.INK, loc="left", pad=10)


def formula_text(latex: str, text: str, look: FigureLook, width: float, *, tall: bool = True) -> tuple[str, float]:
    """Return the title of a picture and its size in points.

    Args:
        latex: the formula in LaTeX.
        text: the formula in book notation.
        look: whose label "title" takes the formula's place; "" for no title.
        width: the room in points.
        tall: whether fractions may be as high as two lines; more lines under it would overlap them.
    """
    if "title" in look.get("labels", {}):
        return label(look, "title", ""), 11.0
    typeset, points = _typeset(_with_tall_fractions(latex) if tall else latex, width)
    if typeset:
        return typeset, points
    room = max(int(width / 5.6), 12)
    shown = text if len(text) <= room else text[: room - 1] + "…"
    return shown.replace("$", r"\$"), 10.0  # a dollar sign would begin a formula


def _typeset(latex: str, width: float) -> tuple[str, float]:
    """Return a formula as Matplotlib's mathtext, and its size in points; "" where it cannot be, or is too wide."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    for written, known in _MATHTEXT:
        latex = latex.replace(written, known)
    latex = _WORDS.sub(lambda words: r"\mathrm{" + words[1].replace(" ", r"\ ") + "}", latex)
    latex = _BESIDE.sub(r"\\,", latex)
    try:
        wide = MathTextParser("path").parse(f"${latex}$", dpi=72, prop=FontProperties(size=12)).width
    except ValueError:
        return "", 0.0
    points = min(12.0, 12.0 * width / max(wide, 1.0))
    return (f"${latex}$", points) if points >= _SMALLEST_FORMULA else ("", 0.0)


def _with_tall_fractions(latex: str) -> str:
    r"""Return a formula whose outermost fractions have letters of full size.

    >>> _with_tall_fractions(r"y = \frac{a}{1 + \frac{x}{b}}")
    'y = \\dfrac{a}{1 + \\frac{x}{b}}'
    """
    parts, depth = [], 0
    for part in re.split(r"([{}]|\\frac)", latex):
        depth += {"{": 1, "}": -1}.get(part, 0)
        parts.append(r"\dfrac" if part == r"\frac" and depth == 0 else part)
    return "".join(parts)
