"""What every benchmark here shares: interleaved runs, medians, ratios, the machine in words, results as JSON."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_LEAST = 0.05  # seconds to a reading


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each run, taken in turn so that a drift of the machine meets all of them alike.

    Args:
        runs: what to time, by name; each is run twice before, uncounted, and a short one several times in a row, so
            that a clock's reading is of fifty milliseconds at least.
        rounds: how often each is timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    repeats = {}
    for name, run in runs.items():
        run()
        repeats[name] = max(1, math.ceil(_LEAST / _timed(run, 1)))
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(_timed(run, repeats[name]))
    return seconds


def _timed(run: Callable[[], Any], repeats: int) -> float:
    """Return the mean seconds of some runs in a row."""
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - began) / repeats


def median_ratio(one: list[float], other: list[float]) -> float:
    """Return the median of the ratios of two rows, round by round."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def machine() -> str:
    """Return the machine in words."""
    return f"{os.cpu_count()} shared cores, {platform.machine()}, Python {platform.python_version()}"


def arguments(description: str, rounds: int = 15) -> argparse.ArgumentParser:
    """Return a parser of what every benchmark takes: `--out FILE`, `--page FILE` and `--rounds N`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, help="write the figures to this file as JSON")
    parser.add_argument("--page", type=Path, help="put the table into this page, between the marks with its name")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each is timed")
    return parser


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    lines = [_line(row, widths) for row in (heads, *rows)]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if not place else ":") for place, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def publish(given: argparse.Namespace, name: str, text: str, results: dict[str, Any]) -> None:
    """Print a benchmark's text; write its results as JSON and its text into a page where those were asked for."""
    print(text)
    if given.out is not None:
        given.out.write_text(json.dumps({"machine": machine(), **results}, indent=1) + "\n", encoding="utf-8")
    if given.page is not None:
        page = given.page.read_text(encoding="utf-8")
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{given.page} has no marks {begin.strip()} … {end}")
        given.page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.rjust(width) if place else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "| " + " | ".join(cells) + " |"
