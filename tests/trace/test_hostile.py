"""Runs of whoever: any header, any length, any file; a `TraceError` or a trace, and nothing else."""

from __future__ import annotations

import importlib
import io
import itertools
import json
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.trace._checksum import SealingFile
from downslope.trace._read_files import read_arrays
from tests.trace import damaged_runs

FORMAT_2 = Path(__file__).with_name("format_2")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch) -> None:
    monkeypatch.setattr("downslope.trace._load._WAITS", ())


@pytest.fixture
def wrong_headers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The wrong values, and what puts them into a header, of the benchmark that tries them all."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("reliability_files")


@pytest.fixture(params=["descent", "large_descent", "finished", "running"])
def run(request, tmp_path) -> Path:
    damaged_runs.RUNS[request.param](tmp_path / "run")
    return tmp_path / "run"


def is_answered(folder: Path) -> bool:
    """Load a run and read it as people do; return whether it was refused. Anything but a `TraceError` is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refusal = ""
        try:
            trace = ds.load(folder)
        except ds.TraceError as error:
            refusal = str(error)
        if refusal:
            assert refusal.replace("\n", "").isprintable()
            return True
        assert str(trace).replace("\n", "").isprintable()
        diagnosis = ds.diagnose(trace)
    assert str(diagnosis).replace("\n", "").replace("\N{NO-BREAK SPACE}", " ").isprintable()
    str(ds.summary(trace))
    return False


@pytest.mark.parametrize("name", ["trace.json", "progress.json"])
def test_any_value_of_any_field_is_answered(run, name: str, wrong_headers) -> None:
    file = run / name
    if not file.is_file():
        return
    value = json.loads(file.read_text())
    wrongs = itertools.cycle(wrong_headers.WRONG)
    # Each field is missing once, and meets the next wrong value; `benchmarks/reliability.py` tries them all.
    for path in wrong_headers.paths(value):
        for wrong in (..., next(wrongs)):
            wrong_headers.write_sealed(file, wrong_headers.mutated(value, path, wrong))
            try:
                is_answered(run)
            except Exception as error:
                raise AssertionError(f"{path} = {wrong!r}") from error
    wrong_headers.write_sealed(file, value)
    assert not is_answered(run)


@pytest.mark.parametrize(
    "path", [("plan",), ("start",), ("streams",), ("streams", "steps"), ("streams", "steps", "file"), ("part_names",)]
)
def test_fields_that_readers_rely_on_are_refused(tmp_path, path, wrong_headers) -> None:
    folder = damaged_runs.copied(FORMAT_2 / "descent", tmp_path / "run")
    file = folder / "trace.json"
    value = json.loads(file.read_text())
    for wrong in wrong_headers.WRONG:
        file.write_text(json.dumps(wrong_headers.mutated(value, path, wrong)))  # of the format without checksums
        # A plan may hold anything; a folder that is not there has no progress, and no streams have no rows.
        assert is_answered(folder) or (path in (("plan",), ("streams",)) and isinstance(wrong, dict)), wrong


@pytest.mark.parametrize("length", [-1, 0, 1, 10**18, True, "4096", 4.5, None])
def test_lengths_are_compared_with_the_file(tmp_path, length, wrong_headers) -> None:
    for name, change in (("descent", ("streams", "steps", "length")), ("journal", ("lengths", "steps"))):
        if length == 0 and name == "journal":
            continue  # nothing was written yet
        folder = damaged_runs.copied(FORMAT_2 / name, tmp_path / name)
        file = folder / ("trace.json" if name == "descent" else "progress.json")
        file.write_text(json.dumps(wrong_headers.mutated(json.loads(file.read_text()), change, length)))
        with pytest.raises(ds.TraceError):
            ds.load(folder)


@pytest.mark.parametrize("more", [1, 10**18])
def test_a_length_beyond_the_file_is_no_length_although_the_checksum_is_right(tmp_path, more, wrong_headers) -> None:
    damaged_runs.descent(tmp_path / "run")
    file = tmp_path / "run" / "trace.json"
    value = json.loads(file.read_text())
    value["streams"]["steps"]["length"] += more
    wrong_headers.write_sealed(file, value)
    with pytest.raises(ds.TraceError, match=r"only .* bytes are there"):
        ds.load(tmp_path / "run")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": 2, "a": ' + "[" * 500 + "]" * 500 + "}",
        '{"format": ' + "9" * 5000 + "}",
        '{"format": NaN}',
        '{"format": 1e999}',
        '{"format": 2, "format": 2}',
        "[]",
        "null",
        '"text"',
        "",
        "\x00",
        '{"format": "\\ud800"}',
        '{"format": "\x1b[31m"}',
    ],
)
def test_any_json_is_answered(tmp_path, text: str) -> None:
    folder = damaged_runs.copied(FORMAT_2 / "journal", tmp_path / "run")
    for name in ("progress.json", "trace.json"):
        (folder / name).write_text(text)
        with pytest.raises(ds.TraceError) as caught:
            ds.load(folder)
        assert str(caught.value).replace("\n", "").isprintable()


def test_a_huge_header_is_not_read(tmp_path) -> None:
    folder = damaged_runs.copied(FORMAT_2 / "descent", tmp_path / "run")
    os.truncate(folder / "trace.json", 2**40)
    with pytest.raises(ds.TraceError, match="larger than any"):
        ds.load(folder)


@pytest.mark.parametrize("name", ["trace.json", "progress.json", "steps.arrow", "points.npz", "spectrum-0.npz"])
def test_only_regular_files_of_the_folder_are_read(tmp_path, name: str) -> None:
    folder = damaged_runs.copied(FORMAT_2 / "journal", tmp_path / "run")
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(ds.TraceError, match="leads out"):
        ds.load(folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ds.TraceError, match=r"not a regular file|is a file"):
        ds.load(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ds.TraceError):
        ds.load(folder)
    (folder / name).rmdir()
    outside.rename(folder / f"other {name}")
    (folder / name).symlink_to(f"other {name}")
    assert len(ds.load(folder)) == 65


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive with a right checksum."""
    file = io.BytesIO()
    sealing = SealingFile(file)
    with zipfile.ZipFile(sealing, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
        opened.comment = SealingFile.BLANK
    sealing.seal()
    return file.getvalue()


def array(values: Any) -> bytes:
    """Return an array in NumPy's format."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def header_only(text: str) -> bytes:
    """Return a header of NumPy's format that declares what it likes."""
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode()


NAMES, TYPES = ("names.npy", array(np.array(["end/w"]))), ("types.npy", array(np.array(["float64"])))
ARCHIVES = {
    "of 800 GB": archive(
        NAMES, TYPES, ("0.npy", header_only("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,)}"))
    ),
    "of a negative shape": archive(
        NAMES, TYPES, ("0.npy", header_only("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"))
    ),
    "nested": archive(NAMES, TYPES, ("0.npy", header_only("(" * 90))),
    "no header": archive(NAMES, TYPES, ("0.npy", b"")),
    "compressed": archive(NAMES, TYPES, ("0.npy", array(np.zeros(10**6))), compression=zipfile.ZIP_DEFLATED),
    "of objects": archive(NAMES, TYPES, ("0.npy", header_only("{'descr': '|O', 'fortran_order': False, 'shape': ()}"))),
    "of records": archive(NAMES, ("types.npy", array(np.array(["f4,f4"]))), ("0.npy", array(np.zeros(1)))),
    "of another type": archive(NAMES, ("types.npy", array(np.array(["O"]))), ("0.npy", array(np.zeros(1)))),
    "of numbers for names": archive(("names.npy", array(np.zeros(1))), TYPES, ("0.npy", array(np.zeros(1)))),
    "two names": archive(
        ("names.npy", array(np.array(["a", "a"]))), ("types.npy", array(np.array(["float64"] * 2))),
        ("0.npy", array(np.zeros(1))), ("1.npy", array(np.zeros(1))),
    ),
    "more than its names": archive(NAMES, TYPES, ("0.npy", array(np.zeros(1))), ("7.npy", array(np.zeros(1)))),
    "without names": archive(("0.npy", array(np.zeros(1)))),
    "nothing": archive(),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_any_file_of_arrays_is_answered(tmp_path, name: str) -> None:
    file = tmp_path / "points.npz"
    file.write_bytes(ARCHIVES[name])
    with pytest.raises(ds.TraceError, match=r"points\.npz is damaged"):
        read_arrays(file)


def test_points_of_other_shapes_are_answered(tmp_path) -> None:
    folder = tmp_path / "run"
    damaged_runs.large_descent(folder)
    for start in (np.zeros(79), np.zeros((2, 40, 2)), np.array(["x"] * 80)):
        members = [(f"{index}.npy", array(leaf)) for index, leaf in enumerate((start, np.zeros(80)))]
        names, types = np.array(["start/w", "end/w"]), np.array([str(start.dtype), "float64"])
        content = archive(*members, ("names.npy", array(names)), ("types.npy", array(types)))
        (folder / "points.npz").write_bytes(content)
        with pytest.raises(ds.TraceError):
            ds.load(folder)


def test_text_of_a_run_cannot_control_a_terminal(tmp_path) -> None:
    evil = "\x1b[2J\x1b]0;title\x07\x9b31m\u202eevil\u2066\r\x08"
    trace = ds.descend(lambda point: point[f"x{evil}"] ** 2, {f"x{evil}": 1.0}, learning_rate=0.1, steps=5)
    plan = {**trace.plan, "read_as": evil, "method": evil, "settings": {evil: 1.0}}
    trace = trace.replace(plan=plan, facts={"notes": [evil], evil: {evil: evil}}, versions={evil: evil})
    loaded = ds.load(ds.save(trace, tmp_path / "run"))
    shown = [str(loaded), str(ds.diagnose(loaded)), str(ds.summary(loaded)), str(loaded.facts), str(loaded.versions)]
    shown += [*loaded.steps.columns, *loaded.parts["part"].to_list(), *loaded.end]
    for text in shown:
        assert not set(text) & set("\x1b\x07\x9b\u202e\u2066\r\x08"), text
    assert "evil" in str(loaded)


def test_text_of_several_lines_stays(tmp_path) -> None:
    trace = ds.descend("x²", 1.0, steps=3).replace(facts={"notes": ["two\nlines\tand a tab"]})
    assert ds.load(ds.save(trace, tmp_path / "run")).facts == trace.facts
