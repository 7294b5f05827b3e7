"""`downslope train`: what was read, the network, how the training went, and what it shows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import downslope as ds
from downslope.cli import _network_options as network
from downslope.cli import _print as show
from downslope.cli import _training as course


@dataclass(frozen=True)
class Request:
    """A training as it was typed.

    Args:
        data: a file, or the name of a sample.
        target: the column to predict, or None.
        choices: what `ds.train` takes besides.
        settings: settings of the method or the schedule.
    """

    data: str
    target: str | None
    choices: Mapping[str, Any]
    settings: Mapping[str, float]

    def train(self) -> ds.Training:
        """Train the network.

        Raises:
            DownslopeError: as `ds.train` does, with options in place of arguments.
        """
        known = {"target"} | {name for name, choice in ds.choices(ds.train).items() if not choice.is_setting}
        network.refuse_options(self.settings, known)
        arguments: dict[str, Any] = {**self.choices, **self.settings}
        with network.told_as_typed(known):
            return ds.train(None, self.data, self.target, **arguments)


def run(
    request: Request, plot: Path | None, *, prescribe: bool = False, as_json: bool, quiet: bool, check: bool
) -> int:
    """Carry the request out, print what was asked for, and return the exit code."""
    from downslope.cli import _draw, _prescribe

    if plot is not None:
        _draw.check_suffix(plot)  # here, since training may take long
    made = request.train()
    trace, diagnosis = made.trace, ds.diagnose(made.trace)
    written = {"saved": str(request.choices["save"])} if "save" in request.choices else {}
    if plot is not None:
        written["plot"] = str(_draw.write_training(trace, diagnosis, plot))
    if as_json:
        found = {"prescription": _prescribe.as_dict(ds.prescribe(made))} if prescribe else {}
        show.as_json({**course.as_dict(trace, diagnosis), **found, **written})
    else:
        course.report(trace, diagnosis, quiet=quiet)
        for what, where in written.items():
            print(f"{what.capitalize()}: {where}")
        if "saved" in written and not quiet:
            _next(request, trace.outcome, shlex.quote(written["saved"]))
        if prescribe:
            print()
            _prescribe.report(ds.prescribe(made), quiet=quiet)
    return 0 if diagnosis.ok or not check else 1


def _next(request: Request, outcome: ds.Outcome, folder: str) -> None:
    """Print what can be done with a run that was saved."""
    if outcome is ds.Outcome.INTERRUPTED:
        print("Go on: type the same command again, with --resume")
    rows = "new.csv" if Path(request.data).suffix else request.data
    print(f"Predict: downslope predict {folder} {shlex.quote(rows)}")
