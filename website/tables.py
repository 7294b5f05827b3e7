"""Tables that are generated from the code: methods, symptoms."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable

import downslope as ds


def pages() -> dict[str, str]:
    """Return the generated pages' Markdown by path."""
    return {"reference/methods.md": _methods(), "reference/symptoms.md": _symptoms()}


def summary(text: str) -> str:
    """Return a docstring's first paragraph, on one line."""
    return re.sub(r"\s+", " ", text.split("\n\n", 1)[0])


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(heads)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _methods() -> str:
    rows = []
    for name in ds.method_names():
        method = ds.method(name)
        rows.append([f"`{name}`", ", ".join(f"`{key}={value:g}`" for key, value in method.settings.items())])
    return "# Methods\n\n" + table(["method", "settings and their defaults"], rows) + "\n"


def _symptoms() -> str:
    from downslope.diagnosis.checks import CHECKS, TRAINING_CHECKS

    parts = [
        "# Symptoms",
        "What each check looks for. [What the verdicts mean](../diagnosis.md) explains how to read them.",
    ]
    for title, checks in (("Of descents", CHECKS), ("Of trainings", TRAINING_CHECKS)):
        parts += [f"## {title}", table(["check", "it looks for"], map(_row, checks))]
    return "\n\n".join(parts) + "\n"


def _row(check: Callable[..., object]) -> list[str]:
    return [f"`{check.__name__.removeprefix('training_')}`", summary(inspect.getdoc(check) or "")]
