"""Saving a training: its folder, started or resumed, and its choices as text and plain data."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import SettingError, described
from downslope._numbers import digest_of
from downslope.descent import DeviceLayout, Plan, header_of
from downslope.networks.layers import Layer, layers_in
from downslope.trace import Journal, Trace, writing

_LONGEST = 1000  # entries of a choice that is kept in the trace
_CLOSE = 1e-5  # measurements of data may differ in the last digits from machine to machine
_SHARED = ("data", "network", "encoding")  # the facts that a run shares with the one that it resumes
# Facts that learners measure: of two neighbours as far as each other but for rounding, another process may take either.
_BY_LEARNERS = ("reference", "score", "shuffled", "auc", "shift")


@contextlib.contextmanager
def run_folder(
    save: str | os.PathLike[str] | None, layout: DeviceLayout, *, resume: bool, overwrite: bool
) -> Iterator[Path | None]:
    """Hold the lock of a training's folder within a `with` block; refuse to overwrite a run that is there.

    Of several processes the first is the writer, and all end together.

    Args:
        save: the folder; None for none.
        layout: the devices and processes that train together.
        resume: whether to resume the run that is there.
        overwrite: whether to replace it.

    Yields:
        The folder, absolute, since the working directory may change meanwhile; None for none.

    Raises:
        MissingExtraError: for a state that is divided, without Orbax.
        SettingError: if a run is there without either, for both, and for either without a folder.
        TraceError: if the run is being written by another process, or the folder cannot be written.
    """
    if save is not None and (not isinstance(save, str | os.PathLike) or "\0" in os.fspath(save)):
        raise SettingError(f"save is the path of a folder, not {described(save)}")
    if save is None:
        for is_set, what in ((resume, "resume"), (overwrite, "overwrite")):
            if is_set:
                raise SettingError(f"{what} needs a folder", hint="name the folder of the run with save=")
        with layout.together(None):
            yield None
        return
    layout.check_saving()
    if resume and overwrite:
        raise SettingError("resume continues a run, and overwrite replaces it", hint="choose one of the two")
    if not layout.writes:
        with layout.together(save):
            yield None
        return
    with layout.together(save), writing(save) as folder:
        # The small file is written last: where it is, there is a run.
        if not resume and not overwrite and os.path.lexists(folder / "trace.json"):
            raise SettingError(
                f"there is a run in {save} already",
                hint="resume=True continues it; overwrite=True replaces it; or save into another folder",
            )
        yield folder


def replicate_folder(save: str | os.PathLike[str] | None, seed: int) -> Path | None:
    """Return the folder of one of several trainings, inside the one that was named; None for none.

    Raises:
        SettingError: for what is no path, or the folder of a run, beside whose files those of others have no room.
    """
    if save is None:
        return None
    if not isinstance(save, str | os.PathLike) or "\0" in os.fspath(save):
        raise SettingError(f"save is the path of a folder, not {described(save)}")
    folder = Path(save)
    if os.path.lexists(folder / "trace.json"):
        raise SettingError(f"there is a run in {save} already", hint="save several seeds into another folder")
    return folder / f"seed-{seed}"


def journal_of(planned: Plan, folder: Path | None, resume: bool, named: Any) -> Journal | None:
    """Return the journal of a run: a new one, in place of one that is there, or a reopened one; see `run_folder`.

    Args:
        planned: the plan of the run.
        folder: the folder; None for none.
        resume: whether to resume the run that is there; a new one is started where nothing is there.
        named: the folder as the user wrote it, for messages.

    Raises:
        SettingError: if the run that is there was started with other choices, saying which.
        TraceError: if something else is there.
    """
    if folder is None:
        return None
    # Resuming what is not there starts it, so that one command can be repeated until it is done.
    if not resume or not folder.exists():
        return Journal.begin(folder, header_of(planned))
    return Journal.reopen(folder, lambda there: _refuse_other(header_of(planned), there, named))


def spread_over(layout: DeviceLayout, planned: Plan) -> Plan:
    """Return a plan whose facts hold the devices that the rows of a batch are divided among."""
    batched, batches = planned.objective.batched, planned.batches
    if layout.mesh is None or batched is None or batches is None:
        return planned
    rows, devices = batches.size or batched.rows, layout.devices
    what = "each step" if batches.size is None or rows is None else f"each batch of {rows}"
    filled = "" if rows is None or rows % devices == 0 else f", filled up to {-(-rows // devices) * devices}"
    of = "" if layout.hosts == 1 else f" of {layout.hosts} processes"
    note = f"The rows of {what} are divided among {devices} devices{of}{filled}."
    if layout.divides_state:
        note += f" So is what {planned.method.name} carries."
    notes = [*(batched.facts.get("notes") or ()), note]
    return replace(planned, facts={**planned.facts, "notes": notes, "layout": layout.facts})


def _refuse_other(ours: Trace, there: Trace, named: Any) -> None:
    """Raise if a run was started with other choices."""
    single = {"devices": 1, "hosts": 1, "divided": False}
    begun, now = ({**single, **(t.facts.get("layout") or {})} for t in (there, ours))
    if begun["divided"] != now["divided"]:
        which = "with" if begun["divided"] else "without"
        raise SettingError(f"the run in {named} was started {which} divide_state", hint="resume it as it was started")
    if (begun["devices"], begun["hosts"]) != (now["devices"], now["hosts"]):
        of = [f"{each['devices']} devices of {each['hosts']} processes" for each in (begun, now)]
        if begun["hosts"] == now["hosts"] == 1:
            of = [f"{begun['devices']} devices", str(now["devices"])]
        raise SettingError(
            f"the run in {named} was started on {of[0]}, and this one has {of[1]}",
            hint="sums over other parts of a batch are rounded otherwise: resume with as many (devices=), or go on "
            "with its network, train(training.model, …), saved in another folder",
        )
    for name, wanted, theirs in _differences(ours, there):
        if name == "steps":
            raise SettingError(
                f"the run in {named} was started with {theirs} steps, {wanted} here",
                hint=f"it can be resumed up to step {theirs}; for more steps continue with its network: "
                "train(training.model, …), saved in another folder",
            )
        raise SettingError(
            f"the run in {named} was started with other choices: {name} was {_short(theirs)}, is {_short(wanted)} here",
            hint="resume with the same choices, or save into another folder",
        )


def _differences(ours: Trace, there: Trace) -> Iterator[tuple[str, Any, Any]]:
    """Yield the entries that differ: name, value here, value there."""
    yield from _different(_undivided(ours.plan), _undivided(there.plan))
    # Facts as well: the same choices may meet other data.
    for name in _SHARED:
        for key, wanted, theirs in _different(ours.facts.get(name), there.facts.get(name), name):
            if not any(word in key for word in _BY_LEARNERS):
                yield key, wanted, theirs
    if ours.start.keys() != there.start.keys():
        yield "the parts", list(ours.start), list(there.start)
    for name in ours.start:
        # The start is compared with the tolerance of another machine's arithmetic.
        if not np.allclose(ours.start[name], there.start[name], rtol=_CLOSE, atol=1e-7):
            yield f"the start of {name}", ours.start[name].ravel()[:3], there.start[name].ravel()[:3]


def _undivided(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan with its steps first, since other choices follow from them."""
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
    """Tell whether two pieces of plain data are equal up to rounding."""
    if isinstance(first, float) and isinstance(second, float):
        # NaN stands for "not known" in plans, and equals itself there.
        return (first != first and second != second) or math.isclose(first, second, rel_tol=_CLOSE, abs_tol=1e-9)
    return first == second


def _short(value: Any) -> str:
    """Return a value as text of at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


# Choices as Python and as plain data in a file.


def same_choice(choice: Any, other: Any) -> bool:
    """Tell whether two choices are equal; arrays never are."""
    return (
        type(choice) is type(other) and isinstance(choice, str | int | float | bool | tuple | None) and choice == other
    )


def is_plain(value: Any) -> bool:
    """Tell whether a file holds a value as it is."""
    if isinstance(value, list | tuple):
        return len(value) <= _LONGEST and all(is_plain(part) for part in value)
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and is_plain(part) for name, part in value.items())
    return isinstance(value, str | int | float | bool | Path | None)


def plain(value: Any) -> Any:
    """Return a plain value as a file gives it back: lists for tuples, text for paths."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def as_written(value: Any, name: str) -> str:
    """Return a value as it is written in Python; a name in place of one that is too long."""
    layers = layers_in(value)
    if layers is not None:
        return f"[{', '.join(layer.as_python() for layer in layers)}]"
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, Mapping) and all(isinstance(part, str | int | float | None) for part in value.values()):
        return repr(dict(value))
    short = isinstance(value, str | int | float | bool | None) or (
        isinstance(value, tuple | list) and len(value) < 30 and all(isinstance(e, str | int | float) for e in value)
    )
    return repr(value) if short else name


def identity(value: Any) -> Any:
    """Return a key that equal plain values and equal arrays share, and other values only if they are one object."""
    if isinstance(value, str | int | float | bool | Path | None):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return value.dtype.str, value.shape, digest_of(value)
    if isinstance(value, list | tuple) and all(isinstance(entry, str | int | float | Layer) for entry in value):
        return tuple(value)
    # A list of batches is a stream, and a pair of arrays is not, so their types count.
    if type(value) in (list, tuple) and len(value) <= _MOST_ENTRIES:
        return type(value), *map(identity, value)
    if type(value) is dict and len(value) <= _MOST_ENTRIES:
        return dict, *((name, identity(entry)) for name, entry in value.items())
    return id(value)


_MOST_ENTRIES = 1000  # of data that are compared entry by entry
