"""Damaged tables: read or refused with an error of this package, in bounded memory and without a word on stderr."""

from __future__ import annotations

import io
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import polars
import pytest
from polars.exceptions import PanicException

import downslope as ds
from downslope._files import guarded
from downslope.tables._parquet_claims import check_claims

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FRAME = polars.DataFrame({"size": [50.0, None, 150.0] * 40, "price": [1, 2, 3] * 40, "town": ["a", "b", None] * 40})


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def parquet(**choices: object) -> bytes:
    written = io.BytesIO()
    FRAME.write_parquet(written, **choices)  # pyright: ignore[reportArgumentType]
    return written.getvalue()


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".npy", ".xlsx"])
def test_mutated_files_are_read_or_refused(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from reliability_tables import damaged, read  # pyright: ignore[reportMissingImports]  # beside the scripts

    outcomes: Counter[str] = Counter()
    for number, data in enumerate(damaged(suffix, 80, seed=1)):
        file = tmp_path / f"{number}{suffix}"
        file.write_bytes(data)
        outcomes[read(file)] += 1
    assert outcomes["refused"] > 20
    assert capfd.readouterr().err == ""


def huge(whole: bytes, name: str) -> bytes:
    """Return a file of Parquet in which a count of rows is replaced by the largest number of 64 bits."""
    (length,) = struct.unpack("<I", whole[-8:-4])
    footer = whole[-8 - length : -8]
    rows = bytes([0xF0, 0x01])  # 120 as a zigzag varint
    positions = [at for at in range(len(footer)) if footer[at : at + 2] == rows]
    at = positions[{"file": 0, "column": 1, "part": -1}[name]]
    changed = footer[:at] + b"\xfe" + b"\xff" * 8 + b"\x01" + footer[at + 2 :]
    return whole[: -8 - length] + changed + struct.pack("<I", len(changed)) + b"PAR1"


@pytest.mark.parametrize("count", ["file", "column", "part"])
def test_a_file_that_claims_more_than_memory_holds_is_refused(count: str, tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    file.write_bytes(huge(parquet(), count))
    with pytest.raises(ds.DataError, match=r"table\.parquet is not a Parquet file that can be read: .*claims?"):
        ds.read_table(file)


@pytest.mark.parametrize("compression", ["uncompressed", "zstd", "snappy"])
@pytest.mark.parametrize("rows", [7, 120])
def test_whole_files_pass_the_check_of_claims(compression: str, rows: int) -> None:
    check_claims("whole", parquet(compression=compression, row_group_size=rows))
    check_claims("whole", parquet(compression=compression, statistics="full"))


def test_a_file_without_rows_claims_nothing_wrong() -> None:
    written = io.BytesIO()
    FRAME.clear().write_parquet(written)
    check_claims("empty", written.getvalue())


def test_a_panic_is_an_error_and_leaves_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(ds.DataError, match="table is not a file that can be read: it is damaged"),
        guarded("table", ds.DataError),
    ):
        raise PanicException("assertion failed at src/lib.rs:1:2")
    assert capfd.readouterr().err == ""


def test_what_others_print_meanwhile_comes_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    with guarded("table", ds.DataError):
        os.write(2, b"a line of another thread\n")
    assert capfd.readouterr().err == "a line of another thread\n"


def test_control_characters_of_a_table_reach_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from downslope.cli._main import run

    file = tmp_path / "ta\x1b[2Jble.csv"
    file.write_text("si\x1b[31mze,price\n1,2\n2,x\x1b]0;title\x07\x9b1m\n3,4\n", encoding="utf-8")
    commands = [
        ["fit", str(file), "price = w × a"],
        ["train", str(file), "--target", "price"],
        ["fit", str(tmp_path / "\x1b[2J.csv"), "y = a x"],
        ["fit", str(file), "price = w × si\x1b[31mze"],
        ["descend", "x\x1b[1m²", "--start", "x=\x9b1"],
        ["derive", "x²", "--by", "\x1b[1mx"],
    ]
    for words in commands:
        assert run(words) == 2
        out, err = capsys.readouterr()
        assert "Error: " in err
        assert all(letter.isprintable() or letter == "\n" for letter in out + err), (words, err)


def test_numbers_of_numpy_keep_their_values(tmp_path: Path) -> None:
    from downslope.tables import array_in

    np.save(tmp_path / "rows.npy", np.arange(6).reshape(2, 3))
    assert array_in("rows.npy", tmp_path / "rows.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ds.DataError, match=r"rows\.npz cannot be read"):
        array_in("rows.npz", tmp_path / "rows.npz")
