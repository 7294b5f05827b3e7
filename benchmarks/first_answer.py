"""Milliseconds to the first answer about a formula that was never seen, in a process that is running.

Each round takes another formula, so that nothing is compiled or cached before. Beside ours stand the peers that answer
the same question of the same formula: JAX, which compiles a gradient descent; SciPy's BFGS on a lambda; SymPy's
derivative of its text. Seconds of the processor, not of the clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from generated_formulas import generated
from timing import arguments, machine, publish, table

import downslope as ds


def picture(text: str, start: dict[str, float]) -> Any:
    """Descend, judge, and return the heights that the picture shows."""
    trace = ds.descend(text, start, steps=100, learning_rate=0.01, progress=False)
    box = ds.draw.box(trace, tuple(start))
    over = ds.draw.grid(text, bounds=box) if len(start) == 2 else None
    return trace, ds.diagnose(trace), over


def by_jax(text: str, start: dict[str, float]) -> Any:
    """Take a hundred steps of gradient descent in one compiled program."""
    return ds.descend(text, start, steps=100, learning_rate=0.01, engine="jax", progress=False)


def by_scipy(text: str, start: dict[str, float]) -> Any:
    """Minimise by SciPy's BFGS, with differences for the gradient."""
    from scipy.optimize import minimize

    read = ds.formula(text)
    names = read.variables
    return minimize(lambda x: read(dict(zip(names, x, strict=True))), [start[name] for name in names], method="BFGS")


def by_sympy(text: str, start: dict[str, float]) -> Any:
    """Differentiate by SymPy."""
    read = ds.formula(text)
    return [read.expression.diff(symbol) for symbol in sorted(read.expression.free_symbols, key=str)]


RUNS: dict[str, Callable[[str, dict[str, float]], Any]] = {
    "descent, verdict and landscape": picture,
    "the same descent, compiled by JAX": by_jax,
    "SciPy BFGS": by_scipy,
    "slope": lambda text, start: ds.slope(text, start),
    "backprop": lambda text, start: ds.backprop(text, start),
    "derivation by the first variable": lambda text, start: ds.derive(text, next(iter(start))),
    "SymPy's derivatives": by_sympy,
    "race of the usual methods": lambda text, start: ds.compare(text, start, steps=200),
}


def fit(rows: int, seed: int) -> None:
    """Fit a decay to a table of a new length."""
    random = np.random.default_rng(seed)
    x = np.linspace(0, 10, rows)
    data = {"x": x, "y": 3 * np.exp(-0.5 * x) + 1 + 0.05 * random.normal(size=rows)}
    ds.fit(data, "y = a·e^(-k·x) + c", start={"a": 2, "k": 1, "c": 0})


def main() -> None:
    """Time every answer once for each formula and print the medians."""
    given = arguments((__doc__ or "").splitlines()[0], rounds=9).parse_args()
    problems = generated(given.rounds + 1, seed=4)
    rows = []
    for name, run in RUNS.items():
        seconds = [_seconds(lambda run=run, text=text, start=start: run(text, start)) for text, start in problems]
        rows.append((name, *_numbers(seconds[1:])))
    lengths = [_seconds(lambda rows=rows_of: fit(rows, rows)) for rows_of in range(40, 41 + given.rounds)]
    rows.append(("fit of a table of a new length", *_numbers(lengths[1:])))
    heads = ("answer", "median, ms", "slowest, ms")
    text = f"{machine()}; {given.rounds} formulas, none seen before.\n\n{table(heads, rows)}"
    publish(given, "first_answer", text, {"rows": rows})


def _seconds(run: Callable[[], Any]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _numbers(seconds: list[float]) -> tuple[str, str]:
    return f"{1e3 * statistics.median(seconds):.1f}", f"{1e3 * max(seconds):.1f}"


if __name__ == "__main__":
    main()
