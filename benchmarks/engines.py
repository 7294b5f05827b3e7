"""Do both engines give the same numbers? Generated formulas by every method, in NumPy and in JAX.

The largest relative difference of a coordinate over the first 50 steps is printed by method, with how often outcome and
first finding differ. A method that draws on differences of gradients multiplies rounding: what is left of the distance
to the end is compared as well as the coordinate, so that 1e-12 means 1e-12 of the larger of the two.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import numpy as np
from generated_formulas import generated
from timing import arguments, machine, publish, table

import downslope as ds

ARTICLE = [
    ("f(x) = x² - 4x + 5", {"x": 0.0}),
    ("f(x) = x²", {"x": 10.0}),
    ("f(x, y) = x² + 2y²", {"x": 4.0, "y": 3.0}),
    ("P(p) = 20p² - 200p + 300", {"p": 0.0}),
    ("f(x, y) = x² - y²", {"x": 1.0, "y": 0.1}),
]
TOLERANCE = 1e-12


def difference(text: str, start: dict[str, float], method: Any, steps: int) -> tuple[float, bool, bool]:
    """Return the largest relative difference, and whether outcome and findings agree."""
    in_numpy, in_jax = (
        ds.descend(text, start, method=method, steps=steps, engine=engine, progress=False)
        for engine in ("numpy", "jax")
    )
    ours, theirs = np.asarray(in_numpy.coordinates), np.asarray(in_jax.coordinates)
    rows = min(len(ours), len(theirs))
    first, second = ours[:rows], theirs[:rows]
    scale = np.maximum(np.abs(second), np.max(np.abs(second), axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.nanmax(np.abs(first - second) / np.where(scale > 0, scale, 1.0), initial=0.0)
    findings = [[finding.symptom for finding in ds.diagnose(trace)] for trace in (in_numpy, in_jax)]
    return (
        float(apart),
        in_numpy.outcome is in_jax.outcome and rows == len(theirs),
        findings[0] == findings[1],
    )


def main() -> None:
    """Compare the engines and print a row for each method."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--formulas", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--method", action="append", help="a method; all of them if none is named")
    parser.add_argument("--verbose", action="store_true", help="print every difference")
    given = parser.parse_args()
    problems = [*ARTICLE, *generated(given.formulas, given.seed)]
    results = defaultdict(list)
    began = time.perf_counter()
    for text, start in problems:
        for method in given.method or ds.method_names():
            apart, same_end, same_findings = difference(text, start, method, given.steps)
            results[method].append((apart, same_end, same_findings))
            if given.verbose and (apart > TOLERANCE or not same_end or not same_findings):
                print(f"{method}: {apart:.2g}, ends {same_end}, findings {same_findings}: {text} from {start}")
        ds.clear_caches()
    rows = []
    for method, entries in results.items():
        apart, ends, findings = map(np.array, zip(*entries, strict=True))
        shares = [f"{np.mean(entry):.1%}" for entry in (apart <= TOLERANCE, ends, findings)]
        rows.append((method, shares[0], f"{np.median(apart):.0e}", f"{apart.max():.0e}", *shares[1:]))
    heads = ("method", "within 1e-12", "median difference", "largest", "same outcome", "same findings")
    about = f"{machine()}; {len(problems)} formulas, {given.steps} steps, {time.perf_counter() - began:.0f} seconds."
    publish(given, "engines", f"{about}\n\n{table(heads, rows)}", {"rows": rows})


if __name__ == "__main__":
    main()
