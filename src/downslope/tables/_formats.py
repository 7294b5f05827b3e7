"""The formats of tables: one record each, with its reader and its writer. Nothing else in the package lists suffixes.

To add a format, write a module with its reader, its writer or both, and its record into `FORMATS`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from downslope._errors import DataError
from downslope.tables._delimited import read_delimited
from downslope.tables._excel import read_excel
from downslope.tables._json_tables import read_json, read_json_lines, write_json, write_json_lines
from downslope.tables._numpy_arrays import read_npy
from downslope.tables._parquet import read_arrow, read_parquet, write_arrow, write_parquet
from downslope.tables._raw_table import RawTable, ReadChoices, with_notes

if TYPE_CHECKING:
    import polars

_MOST_UNPACKED = 1 << 33  # bytes: a small file may claim to hold any number of them
# Kinds of files that other packages read.
_FOREIGN = {".sav": "read_spss", ".sas7bdat": "read_sas", ".dta": "read_stata", ".h5": "read_hdf", ".hdf5": "read_hdf"}


@dataclass(frozen=True)
class Format:
    """A format of tables.

    Args:
        name: what it is called.
        suffixes: of its files' names, in lower case.
        read: from a name, for errors, a path or the file's bytes, and choices to columns; None for a format that is not
            read.
        write: from a frame and a path; None for a format that is not written.
        has_types: whether a file says which columns are numbers.
        begins: how the bytes of its files begin, whatever their name says; b"" where they do not tell.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[str, Path | bytes, ReadChoices], RawTable] | None
    write: Callable[[polars.DataFrame, Path], None] | None
    has_types: bool
    begins: bytes = b""


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name; None for a suffix that is not known."""
    suffix = Path(name).suffix.lower()
    return next((known for known in FORMATS if suffix in known.suffixes), None)


def table_suffixes(use: Literal["read", "write"] = "read") -> tuple[str, ...]:
    """Return the suffixes of files that can be read or written as tables.

    >>> table_suffixes("write")
    ('.csv', '.txt', '.tsv', '.tab', '.parquet', '.pq', '.arrow', '.feather', '.ipc', '.json', '.jsonl', '.ndjson')
    """
    return tuple(suffix for known in FORMATS if getattr(known, use) for suffix in known.suffixes)


def readable_formats() -> str:
    """Return the formats that can be read, in words."""
    names = [f"{known.name} ({', '.join(known.suffixes)})" for known in FORMATS if known.read is not None]
    return f"{', '.join(names[:-1])} and {names[-1]} files can be read"


def read_file(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a file, by how its bytes begin, by its name, or as plain text.

    Raises:
        DataError: for a file that cannot be read as a table.
    """
    suffix = Path(name).suffix.lower()
    if suffix in _FOREIGN:
        raise DataError(
            f"cannot read {name!r} as a table", hint=f"pandas reads it: data=pandas.{_FOREIGN[suffix]}({name!r})"
        )
    head = source[:16] if isinstance(source, bytes) else _head(source)
    named = format_of(name)
    begun = next((known for known in FORMATS if known.begins and head.startswith(known.begins)), None)
    if begun is not None and begun.read is not None and begun is not named:
        # A workbook is an archive, and so is a file that was packed.
        is_archive = begun.begins == b"PK\3\4"
        return (_read_archive if is_archive else begun.read)(name, source, choices)
    if named is None and b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"cannot read {name!r} as a table", hint=readable_formats())
    if named is None or named.read is None:
        return read_delimited(name, source, choices)
    return named.read(name, source, choices)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(16)


def _read_gzip(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a file that is packed by gzip."""
    import gzip  # with zipfile, these take as long to import as everything else here
    import zlib

    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        with gzip.open(io.BytesIO(data)) as packed:
            unpacked = packed.read(_MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be decompressed: {error}") from None
    return _unpacked(name, Path(name).stem if name.lower().endswith(".gz") else name, unpacked, choices)


def _read_archive(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of the only file in an archive."""
    import zipfile
    import zlib

    data = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with zipfile.ZipFile(data) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if any(inner == "[Content_Types].xml" for inner in names):
                return read_excel(name, source, choices)
            names = [inner for inner in names if not inner.startswith(("__MACOSX/", "."))]
            if len(names) != 1:
                listed = ", ".join(names[:5]) or "none"
                raise DataError(f"{name} holds {len(names)} files, and a table is one: {listed}", hint="unpack it")
            with archive.open(names[0]) as packed:
                unpacked = packed.read(_MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{name} cannot be decompressed: {error}") from None
    return with_notes(_unpacked(name, Path(names[0]).name, unpacked, choices), f"{names[0]} in {name}")


def _unpacked(name: str, inner: str, data: bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a file that was unpacked."""
    if len(data) > _MOST_UNPACKED:
        raise DataError(f"{name} decompresses to more than {_MOST_UNPACKED >> 30} GB")
    known = format_of(inner)
    if known is not None and known.name in ("gzip", "archive"):
        raise DataError(f"{name} is compressed twice", hint="decompress it once")
    raw = read_file(inner, data, choices)
    return replace(raw, read={**raw.read, "packed": Path(name).suffix.lstrip(".") or "gz"})


FORMATS = (
    # The reader tells the separator from the lines, whatever the suffix says.
    Format("CSV", (".csv", ".txt"), read_delimited, lambda frame, file: frame.write_csv(file), has_types=False),
    Format(
        "TSV",
        (".tsv", ".tab"),
        read_delimited,
        lambda frame, file: frame.write_csv(file, separator="\t"),
        has_types=False,
    ),
    Format("plain text", (".dat", ".asc", ".data", ".prn", ".xy"), read_delimited, None, has_types=False),
    Format("Parquet", (".parquet", ".pq"), read_parquet, write_parquet, has_types=True, begins=b"PAR1"),
    Format("Arrow", (".arrow", ".feather", ".ipc"), read_arrow, write_arrow, has_types=True, begins=b"ARROW1"),
    Format("JSON", (".json",), read_json, write_json, has_types=True),
    Format("JSON Lines", (".jsonl", ".ndjson"), read_json_lines, write_json_lines, has_types=True),
    Format("workbook", (".xlsx", ".xlsm", ".xlsb", ".ods"), read_excel, None, has_types=False, begins=b"PK\3\4"),
    Format("old workbook", (".xls",), read_excel, None, has_types=False, begins=b"\xd0\xcf\x11\xe0"),
    Format("NumPy", (".npy",), read_npy, None, has_types=True, begins=b"\x93NUMPY"),
    Format("gzip", (".gz",), _read_gzip, None, has_types=False, begins=b"\x1f\x8b"),
    Format("archive", (".zip",), _read_archive, None, has_types=False),
)
