"""Agreeing digits of fits with certified answers, from published starts and from none, for us and for SciPy and lmfit.

FILE holds cases, which `fit_cases` judges, or problems: a formula of columns and parameters, two starts, certified
parameters and standard deviations. A run without a start begins at ones where a tool must have one. The peers call the
same formula through NumPy, without a Jacobian, at their own settings.
"""

from __future__ import annotations

import json
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fit_cases
import numpy as np
from timing import arguments, machine, publish, table

import downslope as ds
from downslope.formulas import equation

_MOST_DIGITS = 11.0  # as many as the certified figures have
_BELOW_ROUNDING = 1e-20  # a certified sum of squares so small says nothing of standard deviations
_NEEDED, _NEEDED_OF_DEVIATIONS = 6, 4


class Answer(NamedTuple):
    """What a tool found: parameters, their standard deviations, how it ended."""

    parameters: Mapping[str, float]
    deviations: Mapping[str, float]
    outcome: str


class Case:
    """A problem as the peers take it: a function of the columns and the parameters.

    Args:
        problem: an entry of the file.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = problem
        self.columns = {name: np.array(column, float) for name, column in problem["columns"].items()}
        read = equation(problem["formula"], self.columns)
        self.names = tuple(problem["certified"])
        self.measured = read.left(**{name: self.columns[name] for name in read.left.columns})
        self._right = read.right
        self._inputs = {name: self.columns[name] for name in read.right.columns}

    def predicted(self, values: Any) -> np.ndarray:
        """Return the model's side."""
        return self._right(**self._inputs, **dict(zip(self.names, values, strict=True)))

    def first(self, start: Mapping[str, float] | None) -> list[float]:
        """Return a start as a row, ones for none."""
        return [1.0 if start is None else float(start[name]) for name in self.names]


def downslope(case: Case, start: Mapping[str, float] | None) -> Answer:
    found = ds.fit(case.problem["formula"], case.columns, start=start)
    return Answer(found.values, found.standard_errors, found.trace.outcome.identifier)


def curve_fit(case: Case, start: Mapping[str, float] | None) -> Answer:
    from scipy.optimize import curve_fit as scipy_curve_fit

    values, covariance = scipy_curve_fit(
        lambda _, *values: case.predicted(values), np.arange(len(case.measured)), case.measured, case.first(start)
    )
    return _answer(case, values, np.sqrt(np.diag(covariance)), "ended")


def least_squares(case: Case, start: Mapping[str, float] | None) -> Answer:
    from scipy.optimize import least_squares as scipy_least_squares

    ended = scipy_least_squares(lambda values: case.predicted(values) - case.measured, case.first(start))
    freedom = len(case.measured) - len(case.names)
    covariance = np.linalg.pinv(ended.jac.T @ ended.jac) * 2 * ended.cost / freedom
    return _answer(case, ended.x, np.sqrt(np.diag(covariance)), f"status {ended.status}")


def lmfit(case: Case, start: Mapping[str, float] | None) -> Answer:
    from lmfit import Parameters, minimize

    parameters = Parameters()
    for name, value in zip(case.names, case.first(start), strict=True):
        parameters.add(name, value=value)
    ended: Any = minimize(
        lambda now: case.predicted([now[name].value for name in case.names]) - case.measured, parameters
    )
    values = [ended.params[name].value for name in case.names]
    errors = [ended.params[name].stderr or math.nan for name in case.names]
    return _answer(case, values, errors, "success" if ended.success else "failed")


def _answer(case: Case, values: Any, errors: Any, outcome: str) -> Answer:
    return Answer(
        dict(zip(case.names, map(float, values), strict=True)),
        dict(zip(case.names, map(float, errors), strict=True)),
        outcome,
    )


TOOLS: Mapping[str, Callable[[Case, Mapping[str, float] | None], Answer]] = {
    "downslope": downslope,
    "curve_fit": curve_fit,
    "least_squares": least_squares,
    "lmfit": lmfit,
}


def digits(found: Mapping[str, float], certified: Mapping[str, float]) -> float:
    """Return the fewest agreeing digits, from 0 to 11."""
    return min(_agreeing(found.get(name, math.nan), wanted) for name, wanted in certified.items())


def _agreeing(found: float, wanted: float) -> float:
    if not math.isfinite(found):
        return 0.0
    away = abs(found - wanted) / abs(wanted) if wanted else abs(found)
    return min(max(-math.log10(away), 0.0), _MOST_DIGITS) if away else _MOST_DIGITS


def run(case: Case, start: Mapping[str, float] | None, called: Any, tool: str) -> dict[str, Any]:
    """Return one run: how well, how long at first and when run again, and how it ended."""
    problem = case.problem
    seconds = []
    answer = Answer({}, {}, "")
    for _ in range(2):
        began = time.perf_counter()
        try:
            answer = TOOLS[tool](case, start)
        except Exception as error:  # a peer may end in any of its own errors, which is a result
            answer = Answer({}, {}, f"{type(error).__name__}: {error}".splitlines()[0])
        seconds.append(time.perf_counter() - began)
    tells = problem["residual_sum_of_squares"] > _BELOW_ROUNDING
    deviations = digits(answer.deviations, problem["certified_standard_deviation"]) if tells else None
    return {
        "name": problem["name"],
        "start": called,
        "tool": tool,
        "digits": digits(answer.parameters, problem["certified"]),
        "digits_standard_deviation": deviations,
        "seconds": seconds[0],
        "seconds_again": seconds[1],
        "outcome": answer.outcome,
    }


def summary(runs: list[dict[str, Any]], count: int) -> str:
    """Return the table: how many runs reached the digits, and the median times."""
    rows = []
    for tool in TOOLS:
        for kind, called in (("published", (1, 2)), ("none", ("none",))):
            of_kind = [one for one in runs if one["tool"] == tool and one["start"] in called]
            if not of_kind:
                continue
            right = [one for one in of_kind if one["digits"] >= _NEEDED]
            sure = [
                one
                for one in of_kind
                if (one["digits_standard_deviation"] or 0.0) >= _NEEDED_OF_DEVIATIONS
                or (one["digits_standard_deviation"] is None and one["digits"] >= _NEEDED)
            ]
            rows.append(
                (
                    f"{tool}, {'published starts' if kind == 'published' else 'no start'}",
                    f"{len(right)} of {len(of_kind)}",
                    f"{len(sure)} of {len(of_kind)}",
                    f"{statistics.median(one['seconds'] for one in of_kind):.3f}",
                    f"{statistics.median(one['seconds_again'] for one in of_kind):.4f}",
                )
            )
    heads = ("tool", f"≥ {_NEEDED} digits", f"errors ≥ {_NEEDED_OF_DEVIATIONS} digits", "seconds", "seconds again")
    return f"{machine()}; {count} problems; medians of a first run and of the same run again.\n\n{table(heads, rows)}"


def main() -> None:
    """Fit every problem from every start with every tool, and print the table."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the problems, as JSON")
    parser.add_argument("--only", action="append", choices=TOOLS, help="a tool to run; all if not given")
    given = parser.parse_args()
    contents = json.loads(given.file.read_text(encoding="utf-8"))
    if "cases" in contents:
        results = fit_cases.judged(contents["cases"])
        for result in results:
            print(f"{result['id']:<24} {'; '.join(result['faults']) or 'right'}")
        publish(given, "fit_cases", fit_cases.report(results), {"results": results})
        return
    problems = contents["problems"]
    runs = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for problem in problems:
            case = Case(problem)
            for called, start in ((1, problem["start_1"]), (2, problem["start_2"]), ("none", None)):
                runs += [run(case, start, called, tool) for tool in given.only or TOOLS]
    for one in runs:
        if one["tool"] == "downslope":
            deviations = one["digits_standard_deviation"]
            shown = "–" if deviations is None else f"{deviations:.1f}"
            print(f"{one['name']:<12} {one['start']!s:<5} {one['digits']:5.1f} digits, errors {shown:>4}, ", end="")
            print(f"{one['seconds']:.3f} s, {one['outcome']}")
    publish(given, "fits", summary(runs, len(problems)), {"runs": runs})


if __name__ == "__main__":
    main()
