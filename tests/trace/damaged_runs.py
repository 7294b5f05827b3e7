"""Runs to be damaged, of each kind that a folder may hold, and what must hold of a run with one flipped bit."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import downslope as ds
from downslope.trace import Journal, Outcome, Trace
from tests.equality import same
from tests.trace import journal_writer

FITTED = {"x": [1.0, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 7.8, 10.1]}


def descent(folder: Path) -> None:
    """Save a descent of two coordinates."""
    ds.save(ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, learning_rate=0.03, steps=60), folder)


def large_descent(folder: Path) -> None:
    """Save a descent whose points are too large for the header."""
    start = {"w": np.arange(1.0, 81.0)}
    ds.save(ds.descend(lambda point: (point["w"] ** 2).sum(), start, learning_rate=0.1, steps=40), folder)


def fit(folder: Path) -> None:
    """Save a fit."""
    ds.save(ds.fit("y = a x + b", FITTED), folder)


def running(folder: Path, rows: int = 90) -> Journal:
    """Leave a training that was cut off between two states."""
    return journal_writer.go_on(Journal.begin(folder, journal_writer.header(40)), rows)


def finished(folder: Path) -> None:
    """Save a training that ended; two of its streams differ from those of the journal."""
    journal = running(folder)
    rows = journal.rows()
    layers = dict(rows.layers)
    trace = journal_writer.header(40).replace(
        outcome=Outcome.STEPS_USED,
        recorded={name: column[:-1] for name, column in rows.steps.items()},
        part_columns=rows.parts,
        layer_steps=layers.pop("step"),
        layer_columns=layers,
        metrics={**rows.metrics, "validation_loss": np.ones(len(rows.metrics["step"]))},
        spectra=rows.spectra,
    )
    journal.finish(trace)


RUNS: dict[str, Callable[[Path], object]] = {
    "descent": descent,
    "large_descent": large_descent,
    "fit": fit,
    "running": running,
    "finished": finished,
}


def flips(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, int, int]]:
    """Yield so many random bits of the files of a run: file, byte, bit; each file is as likely as each other."""
    dice = random.Random(seed)
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.stat().st_size)
    for _ in range(count):
        file = dice.choice(files)
        yield file, dice.randrange(file.stat().st_size), dice.randrange(8)


def flip(file: Path, byte: int, bit: int) -> None:
    """Flip a bit of a file; once more, and it is as before."""
    with file.open("r+b") as opened:
        opened.seek(byte)
        changed = opened.read(1)[0] ^ (1 << bit)
        opened.seek(byte)
        opened.write(bytes([changed]))


def outcome(folder: Path, whole: Trace | ds.Fit, file: Path) -> str:
    """Load a damaged run, and return "refused", "unchanged" or "silent".

    Raises:
        AssertionError: if the error does not name the file, or what is kept of the run is not its beginning.
    """
    refusal = ""
    try:
        loaded = ds.load(folder)
    except ds.TraceError as error:
        refusal = str(error)
    if refusal:
        assert file.name in refusal, (file, refusal)
        assert_kept(folder, whole)
        return "refused"
    try:
        same_run(loaded, whole)
    except AssertionError:
        return "silent"
    return "unchanged"


def same_run(ours: object, theirs: object) -> None:
    """Hold that two traces, or two fits, are equal to the last bit."""
    if isinstance(ours, ds.Fit) and isinstance(theirs, ds.Fit):
        same(ours.trace, theirs.trace)
        assert json.dumps(ours.as_dict(), default=float) == json.dumps(theirs.as_dict(), default=float)
        same(dict(ours.data), dict(theirs.data))
    else:
        same(ours, theirs)


def assert_kept(folder: Path, saved: Trace | ds.Fit) -> None:
    """Hold that what `damaged="keep"` returns of a run is its beginning, and of a fit its trace or the fit itself."""
    whole = saved.trace if isinstance(saved, ds.Fit) else saved
    refusal = ""
    try:
        kept = ds.load(folder, damaged="keep")
    except ds.TraceError as error:
        refusal = str(error)
    if refusal:
        assert "trace.json" in refusal or "progress.json" in refusal, refusal
        return
    if isinstance(kept, ds.Fit):
        assert kept.values == saved.values
        kept = kept.trace
    assert kept.caveats
    assert len(kept) <= len(whole)
    for name, column in whole.recorded.items():
        if len(kept):
            assert kept.recorded[name].tobytes() == column[: len(kept)].tobytes()
    for name, column in kept.metrics.items():
        assert column.tobytes() == whole.metrics[name][: len(column)].tobytes()
    for name, column in {**kept.layer_columns, **kept.part_columns}.items():
        before = {**whole.layer_columns, **whole.part_columns}[name]
        assert column.tobytes() == before[: len(column)].tobytes()
    for name, leaf in kept.end.items():
        assert np.shape(leaf) == np.shape(whole.end[name])
    assert str(kept)


def copied(source: Path, target: Path) -> Path:
    """Copy a run."""
    return Path(shutil.copytree(source, target))
