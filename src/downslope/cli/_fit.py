"""`downslope fit`: the parameters with their errors, how good the fit is, and what was found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import downslope as ds
from downslope.cli import _print as show


@dataclass(frozen=True)
class Request:
    """A fit as it was typed.

    Args:
        data: the table's file.
        equation: the equation's text.
        choices: what `ds.fit` takes besides.
    """

    data: Path
    equation: str
    choices: Mapping[str, Any]


def run(request: Request, plot: Path | None, save: Path | None, *, as_json: bool, quiet: bool, check: bool) -> int:
    """Carry the request out, print what was asked for, and return the exit code."""
    found = ds.fit(request.equation, request.data, **request.choices)
    written = {}
    if save is not None:
        folder = ds.save(found.trace, save)
        text = json.dumps(show.plain(found.as_dict()), ensure_ascii=False, indent=1)
        (Path(folder) / "fit.json").write_text(text + "\n", encoding="utf-8")
        written["saved"] = str(folder)
    if plot is not None:
        from downslope.cli import _draw

        written["plot"] = str(_draw.write_fit(found, plot))
    if as_json:
        show.as_json(found.as_dict() | written)
    else:
        _report(found, quiet=quiet)
        for what, where in written.items():
            print(f"{what.capitalize()}: {where}")
    return 0 if found.findings.ok or not check else 1


def _report(found: ds.Fit, *, quiet: bool) -> None:
    """Print a fit for a person."""
    if quiet:
        for name, one in found.parameters.items():
            unit = f" {one.unit}" if one.unit else ""
            error = f"± {show.number(one.standard_error)}" if math.isfinite(one.standard_error) else ""
            known = error or {"free": "(not determined)"}.get(one.role, f"({one.role})")
            print(f"{name} = {show.number(one.value)} {known}{unit}")
    else:
        lines = str(found).splitlines()
        print(lines[0])
        for note in found.notes:
            print(f"         {note}")
        print(f"Method   {found.trace.plan['method']}, {found.trace.last_step} steps")
        print("\n".join(lines[1:]))
        print()
    show.findings(found.findings, details=not quiet)
