"""What every benchmark here shares: interleaved runs, medians, ratios, the machine in words, results as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each run, taken in turn so that a drift of the machine meets all of them alike.

    Args:
        runs: what to time, by name; each is run once before, uncounted.
        rounds: how often each is timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def median_ratio(one: list[float], other: list[float]) -> float:
    """Return the median of the ratios of two rows, round by round."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def machine() -> str:
    """Return the machine in words."""
    return f"{os.cpu_count()} shared cores, {platform.machine()}, Python {platform.python_version()}"


def arguments(description: str) -> argparse.Namespace:
    """Return the command's arguments: `--out FILE` and `--rounds N`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, help="write the figures to this file as JSON")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is timed")
    return parser.parse_args()


def write(file: Path | None, results: dict[str, Any]) -> None:
    """Write results as JSON, if a file was asked for."""
    if file is not None:
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
