"""How the cost of runs grows: CPU seconds of this machine, and the exponent of a power law through their medians.

    python -m benchmarks.scale slopes

Programs are compiled by a run that does not count. Each size is measured three times, all sizes of a series in turn, so
that what else the machine does falls on all of them. The exponent is that of the sizes in the upper half, where what
every run costs anyway weighs least.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds
from downslope.executors import Crew, Unit
from downslope.remedies import _trial

REPEATS = 3
QUIET: dict[str, Any] = {"probe_every": 0, "layers_every": 0, "progress": False}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log cost by log size over the upper half of the sizes.

    >>> round(exponent([1, 2, 4, 8], [5, 6, 16, 64]), 6)
    2.0
    """
    half = slice(len(sizes) // 2, None)
    return float(np.polyfit(np.log(sizes[half]), np.log(costs[half]), 1)[0])


def series(what: str, sizes: Sequence[int], prepared: Callable[[int], Callable[[], Any]]) -> None:
    """Print the median cost of each size, and the exponent."""
    runs = {size: prepared(size) for size in sizes}
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    for run in runs.values():
        run()
    for _ in range(REPEATS):
        for size, run in runs.items():
            began = time.process_time()
            run()
            costs[size].append(time.process_time() - began)
    medians = [statistics.median(costs[size]) for size in sizes]
    shown = ", ".join(f"{size:.0e}: {1000 * cost:.4g}" for size, cost in zip(sizes, medians, strict=True))
    print(f"{what:34} exponent {exponent(sizes, medians):5.2f}   ms {shown}", flush=True)


def starts(size: int) -> Callable[[], Any]:
    """Return a multistart of so many starts."""
    box = {"x": (-3.0, 3.0), "y": (-3.0, 3.0)}
    return lambda: ds.multistart("x⁴ - 8x² + x + y⁴ - 8y² + y", box, starts=size)


def coordinates(size: int) -> Callable[[], Any]:
    """Return a multistart in so many coordinates."""
    names = [f"x{number}" for number in range(1, size + 1)]
    text = " + ".join(f"{name}⁴ - 8{name}² + {name}" for name in names)
    return lambda: ds.multistart(text, dict.fromkeys(names, (-3.0, 3.0)), starts=2000)


def trials(size: int) -> Callable[[], Any]:
    """Return so many trial trainings of one structure."""
    setup = ds.Setup.of(None, "iris", hidden=(16,), steps=400, probe_every=0, layers_every=0)
    with Crew() as crew:
        return lambda: crew.results(Unit(_trial._run, setup, (seed, (), False)) for seed in range(size))


def table(rows: int) -> dict[str, np.ndarray]:
    """Return a table of so many rows."""
    random = np.random.default_rng(0)
    columns = {f"x{number}": random.normal(size=rows) for number in range(10)}
    return {**columns, "y": columns["x0"] + np.sin(columns["x1"])}


def reading(rows: int) -> Callable[[], Any]:
    """Return the reading of so many rows."""
    data = table(rows)
    return lambda: ds.examples(data, "y")


def surveying(folder: Path) -> Callable[[int], Callable[[], Any]]:
    """Return the function from a number of rows to the pass over a file of them that is streamed."""

    def prepared(rows: int) -> Callable[[], Any]:
        import polars

        file = folder / f"{rows}.parquet"
        polars.DataFrame(table(rows)).write_parquet(file, row_group_size=1 << 15)
        return lambda: ds.Setup.of(None, file, "y", streaming=True).task

    return prepared


def steps_of(rows: int) -> Callable[[], Any]:
    """Return 500 steps over so many rows in memory."""
    setup = ds.Setup.of(None, table(rows), "y", hidden=(32,), batch=64, steps=500, probe_every=0, layers_every=0)
    _ = setup.task
    return lambda: setup.train(progress=False)


def parameters(units: int) -> Callable[[], Any]:
    """Return 100 steps of a network of two layers of so many units."""
    setup = ds.Setup.of(None, "digits", hidden=(units, units), batch=64, steps=100, probe_every=0, layers_every=0)
    return lambda: setup.train(progress=False)


def layers(count: int) -> Callable[[], Any]:
    """Return 300 steps of a network of so many layers, all of them recorded."""
    setup = ds.Setup.of(None, "iris", hidden=(8,) * count, steps=300, probe_every=0, layers_every=1)
    return lambda: setup.train(progress=False)


def slopes() -> None:
    """Print all series."""
    series("starts of a multistart", [10_000, 20_000, 40_000, 80_000], starts)
    series("coordinates, 2000 starts", [2, 4, 8, 16], coordinates)
    series("trial trainings", [2, 4, 8, 16], trials)
    series("rows, read into memory", [10_000, 40_000, 160_000, 640_000], reading)
    with tempfile.TemporaryDirectory() as folder:
        series("rows, streamed: the pass before", [40_000, 160_000, 640_000, 1_280_000], surveying(Path(folder)))
    series("rows, 500 steps of 64", [1000, 10_000, 100_000, 1_000_000], steps_of)
    series("units², 100 steps of 64", [128, 256, 512, 1024], parameters)
    series("layers, 300 steps recorded", [2, 4, 8, 16], layers)
