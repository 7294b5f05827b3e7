"""Printed output: tables with a shortened middle, a small chart, findings; and the JSON object."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds
from downslope import _text
from downslope._files import refuse_unwritable, written
from downslope._types import plain
from downslope.cli._options import as_typed

_HEAD, _TAIL = 8, 5
_MARKS = {ds.Severity.GOOD: "✓", ds.Severity.NOTE: "·", ds.Severity.PROBLEM: "✗"}


def as_json(fields: Mapping[str, Any]) -> None:
    """Print one JSON object; numbers that JSON has no word for become null.

    JSON is UTF-8; where the output has another encoding, letters beyond ASCII are escaped.
    """
    print(json.dumps(plain(fields), ensure_ascii=not _has("α✓"), allow_nan=False))


def _has(letters: str) -> bool:
    """Tell whether letters can be printed as they are."""
    try:
        letters.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def number(value: float) -> str:
    """Return a number in six significant digits, with a true minus sign."""
    return "" if math.isnan(value) else _text.number(value)


def labelled(label: str, *texts: str) -> None:
    """Print texts behind a label, one below the other, each wrapped where the line ends."""
    before = f"{label:<9}"
    for text in texts:
        print(textwrap.fill(text, _width(), initial_indent=before, subsequent_indent=" " * 9))
        before = " " * 9


def sentence(text: str) -> None:
    """Print a sentence, wrapped where the line ends."""
    print(textwrap.fill(text, _width()))


def _width() -> int:
    """Return the width of a line of words."""
    return min(100, shutil.get_terminal_size().columns)


def table(columns: Mapping[str, Sequence[Any]], words: Collection[str] = ()) -> bool:
    """Print columns under their headings, the middle of a long table left out; tell whether it was.

    Args:
        columns: by heading, one entry a row; texts are shown as they are and numbers in six digits.
        words: the headings of columns that hold words, which begin at one edge.
    """
    rows = len(next(iter(columns.values())))
    shown = list(range(rows)) if rows <= _HEAD + _TAIL + 2 else [*range(_HEAD), -1, *range(rows - _TAIL, rows)]
    texts = [
        [heading, *("⋮" if row < 0 else _cell(column[row]) for row in shown)] for heading, column in columns.items()
    ]
    widths = [max(map(len, column)) for column in texts]
    edges = [str.ljust if heading in words else str.rjust for heading in columns]
    lines = [
        "   ".join(edge(cell, width) for edge, cell, width in zip(edges, row, widths, strict=True)).rstrip()
        for row in zip(*texts, strict=True)
    ]
    print("\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]]))
    return len(shown) < rows


def chart(values: np.ndarray, heading: str, height: int = 6) -> None:
    """Print a small chart of a column by step, on a logarithmic scale where it spans more than two powers of ten.

    Args:
        values: shape (rows,); entries that are not finite are left out.
        heading: what is charted.
        height: lines of the chart.
    """
    finite = np.asarray(values, dtype=float)[np.isfinite(values)]
    if len(finite) < 3 or finite.max() == finite.min():
        return
    logarithmic = finite.min() > 0 and finite.max() / finite.min() > 100
    heights = np.log10(finite) if logarithmic else finite
    width = min(len(heights), max(20, min(64, shutil.get_terminal_size().columns - 16)))
    picked = heights[np.linspace(0, len(heights) - 1, width).round().astype(int)]
    share = (picked - picked.min()) / (np.ptp(picked) or 1.0)
    eighths = np.maximum(np.round(share * height * 8).astype(int), 1)
    scale = ", logarithmic" if logarithmic else ""
    print(f"{heading} by step{scale}")
    for line in range(height - 1, -1, -1):
        bar = "".join(" ▁▂▃▄▅▆▇█"[min(max(eighth - 8 * line, 0), 8)] for eighth in eighths)
        edge = number(finite.max()) if line == height - 1 else number(finite.min()) if line == 0 else ""
        print(f"{edge:>12} ┤{bar}")
    print()


def findings(diagnosis: ds.Diagnosis, *, details: bool = True, evidence: bool = False) -> None:
    """Print the findings, the most important first, with what to try and, if it is wanted, the evidence behind them."""
    width = _width()
    for finding in diagnosis:
        lead = f"{_MARKS[finding.severity]} {finding.symptom}: "
        print(textwrap.fill(lead + finding.sentence, width, subsequent_indent="  "))
        if evidence and finding.evidence:
            print(
                textwrap.fill(_evidence(finding.evidence_texts()), width, initial_indent="  ", subsequent_indent="  ")
            )
        if details and finding.remedies:
            tried = "Try: " + "; ".join(finding.remedies)
            print(textwrap.fill(tried, width, initial_indent="  ", subsequent_indent="  "))


def _evidence(texts: Mapping[str, str]) -> str:
    """Return evidence by name on one line."""
    # In ASCII the dot is spelled as an asterisk, which would look like a product.
    return (" · " if _has("·") else "; ").join(f"{name} {text}" for name, text in texts.items())


def _cell(entry: Any) -> str:
    """Return an entry of a table as text."""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, int | np.integer):
        return str(entry)
    return number(float(entry))


def result(value: Any, written: Mapping[str, str], *, for_program: bool, quiet: bool) -> None:
    """Print a result for a program, in a sentence, or as a table; then what was written where."""
    if for_program:
        as_json(value.as_dict() | written)
        return
    print(value.sentence if quiet else value)
    files(written)


def files(written: Mapping[str, str]) -> None:
    """Print what was written where."""
    for what, where in written.items():
        print(f"{what.capitalize()}: {where}")


def read_as(text: str, notes: Sequence[str]) -> None:
    """Print how a formula was read."""
    print(f"Read as  {text}")
    for note in notes:
        print(f"         {note}")


def objective(read: ds.Objective) -> None:
    """Print how an objective was read."""
    read_as(read.read_as, read.formula.notes if read.formula is not None else ())


def written_report(trace: ds.Trace, diagnosis: ds.Diagnosis, file: Path | None) -> dict[str, str]:
    """Write a report where one was asked for, and return its file."""
    if file is None:
        return {}
    ds.report(trace, file, diagnosis)
    return {"report": str(file)}


def training(summary: ds.Summary, diagnosis: ds.Diagnosis, *, quiet: bool, evidence: bool = False) -> None:
    """Print a training: data, network, method, evaluations, end, findings, and the cost of the record."""
    outcome = summary.trace.ending
    if quiet:
        print(outcome)
        if summary.scores:
            print(summary.score_sentence)
    else:
        labelled("Read as", *map(as_typed, summary.notes))
        labelled("Network", summary.network)
        labelled("Method", summary.method)
        print()
        if summary.evaluations:
            table(summary.evaluations)
            print()
        sentence(outcome)
        print()
        if summary.scores:
            table(summary.score_table, words=set(list(summary.score_table)[:1]))
            print()
        if "balanced_accuracy" in summary.scores:
            # Where classes are uneven, a single share of right rows says little.
            table(summary.class_table, words={"class"})
            print()
    findings(diagnosis, details=not quiet, evidence=evidence)
    if not quiet and summary.cost:
        print()
        sentence(summary.cost)


# Every `--plot`: which picture, and into which file.


Ranges = Mapping[str, tuple[float, float]] | None
KINDS = ("auto", "curve", "landscape", "surface", "progress", "animation")
_MOVING = (".gif", ".apng")
_SUFFIXES = (".png", ".svg", ".pdf", ".tif", *_MOVING)


def check_file(plot: Path | None) -> None:
    """Raise if a file can hold no picture, or cannot be written; called before work that takes long."""
    if plot is None:
        return
    if plot.suffix.lower() not in _SUFFIXES:
        raise ds.SettingError(
            f"cannot draw into {plot.name!r}", hint=f"the file's name must end in {', '.join(_SUFFIXES)}"
        )
    refuse_unwritable(plot)


def write_descent(
    objective: ds.Objective,
    trace: ds.Trace | None,
    diagnosis: ds.Diagnosis | None,
    kind: str,
    bounds: Ranges,
    plot: Path,
) -> Path:
    """Write a picture of an objective, with the way down if there is one, and return its file."""
    check_file(plot)
    variables = len(objective.names or ())
    if kind == "auto":
        kind = "animation" if plot.suffix.lower() in _MOVING else "curve" if variables == 1 else "landscape"
    if kind == "animation" and trace is not None:
        return ds.draw.animate(objective, trace, plot, bounds=bounds)
    if kind == "progress" and trace is not None:
        return write_progress(trace, diagnosis, plot)
    picture = {"curve": ds.draw.curve, "landscape": ds.draw.landscape, "surface": ds.draw.surface}[kind]
    return _saved(picture(objective, trace, bounds=bounds), plot)


def write_point(objective: ds.Objective, at: Mapping[str, float], bounds: Ranges, plot: Path) -> Path:
    """Write the picture of an objective with its slope at one point, and return its file."""
    check_file(plot)
    picture = ds.draw.curve if len(objective.names or ()) == 1 else ds.draw.landscape
    return _saved(picture(objective, at=at, bounds=bounds), plot)


def write_progress(trace: ds.Trace, diagnosis: ds.Diagnosis | None, plot: Path) -> Path:
    """Write the picture of value, gradient norm and rate by step, and return its file."""
    return write_figure(lambda: ds.draw.progress(trace, diagnosis), plot)


def write_training(trace: ds.Trace, diagnosis: ds.Diagnosis | None, plot: Path) -> Path:
    """Write the picture of loss and score by step, and return its file."""
    if not len(trace):
        raise ds.TraceError("this run has not written any rows yet", hint="try again in a moment")
    return write_figure(lambda: ds.draw.training(trace, diagnosis), plot)


def write_figure(picture: Callable[[], Any], plot: Path) -> Path:
    """Write the figure that a picture's axes belong to, and return its file; the name is checked first."""
    check_file(plot)
    axes = picture()
    return _saved(axes[0] if isinstance(axes, Sequence) else axes, plot)


def write_still_or_moving(plot: Path, picture: Callable[[], Any], animation: Callable[[Path], Path] | None) -> Path:
    """Write a still picture, or a moving one into a GIF or an APNG, and return its file."""
    if plot.suffix.lower() not in _MOVING:
        return write_figure(picture, plot)
    if animation is None:
        raise ds.SettingError("this picture cannot be animated", hint="the file's name may end in .png")
    return animation(plot)


def _saved(axes: Any, plot: Path) -> Path:
    """Write the figure that axes belong to, and return its file."""
    with written(plot) as partial:
        axes.figure.savefig(partial)
        if plot.suffix.lower() == ".tif":
            _flatten(partial, axes.figure.dpi)
    return plot


def _flatten(file: Path, dpi: float) -> None:
    """Write a TIFF again without transparency and compressed, as journals take it."""
    from PIL import Image

    with Image.open(file) as image:
        flat = image.convert("RGB")
    flat.save(file, format="TIFF", compression="tiff_lzw", dpi=(dpi, dpi))
