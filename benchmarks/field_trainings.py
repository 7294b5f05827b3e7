"""Recall, right causes, false alarms and silence of `ds.diagnose` on trainings with a known fault and their twins.

FILE is a Python file that holds

- `CASES`: by name, a case with `causes`, the symptoms that name its fault; `make(sick)`, which trains, `make(False)`
  being the corrected twin; and `score(training)`, the quality on rows that were not trained on;
- `PARTIAL_TRACES`: by name, a trace from plain arrays, `make()`, with the symptoms that a diagnosis must have (one of
  `wanted`) and must not have (`unwanted`);
- `silent_removals(trace)`: which facts, columns and entries of the plan may be removed from a trace and change its
  findings without any check saying that it could not run; and how many were removed.

Figures. Recall: sick cases with any finding of the severity PROBLEM. Right cause first: the first problem is among the
causes; anywhere: one of the problems is. A clear refusal before the first step is the cause "refused". False alarms:
twins with any problem. A partial trace is right if a finding is wanted and none is unwanted. Removals are made from a
healthy training and from a sick one: seven layers of sigmoid units that learn nothing. A case is not sick if its score
is finite and within 0.1 of its twin's.

Each case is trained in a process of its own: one that dies, hangs or raises is an error of that case alone.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from processes import Lost, results, single_thread
from timing import machine, publish, table

_CLOSE = 0.1  # of a score: a case that comes so near to its twin is not sick
_LONGEST = 160  # letters of a sentence that is printed
Answer = dict[str, Any]


class Piece(NamedTuple):
    """What a process does.

    Args:
        file: the file of the cases.
        kind: "sick" or "twin" for a case, "partial" for a partial trace, "removals" for a training of our own.
        name: of the case, the trace or the training.
    """

    file: str
    kind: str
    name: str


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the cases, as Python")
    parser.add_argument("--only", metavar="REGEX", help="only cases and traces whose name matches")
    parser.add_argument("--kind", choices=("cases", "partial", "removals", "all"), default="all", help="which part")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    parser.add_argument("--seconds", type=float, default=240, help="of the processor, which a case may take")
    parser.add_argument("--out", type=Path, help="write all answers to this file as JSON")
    parser.add_argument("--page", type=Path, help="put the table into this page, between the marks with its name")
    return parser.parse_args()


def main() -> None:
    """Train and diagnose every case, and print the figures and the lists behind them."""
    chosen = arguments()
    began = time.perf_counter()
    # Half of the time of small trainings is compilation; the scores are the same to 1e-7.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    single_thread()
    cases = cases_of(str(chosen.file))
    answers = _answers(list(_pieces(cases, chosen)), chosen)
    figures = summary(cases, answers)
    plain = [{"kind": kind, "name": name, **answer} for (kind, name), answer in answers.items()]
    print(f"\n{time.perf_counter() - began:.0f} s\n")
    publish(chosen, "field_trainings", _text(figures), {"summary": figures, "answers": plain})


def _answers(pieces: Sequence[Piece], chosen: argparse.Namespace) -> dict[tuple[str, str], Answer]:
    """Return the answer of each piece, by kind and name."""
    answers: dict[tuple[str, str], Answer] = {}
    done = results(answer_of, [(piece,) for piece in pieces], workers=chosen.workers, seconds=chosen.seconds)
    for count, (index, result) in enumerate(done, 1):
        piece = pieces[index]
        answer = {"error": result.reason} if isinstance(result, Lost) else result
        answers[piece.kind, piece.name] = answer
        text = json.dumps(answer, ensure_ascii=False)
        print(f"{count:>3} of {len(pieces)}  {piece.kind} {piece.name}: {text}", file=sys.stderr, flush=True)
    return answers


def _pieces(cases: Any, chosen: argparse.Namespace) -> Iterable[Piece]:
    """Yield what is to be done: partial traces, which take no time, first."""

    def matching(names: Iterable[str]) -> list[str]:
        return [name for name in names if not chosen.only or re.search(chosen.only, name)]

    file = str(chosen.file)
    if chosen.kind in ("partial", "all"):
        yield from (Piece(file, "partial", name) for name in matching(cases.PARTIAL_TRACES))
    if chosen.kind in ("removals", "all") and hasattr(cases, "silent_removals"):
        yield from (Piece(file, "removals", name) for name in matching(_OWN))
    if chosen.kind in ("cases", "all"):
        yield from (Piece(file, kind, name) for kind in ("sick", "twin") for name in matching(cases.CASES))


@functools.cache
def cases_of(file: str) -> Any:
    """Return the module in a file; forked processes have it already."""
    path = Path(file).resolve()
    specification = importlib.util.spec_from_file_location(f"field_cases_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise SystemExit(f"{file} is no Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    sys.path.insert(0, str(path.parent))
    specification.loader.exec_module(module)
    return module


# --- one piece -------------------------------------------------------------------------------------------------------


def answer_of(piece: Piece) -> Answer:
    """Return what a diagnosis says of a case, a partial trace, or a training that facts are removed from."""
    warnings.filterwarnings("ignore")
    began, cases = time.process_time(), cases_of(piece.file)
    if piece.kind == "removals":
        answer = _removals(cases, piece.name)
    elif piece.kind == "partial":
        answer = _partial(cases.PARTIAL_TRACES[piece.name])
    else:
        answer = _case(cases.CASES[piece.name], sick=piece.kind == "sick")
    return {**answer, "cpu": round(time.process_time() - began, 1)}


def _case(case: Any, *, sick: bool) -> Answer:
    import downslope as ds

    try:
        training = case.make(sick)
    except ds.DownslopeError as error:
        # A sick training may be refused before its first step; a twin may not.
        text = f"{type(error).__name__}: {error}"
        return {"problems": ["refused"], "score": math.nan, "first": text} if sick else {"error": text}
    diagnosis = ds.diagnose(training.trace)
    return {
        "problems": [finding.symptom for finding in diagnosis if finding.severity is ds.Severity.PROBLEM],
        **_said(diagnosis),
        "score": float(case.score(training)),
    }


def _partial(case: Any) -> Answer:
    import downslope as ds

    diagnosis = ds.diagnose(case.make())
    symptoms = set(diagnosis.symptoms)
    return {**_said(diagnosis), "right": bool(case.wanted & symptoms) and not case.unwanted & symptoms}


def _said(diagnosis: Any) -> Answer:
    return {
        "symptoms": list(diagnosis.symptoms),
        "first": diagnosis[0].sentence,
        "not_run": [skipped.symptom for skipped in diagnosis.not_run],
    }


# Trainings that facts are removed from; the sick one is that of the field note.
_OWN: Mapping[str, Mapping[str, Any]] = {
    "healthy": {"data": "digits", "hidden": (32,), "steps": 600},
    "sick": {
        "data": "digits",
        "hidden": (16,) * 7,
        "activation": "sigmoid",
        "initialisation": "normal_0.05",
        "method": "gradient descent",
        "steps": 400,
    },
}


def _removals(cases: Any, name: str) -> Answer:
    import downslope as ds

    trace = ds.train(**_OWN[name], progress=False).trace
    silent, count = cases.silent_removals(trace)
    return {**_said(ds.diagnose(trace)), "silent": list(silent), "removals": count}


# --- figures ---------------------------------------------------------------------------------------------------------


def summary(cases: Any, answers: Mapping[tuple[str, str], Answer]) -> Answer:
    """Return the figures, and the names behind them."""
    sick = {name: answer for (kind, name), answer in answers.items() if kind == "sick"}
    twins = {name: answer for (kind, name), answer in answers.items() if kind == "twin"}
    partial = {name: answer for (kind, name), answer in answers.items() if kind == "partial"}
    removals = {name: answer for (kind, name), answer in answers.items() if kind == "removals"}
    problems = {name: answer.get("problems", []) for name, answer in sick.items()}
    causes = {name: set(cases.CASES[name].causes) for name in sick}
    return {
        "cases": len(sick),
        "recalled": sum(map(bool, problems.values())),
        "cause_first": sum(bool(named) and named[0] in causes[name] for name, named in problems.items()),
        "cause_anywhere": sum(bool(causes[name] & set(named)) for name, named in problems.items()),
        "twins": len(twins),
        "false_alarms": {name: answer["problems"] for name, answer in twins.items() if answer.get("problems")},
        "partial": len(partial),
        "partial_right": sum(bool(answer.get("right")) for answer in partial.values()),
        "partial_wrong": {
            name: answer.get("symptoms", []) for name, answer in partial.items() if not answer.get("right")
        },
        "errors": {f"{kind} {name}": answer["error"] for (kind, name), answer in answers.items() if "error" in answer},
        "missed": [name for name, named in problems.items() if not named],
        "cause_not_first": {
            name: {"problems": named, "causes": sorted(causes[name]), "sentence": sick[name].get("first", "")}
            for name, named in problems.items()
            if named and named[0] not in causes[name]
        },
        "not_sick": [name for name in sick if name in twins and _is_close(sick[name], twins[name])],
        "removals": {name: answer.get("removals", 0) for name, answer in removals.items()},
        "silent": {name: answer.get("silent", []) for name, answer in removals.items()},
    }


def _is_close(sick: Answer, twin: Answer) -> bool:
    """Tell whether a sick training scores as well as its twin."""
    ill, well = sick.get("score"), twin.get("score")
    return ill is not None and well is not None and math.isfinite(ill) and ill > well - _CLOSE


# --- as text ---------------------------------------------------------------------------------------------------------


def _text(figures: Answer) -> str:
    """Return the figures as a table, and the names behind them as lists."""
    count, silent = figures["cases"], sum(map(len, figures["silent"].values()))
    rows = [
        ["recall", _share(figures["recalled"], count), "0.95"],
        ["right cause first", _share(figures["cause_first"], count), "0.75"],
        ["right cause anywhere", _share(figures["cause_anywhere"], count), ""],
        ["false alarms on twins", f"{len(figures['false_alarms'])} of {figures['twins']}", "0"],
        ["partial traces right", f"{figures['partial_right']} of {figures['partial']}", "all"],
        ["errors", str(len(figures["errors"])), "0"],
        ["removals not answered for", f"{silent} of {sum(figures['removals'].values())}", "0"],
    ]
    parts = [f"{machine()}; {count} cases and {figures['twins']} twins.", table(["", "measured", "target"], rows)]
    for name in ("missed", "false_alarms", "cause_not_first", "partial_wrong", "errors", "silent", "not_sick"):
        lines = _listed(figures[name])
        if lines:
            parts.append("\n".join([f"{name.replace('_', ' ').capitalize()}:", "", *lines]))
    return "\n\n".join(parts)


def _listed(entries: Any) -> list[str]:
    """Return names, or names with what belongs to them, as lines of a list."""
    if not isinstance(entries, Mapping):
        return [f"- {name}" for name in entries]
    return [f"- {name}: {_short(entry)}" for name, entry in entries.items() if entry]


def _short(entry: Any) -> str:
    if isinstance(entry, Mapping):
        first = ", ".join(entry["problems"])
        return f"{first} (right: {', '.join(entry['causes'])}). {entry['sentence'][:_LONGEST]}"
    return entry[:_LONGEST] if isinstance(entry, str) else ", ".join(map(str, entry)) or "nothing"


def _share(hits: int, count: int) -> str:
    return f"{hits / count:.2f} ({hits} of {count})" if count else "–"


if __name__ == "__main__":
    main()
