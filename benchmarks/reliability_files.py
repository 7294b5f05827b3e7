"""Runs with flipped bits, hostile headers and long records: `reliability.py flips|headers|load|record`."""

from __future__ import annotations

import collections
import copy
import gc
import itertools
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import downslope as ds
from downslope.descent.batches._log import BatchLog
from downslope.descent.batches._loop import BatchRecipe
from downslope.trace import Journal, Trace, _load
from downslope.trace._checksum import sealed_text

# What no field is meant to be, of each type that JSON has, at each end of its range. The tests use it as well.
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 10**18, 2**64, 1.5, 1e308, "", "evil", "../evil", "/etc/passwd", "\x1b[2J", "a\x00b", [], {},
    [[[]]], [None], ["x", "x"], [0, -1], {"": {}}, {"float": "nan"}, {"float": "0x"}, {"mapping": 3},
    {"array": [1], "shape": [2], "type": "int64"}, {"array": [], "shape": [0, 2**62], "type": "float64"},
    {"array": ["x"], "shape": [1], "type": "<U999999999"}, {"array": [1], "shape": [1], "type": "O"},
)  # fmt: skip


def flips(count: int, seed: int, same: Callable[[ds.Trace, ds.Trace], bool]) -> None:
    """Flip bits of all files of several runs, one at a time, and print how many were silent.

    Args:
        count: the number of flips, shared evenly by the runs; each file is as likely as each other.
        seed: of the flips.
        same: whether two traces are equal to the last bit.
    """
    _load._WAITS = ()  # nobody writes these runs, so no damage is one that passes
    dice = random.Random(seed)
    outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="downslope-flips-") as folder:
        runs = dict(_runs(Path(folder)))
        wholes = {name: ds.load_trace(run) for name, run in runs.items()}
        for name in itertools.islice(itertools.cycle(runs), count):
            file = dice.choice(sorted(file for file in runs[name].iterdir() if file.stat().st_size))
            content = file.read_bytes()
            bit = dice.randrange(8 * len(content))
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            file.write_bytes(changed)
            outcomes[name][_outcome(runs[name], wholes[name], file.name, same)] += 1
            file.write_bytes(content)
    for name, counts in outcomes.items():
        print(f"{name:<22}", dict(counts))
    total = sum(outcomes.values(), collections.Counter())
    print(f"{count} flipped bits: {total['silent']} silent, {total['refused']} refused with the file named,", end=" ")
    print(f"{total['unchanged']} in files that a finished run no longer needs, {total['wrong']} answered wrongly")


def headers(count: int, seed: int) -> None:
    """Put wrong values in place of fields of headers, and print how often anything but an error or a trace came.

    Args:
        count: the number of mutations.
        seed: of the choice among all fields and all wrong values.
    """
    _load._WAITS = ()
    dice = random.Random(seed)
    outcomes: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="downslope-headers-") as folder:
        files = [
            file for run in dict(_runs(Path(folder))).values() for file in (run / "trace.json", run / "progress.json")
        ]
        texts = {file: file.read_bytes() for file in files if file.is_file()}
        fields = [(file, path) for file, text in texts.items() for path in paths(json.loads(text))]
        for _ in range(count):
            file, path = dice.choice(fields)
            write_sealed(file, mutated(json.loads(texts[file]), path, dice.choice((*WRONG, ...))))
            outcomes[_reading(file.parent)] += 1
            file.write_bytes(texts[file])
    print(f"{count} wrong values in {len(fields)} fields of headers:", dict(outcomes))


def loads(rows: int) -> None:
    """Print the CPU seconds in which a long trace is saved and loaded, and the sizes of its files."""
    with tempfile.TemporaryDirectory(prefix="downslope-loads-") as folder:
        trace = ds.descend("x² + 3y²", {"x": 1.0, "y": 2.0}, learning_rate=1e-9, steps=rows, tolerance=0)
        for work, name in (
            (lambda: ds.save(trace, Path(folder) / "run"), "save"),
            (lambda: _load_twice(folder), "load"),
        ):
            began = time.process_time()
            work()
            print(f"{name} {rows} rows: {time.process_time() - began:.2f} CPU s")
        print(f"{sum(file.stat().st_size for file in (Path(folder) / 'run').iterdir()) / 1e6:.1f} MB")


def record(steps: int) -> None:
    """Print the memory and the disk that the record of a training of 1000 layers takes.

    The record alone is written, row by row as a training does it, finished and loaded: XLA needs more than 10 GB to
    compile 1000 different layers, which says nothing about the record.

    Args:
        steps: of the training; each tenth is a recorded one, as by default.
    """
    names = tuple(f"{layer}/{kind}" for layer in range(_LAYERS) for kind in ("weights", "bias"))
    functions: Any = SimpleNamespace(layers=range(_LAYERS), seen=True)
    unused: Any = None
    recipe = BatchRecipe(functions, unused, unused, (False, False), _CHUNK, 10, 1, False, len(names))
    header = Trace(
        outcome=ds.Outcome.RUNNING,
        recorded={"step": np.zeros(0, np.int64), "value": np.zeros(0)},
        coordinate_names=(),
        coordinates=None,
        gradients=None,
        part_names=names,
        part_columns={},
        start=dict.fromkeys(names, np.zeros(2, np.float32)),
        end={},
        spectra=(),
        plan={"method": "sgd"},
        versions={},
        layer_names=tuple(map(str, range(_LAYERS))),
        facts={},
    )
    numbers = np.random.default_rng(0)
    chunk: Any = SimpleNamespace(
        every_step=numbers.random((2, _CHUNK), np.float32),
        recorded=numbers.random((_CHUNK // 10, sum(recipe.widths.values())), np.float32),
    )
    with tempfile.TemporaryDirectory(prefix="downslope-record-") as folder:
        run, before = Path(folder) / "run", _peak()
        journal = Journal.begin(run, header)
        log = BatchLog(recipe, names, journal)
        for first in range(0, steps, _CHUNK):
            log.add_steps(first, _CHUNK, chunk)
            log.write(None)
        log.end()
        recorded, layer_steps, layers, parts, metrics, spectra = log.gathered()
        whole = header.replace(
            outcome=ds.Outcome.STEPS_USED, recorded=recorded, layer_steps=layer_steps, layer_columns=layers,
            part_columns=parts, metrics=metrics, spectra=spectra, end=header.start,
        )  # fmt: skip
        written = _peak()
        journal.finish(whole)
        finished = _peak()
        size = sum(file.stat().st_size for file in run.iterdir())
        print(f"{steps} steps, {len(layer_steps)} with {_LAYERS} layers and {len(names)} parts: {size / 1e9:.2f} GB,")
        print(f"peak memory: {before:.2f} GB before, {written:.2f} GB written, {finished:.2f} GB finished", end=", ")
        del whole, layers, parts, log, journal
        gc.collect()
        began = time.perf_counter()
        ds.load_trace(run)
        print(f"{_peak():.2f} GB loaded in {time.perf_counter() - began:.1f} s")


_LAYERS, _CHUNK = 1000, 1000


def _peak() -> float:
    """Return the most memory that the process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _load_twice(folder: str) -> None:
    """Load a run."""
    ds.load_trace(Path(folder) / "run")


def _runs(folder: Path) -> Iterator[tuple[str, Path]]:
    """Write a run of each kind; yield its name and folder."""
    descent = ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, learning_rate=0.03, steps=300)
    yield "a descent", ds.save(descent, folder / "descent")
    large = ds.descend(lambda p: (p["w"] ** 2).sum(), {"w": np.arange(1.0, 201.0)}, learning_rate=0.1, steps=100)
    yield "a descent of 200", ds.save(large, folder / "large")
    fit = ds.fit("y = a x + b", {"x": [1.0, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 7.8, 10.1]})
    yield "a fit", ds.save(fit, folder / "fit")
    choices: dict[str, Any] = {"data": "iris", "hidden": (8,), "steps": 600, "probe_every": 100}
    ds.train(**choices, save=folder / "training", progress=False)
    yield "a training", folder / "training"
    try:
        ds.train(**choices, save=folder / "running", progress=_stop)
    except KeyboardInterrupt:
        yield "a training, cut off", folder / "running"


def _stop(done: int, steps: int, value: float) -> None:
    """End a training in its middle, as a kill would."""
    if done >= 400:
        raise KeyboardInterrupt


def _outcome(run: Path, whole: ds.Trace, file: str, same: Callable[[ds.Trace, ds.Trace], bool]) -> str:
    """Return what came of a flipped bit; "wrong" for an error that does not name the file."""
    try:
        return "unchanged" if same(ds.load_trace(run), whole) else "silent"
    except ds.TraceError as error:
        return "refused" if file in str(error) else "wrong"


def _reading(run: Path) -> str:
    """Read a run as people do, and return what came."""
    try:
        trace = ds.load_trace(run)
    except ds.TraceError:
        return "refused"
    except Exception as error:
        return type(error).__name__
    try:
        for answer in (trace, ds.diagnose(trace), ds.summary(trace)):
            str(answer)
    except Exception as error:
        return f"loaded, then {type(error).__name__}"
    return "loaded"


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each field of a JSON value; of a list, to its first entry."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, entry in entries:
        yield (name,)
        yield from ((name, *path) for path in paths(entry))


def mutated(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    """Return a JSON value with another one at a path; nothing there for `...`."""
    changed = copy.deepcopy(value)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    if wrong is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = wrong
    return changed


def write_sealed(file: Path, value: Any) -> None:
    """Write a header with a right checksum, as someone would who means harm."""
    rest = {name: entry for name, entry in value.items() if name != "checksum"}
    file.write_bytes(sealed_text(json.dumps(rest, indent=1).encode()))
