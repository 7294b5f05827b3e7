"""Time 10 000 starts × 1000 steps of gradient descent, against other ways to write the batch.

Two-dimensional Rosenbrock and ten-dimensional Rastrigin, in float64, each start its own descent at one fixed rate. The
native loop is C in blocks that fit the cache, compiled with -O3 and -ffast-math, on one thread and on two. NumPy works
on whole arrays with the gradient written by hand, PyTorch with its own gradient.
"""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from native import library
from timing import arguments, interleaved, machine, median_ratio, publish, table

import downslope as ds
from downslope.ensembles._descents import DescentKind, ManyStarts, ends_of
from downslope.ensembles._lanes import count
from downslope.ensembles._space import space_of
from downslope.executors import Crew

STARTS, STEPS = 10_000, 1000
RATES = {"Rosenbrock": 1e-4, "Rastrigin": 1e-4}
SIZES = {"Rosenbrock": 2, "Rastrigin": 10}
FORMULAS = {
    "Rosenbrock": "f(x1, x2) = 100(x2 - x1²)² + (1 - x1)²",
    "Rastrigin": "100 + " + " + ".join(f"x{i}² - 10cos(2π x{i})" for i in range(1, 11)),
}
NATIVE = """
#include <math.h>
#include <pthread.h>
#define BLOCK 256
static void rosenbrock(double *p, long n, long first, long last, long steps, double rate) {
    double *X = p, *Y = p + n;
    for (long b = first; b < last; b += BLOCK) {
        long end = b + BLOCK < last ? b + BLOCK : last;
        for (long s = 0; s < steps; s++) for (long i = b; i < end; i++) {
            double a = Y[i] - X[i] * X[i], gx = -400 * X[i] * a - 2 * (1 - X[i]), gy = 200 * a;
            X[i] -= rate * gx; Y[i] -= rate * gy;
        }
    }
}
static void rastrigin(double *p, long n, long first, long last, long steps, double rate) {
    const double turn = 6.283185307179586, lift = 62.83185307179586;
    for (long b = 10 * first; b < 10 * last; b += BLOCK) {
        long end = b + BLOCK < 10 * last ? b + BLOCK : 10 * last;
        for (long s = 0; s < steps; s++)
            for (long i = b; i < end; i++) p[i] -= rate * (2 * p[i] + lift * sin(turn * p[i]));
    }
}
typedef struct { double *p; long n, first, last, steps; double rate; int which; } Work;
static void *work(void *given) {
    Work *w = given;
    (w->which ? rastrigin : rosenbrock)(w->p, w->n, w->first, w->last, w->steps, w->rate);
    return 0;
}
void descend(double *p, long n, long steps, double rate, int which, int threads) {
    Work first = {p, n, 0, threads > 1 ? n / 2 : n, steps, rate, which}, second = {p, n, n / 2, n, steps, rate, which};
    pthread_t other;
    if (threads > 1) pthread_create(&other, 0, work, &second);
    work(&first);
    if (threads > 1) pthread_join(other, 0);
}
"""


def native(name: str, starts: np.ndarray, threads: int) -> Callable[[], np.ndarray] | None:
    """Return the native loop on so many threads, or None where there is no C compiler."""
    loaded = library(NATIVE, ["-ffast-math", "-lm", "-lpthread"])
    if loaded is None:
        return None
    pointer = ctypes.POINTER(ctypes.c_double)
    loaded.descend.argtypes = [pointer, ctypes.c_long, ctypes.c_long, ctypes.c_double, ctypes.c_int, ctypes.c_int]
    loaded.descend.restype = None
    columns = np.ascontiguousarray(starts.T)

    def run() -> np.ndarray:
        points = columns.copy()
        which = int(name == "Rastrigin")
        loaded.descend(points.ctypes.data_as(pointer), STARTS, STEPS, RATES[name], which, threads)
        return points.T

    return run


def numpy_batched(name: str, starts: np.ndarray) -> Callable[[], np.ndarray]:
    """Return NumPy on whole arrays."""

    def rosenbrock() -> np.ndarray:
        x, y = starts[:, 0].copy(), starts[:, 1].copy()
        for _ in range(STEPS):
            above = y - x * x
            slope_x, slope_y = -400 * x * above - 2 * (1 - x), 200 * above
            x -= RATES[name] * slope_x
            y -= RATES[name] * slope_y
        return np.column_stack([x, y])

    def rastrigin() -> np.ndarray:
        points = starts.copy()
        for _ in range(STEPS):
            points -= RATES[name] * (2 * points + 20 * np.pi * np.sin(2 * np.pi * points))
        return points

    return rosenbrock if name == "Rosenbrock" else rastrigin


def torch_batched(name: str, starts: np.ndarray) -> Callable[[], np.ndarray] | None:
    """Return PyTorch on whole tensors, or None where there is no PyTorch."""
    try:
        import torch  # pyright: ignore[reportMissingImports]  # a peer, which make bench installs
    except ImportError:
        return None

    def value(points: Any) -> Any:
        if name == "Rosenbrock":
            x, y = points[:, 0], points[:, 1]
            return (100 * (y - x**2) ** 2 + (1 - x) ** 2).sum()
        return (points**2 - 10 * torch.cos(2 * torch.pi * points)).sum()

    def run() -> np.ndarray:
        points = torch.tensor(starts, requires_grad=True)
        for _ in range(STEPS):
            (slope,) = torch.autograd.grad(value(points), points)
            with torch.no_grad():
                points -= RATES[name] * slope
        return points.detach().numpy()

    return run


def downslope(name: str, starts: np.ndarray) -> Callable[[], np.ndarray]:
    """Return our descents, without what gathers their ends into valleys."""
    space = space_of(ds.objective(FORMULAS[name]), None, spread=1.0)
    order = [int(one[1:]) - 1 for one in space.layout.names]
    ours, back = np.ascontiguousarray(starts[:, order]), np.argsort(order)
    how = ds.method("gradient descent")
    kind = DescentKind(space, "jax", how, RATES[name], STEPS)

    def run() -> np.ndarray:
        with Crew(threads=count) as crew:
            return ends_of(ManyStarts(kind, len(ours), points=ours), crew).points[:, back]

    return run


def measured(name: str, rounds: int) -> dict[str, dict[str, float | None]]:
    """Return seconds and ratios of every way, after checking that all end at the same points."""
    starts = np.random.default_rng(0).uniform(-2, 2, (STARTS, SIZES[name]))
    two = "native loop (C), two threads"
    runs: dict[str, Callable[[], Any] | None] = {
        two: native(name, starts, 2),
        "native loop (C), one thread": native(name, starts, 1),
        "downslope": downslope(name, starts),
        "NumPy, batched": numpy_batched(name, starts),
        "PyTorch, batched": torch_batched(name, starts),
    }
    for missing in [one for one, run in runs.items() if run is None]:
        print(f"left out: {missing} (not installed here)")
        del runs[missing]
    there = {one: run for one, run in runs.items() if run is not None}
    wanted = there["NumPy, batched"]()
    for one, run in there.items():
        away = float(np.abs(run() - wanted).max())
        assert away < 1e-6, f"{one} ends {away} away from NumPy"
    seconds = interleaved(there, rounds)
    base, own = seconds.get(two), seconds["downslope"]
    return {
        one: {
            "seconds": statistics.median(row),
            "ratio_to_native": median_ratio(row, base) if base else None,
            "ratio_to_downslope": median_ratio(row, own),
        }
        for one, row in seconds.items()
    }


def main() -> None:
    """Time every way on both functions and print the ratios."""
    given = arguments((__doc__ or "").splitlines()[0]).parse_args()
    texts, results = [], {}
    for name in FORMULAS:
        results[name] = measured(name, given.rounds)
        rows = [
            (
                one,
                f"{1e3 * (found['seconds'] or 0):.1f}",
                "" if found["ratio_to_native"] is None else f"{found['ratio_to_native']:.2f}",
                f"{found['ratio_to_downslope']:.2f}",
            )
            for one, found in results[name].items()
        ]
        heads = ("batch", "ms", "native = 1", "downslope = 1")
        texts.append(f"{name} in {SIZES[name]} dimensions:\n\n{table(heads, rows)}")
    text = f"{machine()}; medians of {given.rounds} interleaved runs.\n\n" + "\n\n".join(texts)
    publish(given, "ensembles", text, {"starts": STARTS, "steps": STEPS, "rows": results})


if __name__ == "__main__":
    main()
