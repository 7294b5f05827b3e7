"""How often the lowest valley is found, at equal evaluations and at equal seconds, by us and by SciPy's five.

FILE holds functions typed as formulas, with bounds and the known minimum; one without bounds gets a box about its
start. Rastrigin, Ackley, Griewank and Schwefel in ten dimensions join them, shifted, and shifted and rotated. A run
succeeds when it meets a value within 1e-6 of the minimum (of its size, where that is above 1).

Every tool runs at its own settings, again and again with other seeds until it succeeds or both budgets are used up.
The peers call plain Python made for the formula (NumPy written by hand in ten dimensions), with its gradient where they
can use one. Our evaluation is a value and a gradient together; of the peers only values are counted.
"""

from __future__ import annotations

import json
import math
import signal
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize
from ten_dimensions import ten_dimensional
from timing import arguments, machine, publish, table

import downslope as ds

_CLOSE = 1e-6
_EVALUATIONS = 10_000  # for each dimension
_SECONDS = 1.0
_HARD = 5.0  # times the seconds after which a tool that hardly evaluates is stopped
_AROUND = 10.0  # half a side of a box about a start, in units of its size


@dataclass(frozen=True)
class Case:
    """A function to search.

    Args:
        name: what it is called.
        low, high: the box, shape (size,).
        enough: a value that counts as the minimum.
        value, gradient: for the peers, at a row.
        ours: what `ds.search` takes.
    """

    name: str
    low: np.ndarray
    high: np.ndarray
    enough: float
    value: Callable[[Any], float]
    gradient: Callable[[Any], Any]
    ours: Mapping[str, Any]

    @property
    def box(self) -> list[tuple[float, float]]:
        """The bounds as pairs."""
        return list(zip(self.low.tolist(), self.high.tolist(), strict=True))


class Done(Exception):  # noqa: N818 - it is no error
    """The function was met low enough, or the budgets are used up."""


class Meter:
    """The function as a peer calls it: counts, looks at the clock, and ends the run when there is reason to.

    Args:
        case: the function.
        evaluations: the most values.
        seconds: the most seconds; a run ends when both are used up.
    """

    def __init__(self, case: Case, evaluations: int, seconds: float) -> None:
        self._case, self._most, self._seconds = case, evaluations, seconds
        self.evaluations = 0
        self.success = False
        self.spent = 0.0
        self._began = time.perf_counter()

    def value(self, point: Any) -> float:
        """Return the value at a row."""
        found = self._case.value(point)
        self.evaluations += 1
        self.spent = time.perf_counter() - self._began
        self.success = found <= self._case.enough
        if self.success or (self.evaluations >= self._most and self.spent >= self._seconds):
            raise Done
        return found


def basinhopping(case: Case, meter: Meter, random: np.random.Generator) -> None:
    local = {"method": "L-BFGS-B", "jac": case.gradient, "bounds": case.box}
    start, step = random.uniform(case.low, case.high), 0.1 * float(np.mean(case.high - case.low))
    scipy.optimize.basinhopping(meter.value, start, minimizer_kwargs=local, stepsize=step, rng=random)


def dual_annealing(case: Case, meter: Meter, random: np.random.Generator) -> None:
    local = {"method": "L-BFGS-B", "jac": case.gradient, "bounds": case.box}
    scipy.optimize.dual_annealing(meter.value, case.box, minimizer_kwargs=local, rng=random)


def differential_evolution(case: Case, meter: Meter, random: np.random.Generator) -> None:
    scipy.optimize.differential_evolution(meter.value, case.box, rng=random)


def shgo(case: Case, meter: Meter, random: np.random.Generator) -> None:
    for doubling in range(12):  # its sampling by triangulation fills the memory in ten dimensions
        scipy.optimize.shgo(meter.value, case.box, n=100 << doubling, options={"jac": case.gradient})
    raise Done


def direct(case: Case, meter: Meter, random: np.random.Generator) -> None:
    scipy.optimize.direct(meter.value, case.box, maxfun=2_000_000, maxiter=1_000_000, vol_tol=0.0, len_tol=0.0)
    raise Done  # it knows no seed: another run would be the same


PEERS = {
    "basinhopping": basinhopping,
    "dual_annealing": dual_annealing,
    "differential_evolution": differential_evolution,
    "shgo": shgo,
    "direct": direct,
}


def peer(case: Case, seed: int, tool: str, evaluations: int, seconds: float) -> list[dict[str, Any]]:
    """Return a peer's run, as judged by evaluations and as judged by seconds."""
    meter = Meter(case, evaluations, seconds)
    random = np.random.default_rng(seed)
    try:
        with stopped_after(_HARD * seconds):
            while True:
                PEERS[tool](case, meter, random)
    except Done:
        pass
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):  # which ends the run where it is
        pass
    base = {"name": case.name, "seed": seed, "tool": tool, "evaluations": meter.evaluations, "seconds": meter.spent}
    return [
        base | {"budget": "evaluations", "success": meter.success and meter.evaluations <= evaluations},
        base | {"budget": "seconds", "success": meter.success and meter.spent <= seconds},
    ]


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Raise Done in what runs inside after some seconds."""

    def stop(_number: int, _frame: Any) -> None:
        raise Done

    sys.unraisablehook = lambda _: None  # what a callback swallows is raised again
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = sys.__unraisablehook__


def downslope(case: Case, seed: int, evaluations: int, seconds: float) -> list[dict[str, Any]]:
    """Return our runs: one held to evaluations, one to seconds."""
    runs = []
    budgets: dict[str, dict[str, Any]] = {
        "evaluations": {"evaluations": evaluations, "seconds": _HARD * seconds},
        "seconds": {"seconds": seconds},
    }
    for budget, limits in budgets.items():
        began = time.perf_counter()
        found = ds.search(**case.ours, seed=seed, confirmations=0, target=case.enough, **limits)
        spent = time.perf_counter() - began
        runs.append(
            {
                "name": case.name,
                "seed": seed,
                "tool": "downslope",
                "evaluations": found.evaluations_to_best if found.value <= case.enough else found.evaluations,
                "seconds": spent,
                "budget": budget,
                "success": found.value <= case.enough and (budget == "evaluations" or spent <= seconds),
            }
        )
    return runs


def case_of(problem: Mapping[str, Any]) -> Case:
    """Return a function of the file."""
    import sympy

    names = problem["variables"]
    if "bounds" in problem:
        low, high = np.array(problem["bounds"], float).T
    else:
        start = np.array(problem["start"], float)
        half = _AROUND * np.maximum(1.0, np.abs(start))
        low, high = start - half, start + half
    read = ds.formula(f"f({', '.join(names)}) = {problem['formula']}")
    symbols = [sympy.Symbol(name, real=True) for name in names]
    by_name: Any = {symbol: sympy.Symbol(str(symbol), real=True) for symbol in read.expression.free_symbols}
    expression = read.expression.subs(by_name)
    slopes = [sympy.diff(expression, symbol) for symbol in symbols]
    value, gradient = (sympy.lambdify(symbols, what, "math", cse=True) for what in (expression, slopes))
    return Case(
        problem["name"],
        low,
        high,
        _enough(problem["minimum_value"]),
        lambda row: _safe(value, row, math.inf),
        lambda row: np.array(_safe(gradient, row, [0.0] * len(names))),
        {"thing": read, "bounds": dict(zip(names, zip(low, high, strict=True), strict=True))},
    )


def _safe(function: Callable[..., Any], row: Any, otherwise: Any) -> Any:
    """Return a function at a row, something else where Python's own mathematics gives up."""
    try:
        return function(*row.tolist())
    except (OverflowError, ZeroDivisionError, ValueError, TypeError):
        return otherwise


def _enough(minimum: float) -> float:
    return minimum + _CLOSE * max(1.0, abs(minimum))


def ten_dimensional_cases(seed: int) -> list[Case]:
    """Return the four in ten dimensions, shifted, and shifted and rotated."""
    return [
        Case(
            one.name,
            one.low,
            one.high,
            _enough(0.0),
            one.value,
            one.gradient,
            {"thing": ds.objective(one.traced), "bounds": ({"x": one.low}, {"x": one.high})},
        )
        for one in ten_dimensional(seed)
    ]


def share(runs: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of runs that succeeded."""
    return sum(one["success"] for one in runs) / len(runs)


def reached_by(runs: Sequence[Mapping[str, Any]], wanted: float) -> float:
    """Return the seconds by which a share of the runs had succeeded, ∞ if it never was."""
    times = sorted(one["seconds"] for one in runs if one["success"])
    needed = math.ceil(wanted * len(runs) - 1e-9)
    return times[needed - 1] if 0 < needed <= len(times) else math.inf


def summary(runs: list[dict[str, Any]], tools: Sequence[str], evaluations: int, seconds: float) -> str:
    """Return the table, and how much sooner the best peer's success is reached."""
    rows = []
    of = {
        (tool, kind): [one for one in runs if one["tool"] == tool and one["budget"] == kind]
        for tool in tools
        for kind in ("evaluations", "seconds")
    }
    for tool in tools:
        good = [one for one in of[tool, "seconds"] if one["success"]]
        rows.append(
            (
                tool,
                f"{100 * share(of[tool, 'evaluations']):.1f} %",
                f"{100 * share(of[tool, 'seconds']):.1f} %",
                f"{statistics.median(one['evaluations'] for one in good):.0f}" if good else "–",
                f"{statistics.median(one['seconds'] for one in good):.4f}" if good else "–",
            )
        )
    heads = (
        "tool",
        f"found in {evaluations} evaluations a dimension",
        f"found in {seconds:g} s",
        "median evaluations",
        "median seconds",
    )
    count = len({one["name"] for one in runs})
    seeds = len({one["seed"] for one in runs})
    text = f"{machine()}; {count} functions, {seeds} seeds each, our programs compiled before.\n\n{table(heads, rows)}"
    others = [tool for tool in tools if tool != "downslope"]
    if not others or "downslope" not in tools:
        return text
    best = max(others, key=lambda tool: share(of[tool, "seconds"]))
    wanted = share(of[best, "seconds"])
    theirs, own = reached_by(of[best, "seconds"], wanted), reached_by(of["downslope", "seconds"], wanted)
    return (
        f"{text}\n\nThe best peer by seconds, {best}, comes to {100 * wanted:.1f} % after {theirs:.2f} s; downslope "
        f"has found as many after {own:.3f} s, {theirs / own:.0f} times sooner."
    )


def main() -> None:
    """Search every function with every tool and print the table."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the functions, as JSON")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each tool on each function")
    parser.add_argument("--evaluations", type=int, default=_EVALUATIONS, help="the most, for each dimension")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="the most for each run")
    parser.add_argument(
        "--only", action="append", choices=["downslope", *PEERS], help="a tool to run; all if not given"
    )
    given = parser.parse_args()
    problems = json.loads(given.file.read_text(encoding="utf-8"))["functions"]
    cases = [*map(case_of, problems), *ten_dimensional_cases(0)]
    tools = given.only or ["downslope", *PEERS]
    runs: list[dict[str, Any]] = []
    compiled = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in cases:
            most = given.evaluations * len(case.low)
            began = time.perf_counter()
            if "downslope" in tools:
                ds.search(**case.ours, seconds=0.01, evaluations=1)
                ds.search(**case.ours, seconds=0.01, confirmations=0)
                compiled.append(time.perf_counter() - began)
            line = []
            for tool in tools:
                mine: list[dict[str, Any]] = []
                for seed in range(given.seeds):
                    mine += (
                        downslope(case, seed, most, given.seconds)
                        if tool == "downslope"
                        else peer(case, seed, tool, most, given.seconds)
                    )
                runs += mine
                counts = [
                    sum(one["success"] for one in mine if one["budget"] == kind) for kind in ("evaluations", "seconds")
                ]
                line.append(f"{tool} {counts[0]}/{counts[1]}")
            print(f"{case.name:<28} {', '.join(line)}", flush=True)
    text = summary(runs, tools, given.evaluations, given.seconds)
    if compiled:
        text += f"\n\nCompiling takes {statistics.median(compiled):.1f} s for a new function (median), and is kept."
    publish(given, "global_search", text, {"runs": runs})


if __name__ == "__main__":
    main()
