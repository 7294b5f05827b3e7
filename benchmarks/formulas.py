"""Judge how formulas are read, and their critical points, descents and slopes: `python benchmarks/formulas.py FILE`.

FILE is JSON with any of the lists `readings`, `critical`, `descents` and `slopes`, each a list of cases with right
values. Everything runs in this process. `--list NAME` judges one list, `--wrong` prints each wrong case with what came,
`--only TEXT` keeps the cases whose id, family or formula contains a text.

`--mutate N` changes the file's formulas at random N times, and passes each to `formula`, `derive`, `slope` and
`descend`: whatever is no `DownslopeError` is printed, and every formula that takes longer than two seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds

Case = Mapping[str, Any]
_CURVE = ["whole", "every", "everywhere", "constant", "curve", "line", "circle", "interval", "isolated", "infinitely"]
_UNDECIDED = ("degenerate", "cannot be told", "not decided", "undecided")
_ROSE = re.compile(r"rose from (\S+) to (\S+?)[.,;]?(?:\s|$)")
_ADVICE = re.compile(r"\bTry (?:α = |a learning rate of |learning_rate=)?([0-9][0-9.]*(?:e[+-]?[0-9]+)?)")
_SLACK = 1e-9  # relative rounding that a value may rise by without having risen


def main() -> None:
    """Judge the lists of a file and print the share of right cases in each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON with lists of cases")
    parser.add_argument("--list", choices=list(_JUDGES), help="judge this list only")
    parser.add_argument("--wrong", action="store_true", help="print each wrong case and what came")
    parser.add_argument("--only", default="", help="judge the cases whose id, family or formula contains this")
    parser.add_argument("--mutate", type=int, metavar="N", help="read, derive and descend N mutated formulas instead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cases = json.loads(options.file.read_text(encoding="utf-8"))
    if options.mutate is not None:
        mutate(_texts(cases), options.mutate, options.seed)
        return
    for name, judge in _JUDGES.items():
        chosen = [case for case in cases.get(name, []) if _matches(case, options.only)]
        if chosen and options.list in (None, name):
            _judged(name, chosen, judge, options.wrong)


def _matches(case: Case, text: str) -> bool:
    """Tell whether a case is of interest."""
    return any(text in str(case.get(key, "")) for key in ("id", "family", "formula", "text"))


def _judged(name: str, cases: list[Case], judge: Callable[[Case], str], show: bool) -> None:
    """Judge the cases of a list and print the share that is right, the slowest case and the wrong ones by family."""
    faults: dict[str, list[str]] = defaultdict(list)
    slowest, slowest_id, right = 0.0, "", 0
    for case in cases:
        began = time.process_time()
        fault = _fault(case, judge)
        seconds = time.process_time() - began
        if seconds > slowest:
            slowest, slowest_id = seconds, case["id"]
        if not fault:
            right += 1
            continue
        subject = case.get("text", case.get("formula"))
        faults[case["family"]].append(f"    {case['id']}  {subject!r}: {fault}")
    share = 100 * right / len(cases)
    print(f"{name}: {right} of {len(cases)} right ({share:.0f} %); slowest {slowest_id}, {slowest:.1f} s of CPU")
    if show:
        for family, lines in faults.items():
            print(f"  {family}", *lines, sep="\n", flush=True)


def _fault(case: Case, judge: Callable[[Case], str]) -> str:
    """Return what is wrong with a case, or an empty text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return judge(case)
        except ds.DownslopeError as error:
            return f"refused: {_said(error)}"
        except Exception as error:  # a traceback is what is looked for
            return f"{type(error).__name__}: {error}"


def _said(error: Exception) -> str:
    """Return an error's message and hint, without the excerpt of the text."""
    hint = getattr(error, "hint", None)
    return f"{getattr(error, 'message', error)}{f' ({hint})' if hint else ''}"


# --- Mutations ------------------------------------------------------------------------------------------------------

_SCRAPS = [
    *"xyztaeπσ0123456789+-*/^()[]{}|,=.!_;:'<>&%°√∛²ⁿ₁½≤⌊⌋Σ ",
    *(
        " if ",
        " otherwise",
        " and ",
        "sin",
        "ln ",
        "cot(",
        "mod ",
        "max(",
        "gamma(",
        "e^",
        "**",
        "1 000",
        "d/dx ",
        "J_0(",
    ),
    *("\\frac{", "\\sqrt[3]{", "\\left(", "\\right)", "\\sum_{i=1}^{3} ", "\\begin{cases} ", "\\end{cases}", " \\\\ "),
    *(
        "\\text{if }",
        "\\cdot ",
        "^\\circ",
        "\\sigma ",
        "f(x) = ",
        "{\\displaystyle ",
        "where(",
        "π/",
        "log_3(",
        "\u2009",
    ),
]
_SLOW = 2.0  # seconds


def _texts(cases: Mapping[str, list[Case]]) -> list[str]:
    """Return every formula of a file."""
    every = [case.get("text", case.get("formula")) for part in _JUDGES for case in cases.get(part, ())]
    return [text for text in every if isinstance(text, str)]


def mutated(text: str, chance: random.Random) -> str:
    """Return a text with a few pieces deleted, doubled, exchanged or inserted."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        begin = chance.randint(0, len(text))
        end = min(len(text), begin + chance.randint(0, 4))
        piece = chance.choice(("", "", text[begin:end] * 2, chance.choice(_SCRAPS), chance.choice(_SCRAPS)))
        text = text[:begin] + piece + text[end if chance.random() < 0.6 else begin :]
    return text


def mutate(texts: list[str], count: int, seed: int) -> None:
    """Read, derive and descend mutated formulas, and print those that end in anything but an answer or an error."""
    chance = random.Random(seed)
    refused = faults = slow = 0
    for _ in range(count):
        text = mutated(chance.choice(texts), chance)
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _used(text)
        except ds.DownslopeError:
            refused += 1
        except Exception as error:  # a traceback is what is looked for
            faults += 1
            print(f"{text!r}: {type(error).__name__}: {str(error)[:150]}", flush=True)
        if time.process_time() - began > _SLOW:
            slow += 1
            print(f"{text!r}: {time.process_time() - began:.1f} s", flush=True)
    print(f"{count} mutated formulas: {refused} refused, {faults} faults, {slow} slower than {_SLOW:g} s")


def _used(text: str) -> None:
    """Read a formula, print and reread it, and pass it to the verbs."""
    read = ds.formula(text)
    again = ds.formula(read.read_as)
    assert again.read_as == read.read_as, f"{read.read_as} is read again as {again.read_as}"
    assert read.latex
    point = dict.fromkeys(read.variables, 0.7)
    read(point)
    if not read.variables:
        return
    for verb in (lambda: str(ds.derive(read, read.variables[0])), lambda: str(ds.slope(read, point))):
        try:
            verb()
        except ds.DownslopeError as error:
            str(error)
    ds.diagnose(ds.descend(read, point, learning_rate=0.01, steps=3))


# --- Readings -------------------------------------------------------------------------------------------------------


def _reading(case: Case) -> str:
    try:
        read = ds.formula(case["text"])
    except ds.FormulaError as error:
        return _refusal(case, error)
    if case.get("refused"):
        return f"accepted as {read.read_as}"
    if "not_value" in case:
        value = read(_point(read, case["at"], strict=False))
        return f"{read.read_as} gives {value}" if _close(value, case["not_value"], 1e-9) else ""
    for at in ({"at": case["at"], "value": case["value"]}, *case.get("also", ())):
        value = read(_point(read, at["at"]))
        if not _close(value, at["value"], case["tolerance"]):
            return f"{read.read_as} gives {value} at {at['at']}, not {at['value']}"
    if case.get("noted") and not read.notes:
        return f"{read.read_as} without a note"
    return ""


def _refusal(case: Case, error: ds.FormulaError) -> str:
    """Return what is wrong with a refusal."""
    said = _said(error)
    if not (case.get("may_refuse") or case.get("refused") or "not_value" in case):
        return f"refused: {said}"
    if not error.hint and len(error.message.split()) < 5:
        return f"refused without a hint or a sentence: {said}"
    mention, avoid = case.get("mention", ()), case.get("avoid", ())
    if mention and not any(text.lower() in said.lower() for text in mention):
        return f"none of {mention} in: {said}"
    unwanted = [text for text in avoid if text.lower() in said.lower()]
    return f"{unwanted} in: {said}" if unwanted else ""


def _point(read: ds.Formula, at: Mapping[str, float], strict: bool = True) -> dict[str, float]:
    """Return a point with the formula's own spelling of its names."""
    own = {_plain(name): name for name in (*read.variables, *read.columns)}
    point = {own.get(_plain(name), name): value for name, value in at.items() if strict or _plain(name) in own}
    return point if strict else dict.fromkeys(read.variables, 1.0) | point


def _plain(name: str) -> str:
    return name.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")).replace("_", "")


def _close(value: float, expected: float, tolerance: float) -> bool:
    return math.isclose(value, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-3)


# --- Critical points ------------------------------------------------------------------------------------------------


def _critical(case: Case) -> str:
    within = case["within"]
    if isinstance(within, Mapping):
        within = {name: tuple(ends) if isinstance(ends, list) else ends for name, ends in within.items()}
    if case.get("refused"):
        return _refused(lambda: ds.critical_points(case["formula"], within))
    points = ds.critical_points(case["formula"], within)
    if any(math.isnan(point.value) for point in points):
        return f"a value is nan: {points}"
    for expected in case["points"]:
        near = [point for point in points if _is_at(point, expected["at"], expected.get("tolerance", 1e-4))]
        if not near:
            return f"none at {expected['at']}: {points}"
        if not any(_has_kind(point, expected) for point in near):
            return f"not {expected['kind']} at {expected['at']}: {'; '.join(map(str, near))}"
        if "smooth" in expected and all(
            getattr(point, "smooth", expected["smooth"]) != expected["smooth"] for point in near
        ):
            return f"smooth is not {expected['smooth']} at {expected['at']}"
    allowed = [(p["at"], p.get("tolerance", 1e-4)) for p in case["points"]]
    allowed += [(at, 1e-4) for at in case.get("optional", ())]
    for point in points if case.get("none_else") else ():
        if not any(_is_at(point, at, tolerance) for at, tolerance in allowed):
            return f"one too many: {point}"
    if case.get("curve") and not any(re.search(rf"\b{word}", str(points).lower()) for word in _CURVE):
        return f"no word on a curve: {points}"
    return ""


def _is_at(point: ds.CriticalPoint, at: Mapping[str, float], tolerance: float) -> bool:
    return all(abs(point.point[name] - value) <= tolerance * (1 + abs(value)) for name, value in at.items())


def _has_kind(point: ds.CriticalPoint, expected: Mapping[str, Any]) -> bool:
    kind, note = point.kind.lower(), point.note.lower()
    if expected["kind"] in kind:
        return True
    if expected.get("regular"):
        return False
    undecided = any(word in kind or word in note for word in _UNDECIDED)
    if undecided and expected.get("undecided_is_right_too"):
        return True
    return "degenerate" in kind and expected["kind"] in note


def _refused(call: Callable[[], Any]) -> str:
    """Return what came in place of a `DownslopeError`, or an empty text."""
    try:
        call()
    except ds.DownslopeError:
        return ""
    return "accepted"


# --- Descents -------------------------------------------------------------------------------------------------------


def _descent(case: Case) -> str:
    if case.get("refused"):
        return _refused(lambda: _descend(case))
    trace = _descend(case)
    diagnosis = ds.diagnose(trace)
    said = "; ".join(map(str, diagnosis))
    symptoms = [finding.symptom for finding in diagnosis]
    if any(symptom in symptoms for symptom in case.get("must_not_say", ())):
        return said
    if case.get("must_say") and not any(symptom in symptoms for symptom in case["must_say"]):
        return said
    if any(text in said for text in case.get("must_not_match", ())):
        return said
    if any(_number(before) >= _number(after) for before, after in _ROSE.findall(said)):
        return said
    if "steps_to_go" in case:
        factor = case["tolerance_factor"]
        for told in (finding.evidence.get("steps_to_go") for finding in diagnosis):
            if told is not None and not case["steps_to_go"] / factor <= told <= case["steps_to_go"] * factor:
                return f"{told} steps to go, not {case['steps_to_go']:g}: {said}"
    if case.get("advice_must_descend"):
        return "; ".join(filter(None, _advised(case, diagnosis)))
    return ""


def _descend(case: Case, rate: float | None = None) -> ds.Trace:
    """Return the descent of a case, at another learning rate if one is passed."""
    searches = case["method"] in ("bfgs", "newton")
    chosen: dict[str, Any] = {} if searches else {"learning_rate": case["learning_rate"] if rate is None else rate}
    return ds.descend(case["formula"], case["start"], method=case["method"], steps=case["steps"], **chosen)


def _advised(case: Case, diagnosis: Iterable[ds.Finding]) -> Iterator[str]:
    """Yield what is wrong with each rate that a finding advises."""
    for finding in diagnosis:
        for text in _ADVICE.findall(finding.sentence):
            trace = _descend(case, _number(text))
            value = np.asarray(trace.columns["value"])
            slack = _SLACK * abs(value[0]) + 1e-300
            if not np.isfinite(value).all() or value[-1] >= value[0]:
                yield f"Try {text} does not descend: {value[0]:g} to {value[-1]:g}"
            elif (value[len(value) // 2 :] > value[0] + slack).any():
                yield f"Try {text} rises above its start"
            again = [str(further) for further in ds.diagnose(trace) if _ADVICE.search(further.sentence)]
            if again:
                yield f"Try {text} is corrected: {again[0]}"


def _number(text: str) -> float:
    """Return a printed number."""
    return float(text.replace("−", "-").replace(",", "").rstrip("."))


# --- Slopes ---------------------------------------------------------------------------------------------------------


def _slope(case: Case) -> str:
    if case.get("refused"):
        return _refused(lambda: ds.slope(case["formula"], case["at"]))
    try:
        slope = ds.slope(case["formula"], case["at"])
        text = str(slope)
    except ds.DownslopeError as error:
        return _said(error) if "kind_has" in case else ""
    lowered = text.lower()
    if "kind_has" in case and not any(kind in lowered for kind in case["kind_has"]):
        return text
    if any(kind in lowered for kind in case.get("kind_not", ())):
        return text
    for name, expected in case.get("gradient", {}).items():
        value = float(np.asarray(slope.gradient[name]))
        if not math.isclose(value, expected, rel_tol=case["tolerance"], abs_tol=case["tolerance"]):
            return f"gradient {name} = {value}, not {expected}"
    return ""


_JUDGES: dict[str, Callable[[Case], str]] = {
    "readings": _reading,
    "critical": _critical,
    "descents": _descent,
    "slopes": _slope,
}

if __name__ == "__main__":
    main()
