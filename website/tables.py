"""Tables that are generated from the code.

A page asks for one by `<!-- table: NAME -->`, which the build replaces; a name that is not known fails the build.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable

from downslope.diagnosis import DESCENT_SYMPTOMS, TRAINING_SYMPTOMS, Symptom, quantity
from downslope.diagnosis.checks import TRAINING_CHECKS
from downslope.methods import METHODS, Theory

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
    for spec in METHODS:
        names = ", ".join([f"**`{spec.name}`**", *(f"`{alias}`" for alias in spec.aliases)])
        settings = ", ".join(f"`{setting.name}={setting.default:g}`" for setting in spec.settings)
        rows.append([names, spec.help, settings, spec.reference])
    return table(["method", "how it steps", "settings", "published"], rows)


def _rates() -> str:
    rows = []
    for spec in METHODS:
        if isinstance(spec.theory, Theory):
            bound = f"αλ < {spec.theory.bound_text}" + (", λ of P⁻¹H" if spec.scale is not None else "")
        else:
            bound = spec.theory.reason
        rows.append([f"`{spec.name}`", _rate(spec.default_rate), _rate(spec.network_rate), bound])
    return table(["method", "rate of a descent", "rate of a training", "stable while"], rows)


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:g}"


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
    "rates of methods": _rates,
    "symptoms of descents": lambda: _symptoms(DESCENT_SYMPTOMS.values()),
    "symptoms of trainings": lambda: _symptoms(TRAINING_SYMPTOMS.values()),
    "thresholds of trainings": _thresholds,
}
