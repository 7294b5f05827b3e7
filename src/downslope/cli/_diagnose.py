"""`downslope diagnose`: what a descent shows, saved or taken now."""

from __future__ import annotations

from pathlib import Path

import downslope as ds
from downslope.cli import _print as show
from downslope.cli._descend import Request


def run(request: Request, plot: Path | None, *, as_json: bool, quiet: bool, check: bool) -> int:
    """Judge a descent, print what was asked for, and return the exit code."""
    trace = _trace(request)
    diagnosis = ds.diagnose(trace)
    written = {}
    if plot is not None:
        from downslope.cli import _draw

        written["plot"] = str(_draw.write_progress(trace, diagnosis, plot))
    if as_json:
        show.as_json(
            {
                "read_as": trace.plan["read_as"],
                "outcome": trace.outcome.identifier,
                "steps": trace.last_step,
                "end": dict(trace.end),
                "value": trace.value,
                "findings": diagnosis.as_list(),
                "not_run": diagnosis.not_run,
                **written,
            }
        )
    else:
        if not quiet:
            print(f"{trace}\n")
        show.findings(diagnosis, details=not quiet)
        for what, where in written.items():
            print(f"{what.capitalize()}: {where}")
    return 0 if diagnosis.ok or not check else 1


def _trace(request: Request) -> ds.Trace:
    """Return the trace of a saved folder, or of the descent that was asked for with `--start`."""
    if request.start is None:
        return ds.load(request.formula)
    return request.descend(request.objective())
