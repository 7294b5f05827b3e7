"""Files that are whole or not there, and streams that grow."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import polars
import pytest

import downslope as ds
from downslope.trace._checksum import Extent, Prefix, RunningChecksum
from downslope.trace._disk import (
    aligned,
    append_stream,
    cut_stream,
    replace_file,
    stream_bytes,
    write_arrays,
)
from downslope.trace._folders import replace_folder
from downslope.trace._read_files import read_arrays, read_rows_until_damage
from tests.equality import same


def columns(first: int, rows: int = 3) -> dict[str, np.ndarray]:
    step = np.arange(first, first + rows)
    return {"step": step, "value": np.sqrt(step), "parts": np.outer(step, [1.0, 2.0]).astype(np.float32)}


def read_stream(file: Path, length: int | None = None) -> dict[str, np.ndarray]:
    """Return the columns in the first bytes of a stream without a checksum, or in all of it."""
    if length is None:
        length = file.stat().st_size if file.is_file() else 0
    read, damage = read_rows_until_damage(file, Extent(Prefix(length, None)))
    if damage is not None:
        raise ds.TraceError(damage)
    return read


def test_a_stream_that_grew_is_the_one_that_was_written_at_once(tmp_path) -> None:
    file, written = tmp_path / "steps.arrow", RunningChecksum()
    for first in (0, 3, 6):
        written = append_stream(file, written, columns(first))
    length = written.extent.length
    assert length == file.stat().st_size
    same(read_stream(file), columns(0, 9))
    same(read_stream(file, length), columns(0, 9))
    (tmp_path / "whole.arrow").write_bytes(stream_bytes(columns(0, 9)))
    same(read_stream(file), read_stream(tmp_path / "whole.arrow"))
    assert polars.read_ipc_stream(tmp_path / "whole.arrow")["value"].to_list() == np.sqrt(np.arange(9)).tolist()


def test_what_follows_the_length_is_no_part_of_a_stream(tmp_path) -> None:
    file = tmp_path / "steps.arrow"
    written = append_stream(file, RunningChecksum(), columns(0))
    length = written.extent.length
    with file.open("ab") as stream:
        stream.write(b"\xff\xff\xff\xfftorn")
    same(read_stream(file, length), columns(0))
    with pytest.raises(ds.TraceError, match="torn or not an Arrow stream"):
        read_stream(file)
    longer = append_stream(file, written, columns(3)).extent.length
    same(read_stream(file, longer), columns(0, 6))
    cut_stream(file, length)
    assert file.stat().st_size == length
    cut_stream(file, 0)
    assert not file.exists()
    with pytest.raises(ds.TraceError, match="missing"):
        read_stream(file)


def test_columns_of_other_names_or_types_are_refused(tmp_path) -> None:
    file = tmp_path / "steps.arrow"
    written = append_stream(file, RunningChecksum(), columns(0))
    for other in ({"step": np.arange(3)}, columns(0) | {"value": np.zeros(3, np.float32)}):
        with pytest.raises(ds.TraceError, match="other columns"):
            append_stream(file, written, other)
    assert file.stat().st_size == written.extent.length


def test_single_numbers_are_broadcast_and_short_columns_refused() -> None:
    same(aligned({"rate": 0.1, "step": [0, 1]}, 2), {"rate": np.full(2, 0.1), "step": np.array([0, 1])})
    with pytest.raises(ValueError, match="step has 2 rows instead of 3"):
        aligned({"step": [0, 1]}, 3)


def test_arrays_of_any_name_and_type_come_back(tmp_path) -> None:
    arrays = {
        "layers/0/weight": np.arange(6.0).reshape(2, 3),
        "narrow": np.linspace(-1, 1, 5).astype(ml_dtypes.bfloat16),
        "": np.zeros((0, 2), np.int8),
        "names": np.array([True]),
    }
    write_arrays(tmp_path / "points.npz", arrays)
    same(read_arrays(tmp_path / "points.npz"), arrays)
    with pytest.raises(TypeError, match="Python objects"):
        write_arrays(tmp_path / "other.npz", {"f": np.array([print])})
    assert [entry.name for entry in tmp_path.iterdir()] == ["points.npz"]
    (tmp_path / "points.npz").write_bytes(b"PK torn")
    with pytest.raises(ds.TraceError, match="damaged"):
        read_arrays(tmp_path / "points.npz")


class Interrupted(BaseException):
    """What ends a write in its middle."""


def test_an_interrupted_write_leaves_what_was_there(tmp_path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("before")
    folder.mkdir()
    (folder / "trace.json").write_text("before")

    def half(target) -> None:
        if hasattr(target, "write"):
            target.write(b"aft")
        else:
            (target / "trace.json").write_text("aft")
        raise Interrupted

    with pytest.raises(Interrupted):
        replace_file(file, half)
    with pytest.raises(Interrupted):
        replace_folder(folder, half)
    assert file.read_text() == (folder / "trace.json").read_text() == "before"
    replace_folder(folder, lambda beside: (beside / "trace.json").write_text("after") and None)
    assert (folder / "trace.json").read_text() == "after"
    assert not [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".folder")]
