"""Ten formulas with many critical points each: `python benchmarks/critical.py`.

Five waves of one variable and five landscapes of two, their coefficients drawn from a seed, with five to thirty
critical points each. For each it prints how many points `ds.critical_points` lists, whether it proves that there are no
others, and the seconds of the CPU; beside it how many of these points `scipy.optimize.minimize` reaches from 200 random
starts on ‖∇f‖², and SymPy's `solve` within a time limit, in the same run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import optimize

import downslope as ds

_STARTS = 200
_SAME = 1e-4  # distance within which two points are one
_FEWEST, _MOST = 5, 30


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the coefficients")
    parser.add_argument("--seconds", type=float, default=20.0, help="time limit for SymPy, each")
    options = parser.parse_args()
    print(f"{'points':>6}  {'ours':>16}  {'SciPy multistart':>18}  {'SymPy':>14}  formula")
    totals = np.zeros(3)
    proved = 0
    for text, box in formulas(np.random.default_rng(options.seed)):
        began = time.process_time()
        points = ds.critical_points(text, box)
        ours = time.process_time() - began
        proved += points.method == "proved"
        wanted = np.array([list(point.point.values()) for point in points])
        by_scipy, seconds = _timed(lambda text=text, box=box, wanted=wanted: _multistart(text, box, wanted))
        by_sympy, waited = _sympy(text, box, wanted, options.seconds)
        totals += (ours, seconds, waited)
        print(
            f"{len(points):6d}  {points.method:>8} {ours:5.2f} s  {by_scipy:4d} of {len(points):2d} {seconds:5.2f} s  "
            f"{by_sympy:>6} {waited:5.1f} s  {text}",
            flush=True,
        )
    print(
        f"proved {proved} of 10; seconds of the CPU: ours {totals[0]:.2f}, SciPy {totals[1]:.2f}; SymPy {totals[2]:.0f}"
    )


def formulas(rng: np.random.Generator) -> Iterator[tuple[str, dict[str, tuple[float, float]]]]:
    """Yield ten formulas with their boxes, each with five to thirty critical points."""
    makers: list[Callable[[np.random.Generator], tuple[str, dict[str, tuple[float, float]]]]] = [_wave] * 5 + [
        _hills
    ] * 5
    for make in makers:
        while True:
            text, box = make(rng)
            if _FEWEST <= len(ds.critical_points(text, box)) <= _MOST:
                yield text, box
                break


def _number(rng: np.random.Generator, low: float, high: float) -> str:
    return f"{rng.uniform(low, high):.2f}"


def _wave(rng: np.random.Generator) -> tuple[str, dict[str, tuple[float, float]]]:
    """Return a formula of one variable: waves, a bowl, a bump, sometimes a kink."""
    a, b, c, d = _number(rng, 1, 3), _number(rng, 0.5, 2), _number(rng, 0.5, 3), _number(rng, 5, 30)
    rest = rng.choice([f"x²/{d}", f"{c}e^(-x²/{d})", f"|x - {b}|/{a}", f"{c}x/(1 + x²)", f"ln(1 + x²)/{b}"])
    return f"{c}sin({a}x) + {b}cos({b}x) + {rest}", {"x": (-8, 8)}


def _hills(rng: np.random.Generator) -> tuple[str, dict[str, tuple[float, float]]]:
    """Return a formula of two variables: products of waves, polynomials, bumps."""
    a, b, c, d = _number(rng, 0.8, 2), _number(rng, 0.8, 2), _number(rng, 0.3, 1.5), _number(rng, 0.2, 2)
    kind = rng.integers(3)
    if kind == 0:
        return f"sin({a}x)·cos({b}y) + {c}x/3 - y²/{float(d) + 8:.2f}", {"x": (-4, 4), "y": (-4, 4)}
    if kind == 1:
        return f"x⁴ - {a}x² + {c}x·y + y⁴ - {b}y² + {d}x/9", {"x": (-2, 2), "y": (-2, 2)}
    return f"cos({a}x) + cos({b}y) + {c}x·y/4", {"x": (-5, 5), "y": (-5, 5)}


def _timed(call: Callable[[], int]) -> tuple[int, float]:
    began = time.process_time()
    return call(), time.process_time() - began


def _multistart(text: str, box: dict[str, tuple[float, float]], wanted: np.ndarray) -> int:
    """Return how many of the points minimising ‖∇f‖² from random starts reaches."""
    formula = ds.formula(text)
    gradient = [part.body for part in formula.gradient()]
    parts = [ds.Formula(name=None, variables=formula.variables, body=body) for body in gradient]
    low, high = np.array(list(box.values())).T

    def steepness(point: np.ndarray) -> float:
        at = dict(zip(formula.variables, point, strict=True))
        return float(sum(part(at) ** 2 for part in parts))

    rng = np.random.default_rng(1)
    reached = np.zeros(len(wanted), bool)
    for start in low + rng.random((_STARTS, len(low))) * (high - low):
        end = optimize.minimize(steepness, start, method="BFGS", options={"gtol": 1e-10})
        if end.fun < 1e-12:
            reached |= np.all(np.abs(wanted - end.x) < _SAME, axis=1)
    return int(reached.sum())


def _sympy(text: str, box: dict[str, tuple[float, float]], wanted: np.ndarray, limit: float) -> tuple[str, float]:
    """Return how many of the points SymPy's solve gives within a time limit, and the seconds."""
    queue: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=_solve, args=(text, wanted, queue))
    began = time.perf_counter()
    process.start()
    process.join(limit)
    waited = time.perf_counter() - began
    if process.is_alive():
        process.terminate()
        process.join()
        return "—", waited
    return (queue.get() if not queue.empty() else "error"), waited


def _solve(text: str, wanted: np.ndarray, queue: Any) -> None:
    """Put the number of points that SymPy's solve gives."""
    import sympy

    formula = ds.formula(text)
    symbols = [sympy.Symbol(name, real=True) for name in formula.variables]
    try:
        solutions = sympy.solve([formula.expression.diff(symbol) for symbol in symbols], symbols, dict=True)
        points = np.array([[float(solution[symbol]) for symbol in symbols] for solution in solutions])
    except Exception as error:  # whatever SymPy raises is an answer
        queue.put(type(error).__name__[:6])
        return
    near = [np.any(np.all(np.abs(points - point) < _SAME, axis=1)) for point in wanted] if len(points) else []
    queue.put(f"{int(np.sum(near))}")


if __name__ == "__main__":
    main()
