"""Do both engines give the same numbers? Generated formulas by every method, in NumPy and in JAX.

The largest relative difference of a coordinate over the first 50 steps is printed by method, with how often outcome and
findings differ. Two engines round differently: their exponentials and sines differ in the last digit, and one of them
multiplies and adds in one operation. Where a path multiplies such a difference, as line searches do along a kink or
from a point without curvature, no two programs agree. So each pair that differs is held against the evidence: the
descent in NumPy, repeated with the last digit of every point, value and slope drawn at random. A difference within what
that does to the path is the path's own; what exceeds it is listed as unexplained.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from generated_formulas import generated
from timing import arguments, machine, publish, table

import downslope as ds
from downslope.descent import NumericObjective

ARTICLE = [
    ("f(x) = x² - 4x + 5", {"x": 0.0}),
    ("f(x) = x²", {"x": 10.0}),
    ("f(x, y) = x² + 2y²", {"x": 4.0, "y": 3.0}),
    ("P(p) = 20p² - 200p + 300", {"p": 0.0}),
    ("f(x, y) = x² - y²", {"x": 1.0, "y": 0.1}),
]
TOLERANCE = 1e-12
LAST_DIGIT = 2.0**-52
SHAKEN, MOST_SHAKEN = 8, 64  # descents with their last digits drawn at random; the most where eight explain nothing
BEYOND = 10.0  # times the largest difference among them: what they may have missed


def descent(text: str, start: dict[str, float], method: Any, steps: int, engine: Any) -> ds.Trace:
    """Return the descent in one engine."""
    return ds.descend(text, start, method=method, steps=steps, engine=engine, progress=False)


def apart(one: ds.Trace, other: ds.Trace) -> float:
    """Return the largest difference of a coordinate, relative to the larger one or the largest on the path."""
    ours, theirs = np.asarray(one.coordinates), np.asarray(other.coordinates)
    rows = min(len(ours), len(theirs))
    first, second = ours[:rows], theirs[:rows]
    sizes = np.maximum(np.abs(first), np.abs(second))
    scale = np.maximum(sizes, np.min([np.max(np.abs(path), axis=0) for path in (first, second)], axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nanmax(np.abs(first - second) / np.where(scale > 0, scale, 1.0), initial=0.0))


def end_of(trace: ds.Trace) -> list[Any]:
    """Return the outcome and the number of steps, as they are compared."""
    return [trace.outcome.name, trace.last_step]


def findings_of(trace: ds.Trace) -> list[str]:
    """Return the symptoms, as they are compared."""
    return [finding.symptom for finding in ds.diagnose(trace)]


@contextlib.contextmanager
def shaken(seed: int) -> Iterator[None]:
    """Let the last digits of a point and of what NumPy returns of an objective there be random.

    Rounding inside an evaluation does as much: what is computed is nearly the exact result at nearly that point.
    """
    draw = np.random.default_rng(seed)
    exact = NumericObjective.value_and_gradient, NumericObjective.hessian

    def rounded(number: Any) -> Any:
        return number * (1 + LAST_DIGIT * draw.integers(-1, 2, np.shape(number)))

    def value_and_gradient(goal: NumericObjective, vector: np.ndarray) -> Any:
        return tuple(rounded(part) for part in exact[0](goal, rounded(vector)))

    def hessian(goal: NumericObjective, vector: np.ndarray) -> Any:
        matrix = rounded(exact[1](goal, rounded(vector)))
        return np.tril(matrix) + np.tril(matrix, -1).T

    with (
        mock.patch.object(NumericObjective, "value_and_gradient", value_and_gradient),
        mock.patch.object(NumericObjective, "hessian", hessian),
    ):
        yield


def compared(text: str, start: dict[str, float], method: Any, steps: int) -> dict[str, Any]:
    """Return how far the engines differ by a method and, where they do, how far NumPy does from itself."""
    in_numpy, in_jax = (descent(text, start, method, steps, engine) for engine in ("numpy", "jax"))
    result: dict[str, Any] = {
        "apart": apart(in_numpy, in_jax),
        "same_end": end_of(in_numpy) == end_of(in_jax),
        "same_findings": findings_of(in_numpy) == findings_of(in_jax),
    }
    if result["apart"] <= TOLERANCE and result["same_end"] and result["same_findings"]:
        return result
    result |= {"own_apart": 0.0, "own_ends": False, "own_findings": False}
    for seed in range(MOST_SHAKEN):
        if seed >= SHAKEN and explained(result):
            break
        with shaken(seed):
            other = descent(text, start, method, steps, "numpy")
        result["own_apart"] = max(result["own_apart"], apart(other, in_numpy))
        result["own_ends"] |= end_of(other) != end_of(in_numpy)
        result["own_findings"] |= findings_of(other) != findings_of(in_numpy)
    return result


def explained(result: dict[str, Any]) -> bool:
    """Tell whether the engines differ by no more than NumPy does from itself when its last digits are shaken."""
    return (
        (result["apart"] <= TOLERANCE or result["apart"] <= BEYOND * result["own_apart"])
        and (result["same_end"] or result["own_ends"])
        and (result["same_findings"] or result["own_findings"])
    )


def agrees(result: dict[str, Any]) -> bool:
    """Tell whether the engines agree in the path, the end and the findings."""
    return bool(result["apart"] <= TOLERANCE and result["same_end"] and result["same_findings"])


def row_of(method: str, results: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the row of a method."""
    distances = np.array([result["apart"] for result in results])
    differing = [result for result in results if not agrees(result)]
    own = sum(explained(result) for result in differing)
    return (
        method,
        f"{np.mean(distances <= TOLERANCE):.1%}",
        f"{np.mean([result['same_end'] for result in results]):.1%}",
        f"{np.mean([result['same_findings'] for result in results]):.1%}",
        f"{np.median(distances):.0e}",
        f"{len(results) - len(differing)} of {len(results)}",
        str(own),
        str(len(differing) - own),
    )


HEADS = (
    "method",
    "within 1e-12",
    "same outcome",
    "same findings",
    "median difference",
    "agree in all",
    "differ as NumPy from itself",
    "unexplained",
)


def main() -> None:
    """Compare the engines and print a row for each method."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--formulas", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--method", action="append", help="a method; all of them if none is named")
    parser.add_argument("--every", type=int, default=1, help="compare every k-th formula")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--keep", type=Path, help="a file of lines, one for each comparison; those in it are not made")
    given = parser.parse_args()
    problems = [*ARTICLE, *generated(given.formulas, given.seed)]
    known: dict[tuple[int, str], dict[str, Any]] = {}
    if given.keep is not None and given.keep.exists():
        lines = [json.loads(line) for line in given.keep.read_text(encoding="utf-8").splitlines()]
        known = {(line["formula"], line["method"]): line for line in lines}
    for number in range(given.first, len(problems), given.every):
        text, start = problems[number]
        for method in given.method or ds.method_names():
            if (number, method) in known:
                continue
            result = {"formula": number, "method": method, **compared(text, start, method, given.steps)}
            known[number, method] = result
            if given.keep is not None:
                with given.keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
            if not agrees(result):
                print(f"{'explained' if explained(result) else 'UNEXPLAINED'}: {result}: {text} from {start}")
        ds.clear_caches()
    by_method = defaultdict(list)
    for (_, method), result in known.items():
        by_method[method].append(result)
    order = [method for method in ds.method_names() if method in by_method]
    rows = [row_of(method, by_method[method]) for method in order]
    rows.append(row_of("all", [result for results in by_method.values() for result in results]))
    count = len({number for number, _ in known})
    about = f"{machine()}; {len(known)} pairs of descents of {count} formulas, {given.steps} steps."
    publish(given, "engines", f"{about}\n\n{table(HEADS, rows)}", {"rows": rows})


if __name__ == "__main__":
    main()
