"""`downslope diagnose`: what a descent or a training shows, saved, under way or taken now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import downslope as ds
from downslope.cli import _print as show
from downslope.cli import _training as course
from downslope.cli._descend import Request


def run(request: Request, plot: Path | None, report: Path | None, *, as_json: bool, quiet: bool, check: bool) -> int:
    """Judge a descent, print what was asked for, and return the exit code."""
    trace = _trace(request)
    diagnosis = ds.diagnose(trace)
    written = {}
    if plot is not None:
        from downslope.cli import _draw

        picture = _draw.write_training if course.is_training(trace) else _draw.write_progress
        written["plot"] = str(picture(trace, diagnosis, plot))
    if report is not None:
        from downslope.cli import _report

        written["report"] = str(_report.write(trace, diagnosis, report))
    if as_json:
        as_dict = course.as_dict if course.is_training(trace) else _as_dict
        show.as_json(as_dict(trace, diagnosis) | written)
    else:
        _print(trace, diagnosis, quiet=quiet)
        for what, where in written.items():
            print(f"{what.capitalize()}: {where}")
    return 0 if diagnosis.ok or not check else 1


def _print(trace: ds.Trace, diagnosis: ds.Diagnosis, *, quiet: bool) -> None:
    """Print a verdict for a person, with what it is on."""
    if course.is_training(trace):
        course.report(trace, diagnosis, quiet=quiet)
        return
    if not quiet:
        print(f"{trace}\n")
    show.findings(diagnosis, details=not quiet)


def _as_dict(trace: ds.Trace, diagnosis: ds.Diagnosis) -> dict[str, Any]:
    """Return what `--json` prints of a descent."""
    return {
        "read_as": trace.plan["read_as"],
        "outcome": trace.outcome.identifier,
        "steps": trace.last_step,
        "end": dict(trace.end),
        "value": trace.value,
        "findings": diagnosis.as_list(),
        "not_run": diagnosis.not_run,
    }


def _trace(request: Request) -> ds.Trace:
    """Return the trace of a saved folder, or of the descent that was asked for with `--start`."""
    if request.start is None:
        return ds.load(request.formula)
    return request.descend(request.objective())
