"""The folder that a run is written into while it goes on: begun, or gone on with by the same choices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import SettingError
from downslope.descent import Plan, header_of
from downslope.trace import Journal, Trace, load

_CLOSE = 1e-5  # what is measured of data may differ in the last digits from machine to machine
_SHARED = ("data", "network", "encoding")  # of the facts, what a run must share with the one it goes on with


def check_folder(save: str | Path | None, *, resume: bool, overwrite: bool) -> None:
    """Raise where a run would be lost, before anything is read or built.

    Args:
        save: the folder; None for none.
        resume: whether to go on with the run that is there.
        overwrite: whether it may be replaced.

    Raises:
        SettingError: if a run is there and neither was asked for; or both were, or either without a folder.
    """
    if save is None:
        for is_set, what in ((resume, "resume"), (overwrite, "overwrite")):
            if is_set:
                raise SettingError(f"{what} what?", hint="name the folder of the run with save=")
    elif resume and overwrite:
        raise SettingError("to resume a run is to keep it, to overwrite it is not", hint="choose one of the two")
    elif not resume and not overwrite and (Path(save) / "trace.json").is_file():
        raise SettingError(
            f"there is a run in {save} already",
            hint="resume=True goes on with it; overwrite=True replaces it; or save into another folder",
        )


def journal_of(planned: Plan, save: str | Path | None, resume: bool) -> Journal | None:
    """Return the journal of a run: begun, in place of one that is there, or gone on with; see `check_folder`.

    Args:
        planned: the plan of the run.
        save: the folder; None for none.
        resume: whether to go on with the run that is there; where nothing is there it is begun.

    Raises:
        SettingError: if the run that is there was begun by other choices, saying which.
        TraceError: if something else is there.
    """
    if save is None:
        return None
    if not resume or not Path(save).exists():
        return Journal.begin(save, header_of(planned))
    _refuse_other(header_of(planned), load(save), save)
    return Journal.reopen(save)


def _refuse_other(ours: Trace, there: Trace, save: str | Path) -> None:
    """Raise if a run was begun by other choices than ours."""
    for name, wanted, theirs in _differences(ours, there):
        if name == "steps":
            raise SettingError(
                f"the run in {save} was begun with {theirs} steps, {wanted} here",
                hint=f"it can be gone on with to step {theirs}; to take more, train its network on: "
                "train(training.model, …), saved in another folder",
            )
        raise SettingError(
            f"the run in {save} was begun with other choices: {name} is {_short(theirs)} there, {_short(wanted)} here",
            hint="resume with the same choices, or save into another folder",
        )


def _differences(ours: Trace, there: Trace) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs: its name, ours, and what is there."""
    yield from _different(_undivided(ours.plan), _undivided(there.plan))
    for name in _SHARED:
        yield from _different(ours.facts.get(name), there.facts.get(name), name)
    if ours.start.keys() != there.start.keys():
        yield "the parts", list(ours.start), list(there.start)
    for name in ours.start:
        if not np.allclose(ours.start[name], there.start[name], rtol=_CLOSE, atol=1e-7):
            yield f"the start of {name}", ours.start[name].ravel()[:3], there.start[name].ravel()[:3]


def _undivided(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan with its steps first, from which other choices follow."""
    return {"steps": plan.get("steps"), **plan}


def _different(ours: Any, theirs: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the entries of plain data that differ, with their path."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in (*ours, *(key for key in theirs if key not in ours)):
            yield from _different(ours.get(key), theirs.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        for entry, other in zip(ours, theirs, strict=True):
            yield from _different(entry, other, name)
    elif not _alike(ours, theirs):
        yield name, ours, theirs


def _alike(first: Any, second: Any) -> bool:
    """Tell whether two pieces of plain data say the same."""
    if isinstance(first, float) and isinstance(second, float):
        return (first != first and second != second) or math.isclose(first, second, rel_tol=_CLOSE, abs_tol=1e-9)
    return first == second


def _short(value: Any) -> str:
    """Return a thing in a few words."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
