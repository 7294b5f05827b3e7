"""Tables that are generated from the code.

A page asks for one by `<!-- table: NAME -->`, which the build replaces; a name that is not known fails the build.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable

import downslope as ds
from downslope.diagnosis import DESCENT_SYMPTOMS, TRAINING_SYMPTOMS, Symptom, quantity
from downslope.diagnosis.checks import TRAINING_CHECKS

_MARKER = re.compile(r"<!-- table: ([\w ]+) -->")
_SEVERITY = {"good": "healthy", "note": "worth knowing", "problem": "a problem"}


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(heads)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def summary(text: str) -> str:
    """Return a docstring's first paragraph, on one line."""
    return re.sub(r"\s+", " ", text.split("\n\n", 1)[0])


def filled(text: str) -> str:
    """Return a page's text with its tables.

    Raises:
        KeyError: for a table that does not exist.
    """
    return _MARKER.sub(lambda marker: TABLES[marker[1]](), text)


def _methods() -> str:
    rows = []
    for name in ds.method_names():
        settings = ds.method(name).settings
        rows.append([f"`{name}`", ", ".join(f"`{key}={value:g}`" for key, value in settings.items())])
    return table(["method", "settings and their defaults"], rows)


def _symptoms(symptoms: Iterable[Symptom]) -> str:
    ordered = sorted(symptoms, key=lambda symptom: symptom.order)
    return table(
        ["symptom", "", "it means", "what shows it"],
        (
            [f"`{s.key}`", _SEVERITY[s.severity.value], s.meaning, quantity(s.quantity).words if s.quantity else ""]
            for s in ordered
        ),
    )


def _thresholds() -> str:
    rows = []
    for check in TRAINING_CHECKS:
        parts = dict(
            re.findall(
                r"(Quantity|Theory|Threshold): (.+?\.)(?= (?:Quantity|Theory|Threshold): |$)", _paragraphs(check.find)
            )
        )
        if "Threshold" in parts:
            cells = [parts.get(part, "").rstrip(".") for part in ("Quantity", "Threshold", "Theory")]
            rows.append([f"`{check.symptom.key}`", *cells])
    return table(["symptom", "quantity", "threshold", "theory"], rows)


def _paragraphs(check: Callable[..., object]) -> str:
    """Return a check's docstring after its first line, on one line."""
    return re.sub(r"\s+", " ", (inspect.getdoc(check) or "").partition("\n\n")[2])


TABLES: dict[str, Callable[[], str]] = {
    "methods": _methods,
    "symptoms of descents": lambda: _symptoms(DESCENT_SYMPTOMS.values()),
    "symptoms of trainings": lambda: _symptoms(TRAINING_SYMPTOMS.values()),
    "thresholds of trainings": _thresholds,
}
