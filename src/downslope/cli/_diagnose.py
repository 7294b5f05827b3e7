"""`downslope diagnose`: what a saved descent shows."""

from __future__ import annotations

from pathlib import Path

import downslope as ds
from downslope.cli import _print as show


def run(folder: Path, plot: Path | None, *, as_json: bool, quiet: bool, check: bool) -> int:
    """Judge a saved trace, print what was asked for, and return the exit code."""
    trace = ds.load(folder)
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
