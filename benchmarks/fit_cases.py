"""Judge fits by cases with independently computed values: the share that is right, by kind.

A case holds an equation, a table, options of `fit`, and what is right: values and standard errors, ends of profile
intervals (null: open), derived quantities, χ², findings and words that must occur, or an error and its words.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from timing import table

import downslope as ds

_TOLERANCE = {"value": 1e-5, "error": 1e-3, "interval": 3e-3}
_SQUARES = 1e-6  # relative: the sum of squares is as low as it should be


def judged(cases: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each case its kind, its faults and its seconds."""
    results = []
    for case in cases:
        began = time.perf_counter()
        results.append(
            {"id": case["id"], "kind": case["kind"], "faults": faults(case), "seconds": time.perf_counter() - began}
        )
    return results


def report(results: list[dict[str, Any]]) -> str:
    """Return the table: the share of right cases, by kind."""
    rows = []
    for kind in dict.fromkeys(result["kind"] for result in results):
        of_kind = [result for result in results if result["kind"] == kind]
        right = sum(not result["faults"] for result in of_kind)
        rows.append((kind, f"{right} of {len(of_kind)}", f"{max(result['seconds'] for result in of_kind):.2f}"))
    right = sum(not result["faults"] for result in results)
    rows.append(("all", f"{right} of {len(results)}", f"{max(result['seconds'] for result in results):.2f}"))
    return table(("kind", "right", "longest seconds"), rows)


def faults(case: Mapping[str, Any]) -> list[str]:
    """Return in words what is wrong about the answer to a case; none if it is right."""
    data = {name: np.array(column) for name, column in case["data"].items()}
    options = {name: _option(name, value) for name, value in case.get("options", {}).items()}
    try:
        fit: Any = ds.fit(case["equation"], data, **options)
    except ds.DownslopeError as error:
        return _faults_of_error(case, error)
    except Exception as error:  # a fault of the product, whatever it is
        return [f"{type(error).__name__}: {error}"]
    return list(_faults_of_fit(case, fit))


def _option(name: str, value: Any) -> Any:
    if name == "bounds":
        return {key: tuple(ends) for key, ends in value.items()}
    return tuple(value) if name == "shared" else value


def _faults_of_error(case: Mapping[str, Any], error: Exception) -> list[str]:
    text = f"{error} {getattr(error, 'hint', '') or ''}"
    if case.get("judge") == "right_or_told" or "not_parameter" in case:
        return []
    if "must_raise" not in case:
        return [f"raised {type(error).__name__}: {text}"]
    missing = [words for words in case.get("must_say", ()) if not re.search(words, text, re.IGNORECASE)]
    return [f"the error does not say {words}: {text}" for words in missing]


def _faults_of_fit(case: Mapping[str, Any], fit: Any) -> Iterator[str]:
    if "must_raise" in case:
        yield "no error was raised"
    if case.get("not_parameter") in fit.values:
        yield f"{case['not_parameter']} is a parameter"
    told = case.get("judge") == "right_or_told" and not fit.findings.ok
    if case.get("judge") == "rss":
        low = fit.residual_sum_of_squares <= case["rss_at_most"]
        if fit.findings.ok and not (low and all(map(math.isfinite, fit.standard_errors.values()))):
            yield f"a sum of squares of {fit.residual_sum_of_squares}, errors {fit.standard_errors}, and no finding"
    elif not told:
        yield from _faults_of_values(case, fit)
    symptoms = {finding.symptom: finding for finding in fit.findings}
    yield from (f"no finding {symptom}" for symptom in case.get("must_find", ()) if symptom not in symptoms)
    if "must_name" in case and sorted(getattr(symptoms.get("undetermined"), "parts", ())) != sorted(case["must_name"]):
        yield f"undetermined names {getattr(symptoms.get('undetermined'), 'parts', None)}"
    if case.get("must_not_be_ok") and fit.findings.ok:
        yield "findings.ok is True"
    said = " ".join([*fit.notes, *(finding.sentence for finding in fit.findings)])
    if "must_tell" in case and not re.search(case["must_tell"], said, re.IGNORECASE):
        yield f"no note or finding says {case['must_tell']}: {said}"


def _faults_of_values(case: Mapping[str, Any], fit: Any) -> Iterator[str]:
    tolerance = {**_TOLERANCE, **case.get("tolerance", {})}
    renamings: list[Mapping[str, str]] = [{}, *case.get("alternatives", ())]
    by_renaming = [list(_faults_of_parameters(case, fit, tolerance, renaming)) for renaming in renamings]
    yield from min(by_renaming, key=len)
    for name, attribute in (
        ("residual_sum_of_squares", "residual_sum_of_squares"),
        ("degrees_of_freedom", "degrees_of_freedom"),
        ("chi_square", "chi_square"),
        ("reduced_chi_square", "reduced_chi_square"),
        ("p_value", "p_value"),
        ("deviance", "deviance"),
    ):
        if name not in case:
            continue
        value, right = getattr(fit, attribute, math.nan), case[name]
        least = name == "residual_sum_of_squares" and value <= right
        if not (least or math.isclose(value, right, rel_tol=1e-4, abs_tol=0.0)):
            yield f"{name} is {value}, not {right}"
    for quantity in case.get("derived", ()):
        yield from _faults_of_derived(quantity, fit, tolerance)


def _faults_of_parameters(
    case: Mapping[str, Any], fit: Any, tolerance: Mapping[str, float], renaming: Mapping[str, str]
) -> Iterator[str]:
    rights = case.get("right", {})
    intervals = fit.profile_intervals(case["level"]) if case.get("interval") == "profile" else {}
    values, errors = fit.values, fit.standard_errors
    for name, right in rights.items():
        source = renaming.get(name, name)
        sign, source = (-1, source[1:]) if source.startswith("-") else (1, source)
        if source not in values:
            yield f"there is no {source}"
            continue
        slack = right.get("error", 0.0) * 1e-6
        value, error = sign * values[source], errors[source]
        if not math.isclose(value, right["value"], rel_tol=tolerance["value"], abs_tol=slack + 1e-12):
            yield f"{name} is {value}, not {right['value']}"
        if "error" in right and not math.isclose(error, right["error"], rel_tol=tolerance["error"]):
            yield f"the error of {name} is {error}, not {right['error']}"
        if "low" in right:
            ends = (intervals[source][0], intervals[source][1])
            yield from _faults_of_ends(name, ends, right, tolerance["interval"])


def _faults_of_ends(
    name: str, ends: tuple[float, float], right: Mapping[str, float | None], tolerance: float
) -> Iterator[str]:
    low, high = right["low"], right["high"]
    width = high - low if high is not None and low is not None else abs(right["value"] or 1.0)
    for end, wanted, infinite in ((ends[0], low, -math.inf), (ends[1], high, math.inf)):
        right_end = end == infinite if wanted is None else abs(end - wanted) <= tolerance * width
        if not right_end:
            yield f"the interval of {name} ends at {end}, not {wanted}"


def _faults_of_derived(quantity: Mapping[str, Any], fit: Any, tolerance: Mapping[str, float]) -> Iterator[str]:
    derived = fit.derived(quantity["formula"])
    for name, key, relative in (
        ("value", "value", tolerance["value"]),
        ("standard_error", "error", tolerance["error"]),
        ("low", "low", tolerance["error"]),
        ("high", "high", tolerance["error"]),
    ):
        if key in quantity and not math.isclose(getattr(derived, name), quantity[key], rel_tol=relative):
            yield f"{quantity['formula']}: {name} is {getattr(derived, name)}, not {quantity[key]}"
