"""`downslope descend`: the table, the chart and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as show

Ranges = Mapping[str, tuple[float, float]] | None


@dataclass(frozen=True)
class Request:
    """A descent as it was typed.

    Args:
        formula: the formula's text.
        start: the text of `--start`, or None.
        data: the table's file, or None.
        units: units by name.
        choices: what `ds.descend` takes besides.
    """

    formula: str
    start: str | None
    data: Path | None
    units: Mapping[str, str]
    choices: Mapping[str, Any]

    def objective(self) -> ds.Objective:
        """Return the objective that the formula and the data make."""
        return ds.objective(self.formula, self.data, units=self.units or None)

    def descend(self, objective: ds.Objective) -> ds.Trace:
        """Go down from the start that was given."""
        start = options.point(self.start, "--start", objective.names or ())
        return ds.descend(objective, start, **self.choices)


def request(
    formula: str,
    start: str | None,
    data: Path | None,
    unit: list[str] | None,
    setting: list[str] | None,
    **choices: Any,
) -> Request:
    """Return a descent from the texts of its options."""
    return Request(formula, start, data, options.pairs(unit, "--unit"), {**choices, **options.settings(setting)})


def run(
    request: Request,
    plot: Path | None,
    within: Ranges,
    save: Path | None,
    *,
    as_json: bool,
    quiet: bool,
    check: bool,
) -> int:
    """Carry the request out, print what was asked for, and return the exit code."""
    objective = request.objective()
    trace = request.descend(objective)
    diagnosis = ds.diagnose(trace)
    written = {}
    if save is not None:
        written["saved"] = str(ds.save(trace, save))
    if plot is not None:
        from downslope.cli import _draw

        written["plot"] = str(_draw.write(objective, trace, diagnosis, "auto", within, plot))
    if as_json:
        show.as_json(_as_dict(trace, diagnosis) | written)
    else:
        report(objective, trace, diagnosis, quiet=quiet)
        for what, where in written.items():
            print(f"{what.capitalize()}: {where}")
    return 0 if diagnosis.ok or not check else 1


def report(objective: ds.Objective, trace: ds.Trace, diagnosis: ds.Diagnosis, *, quiet: bool) -> None:
    """Print a descent for a person."""
    if not quiet:
        print(f"Read as  {objective.read_as}")
        for note in objective.formula.notes if objective.formula is not None else ():
            print(f"         {note}")
        print(f"Method   {method_of(trace)}\n")
        show.table(_columns(objective, trace))
        print()
        show.chart(trace.columns["value"], objective.name)
    print(trace.outcome.value)
    show.findings(diagnosis, details=not quiet)


def method_of(trace: ds.Trace) -> str:
    """Return the method and its numbers in words."""
    plan = trace.plan
    parts = [plan["method"]]
    if plan["learning_rate"] is not None:
        parts.append(f"α = {show.number(plan['learning_rate'])}")
    if plan["schedule"] != "constant":
        parts.append(f"{plan['schedule']} schedule")
    parts += [f"{name.replace('_', ' ')} {show.number(setting)}" for name, setting in plan["settings"].items()]
    return ", ".join(parts)


def _columns(objective: ds.Objective, trace: ds.Trace) -> dict[str, Any]:
    """Return the columns of the table: step, coordinates, value, gradient."""
    columns: dict[str, Any] = {"step": trace.columns["step"]}
    if trace.coordinates is not None and len(trace.coordinate_names) <= 6:
        columns |= {
            _with_unit(name, objective): trace.coordinates[:, i] for i, name in enumerate(trace.coordinate_names)
        }
    columns[_with_unit(objective.name, objective)] = trace.columns["value"]
    if trace.gradients is not None and len(trace.coordinate_names) == 1:
        columns["gradient"] = trace.gradients[:, 0]
    else:
        columns["‖gradient‖"] = trace.columns["gradient_norm"]
    return columns


def _with_unit(name: str, objective: ds.Objective) -> str:
    """Return a heading with its unit, if it has one."""
    unit = objective.units.get(name)
    return f"{name} ({unit})" if unit else name


def _as_dict(trace: ds.Trace, diagnosis: ds.Diagnosis) -> dict[str, Any]:
    """Return what `--json` prints of a descent."""
    return {
        "read_as": trace.plan["read_as"],
        "outcome": trace.outcome.identifier,
        "outcome_sentence": trace.outcome.value,
        "steps": _steps(trace),
        "end": dict(trace.end),
        "value": trace.value,
        "findings": diagnosis.as_list(),
        "plan": {name: entry for name, entry in trace.plan.items() if name != "objective"},
    }


def _steps(trace: ds.Trace) -> list[dict[str, Any]]:
    """Return the rows as objects: step, coordinates by name, value, gradient norm."""
    names = trace.coordinate_names
    coordinates = [] if trace.coordinates is None else trace.coordinates.tolist()
    numbers = zip(
        trace.columns["step"].tolist(),
        trace.columns["value"].tolist(),
        trace.columns["gradient_norm"].tolist(),
        strict=True,
    )
    return [
        {
            "step": step,
            **(dict(zip(names, coordinates[row], strict=True)) if coordinates else {}),
            "value": value,
            "gradient_norm": norm,
        }
        for row, (step, value, norm) in enumerate(numbers)
    ]
