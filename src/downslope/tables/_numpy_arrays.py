"""Arrays in files of NumPy: two-dimensional ones, and those with fields."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from downslope._errors import DataError
from downslope.tables._raw_table import RawTable, ReadChoices
from downslope.tables._sources import columns_of_source


def read_npy(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of an array in a file of NumPy."""
    import polars

    array = array_in(name, source)
    if array.dtype.kind not in "biufUSM" and array.dtype.names is None:
        if array.dtype.kind == "c":
            raise DataError(f"{name} holds complex numbers", hint="save the real part, or the absolute value")
        raise DataError(f"{name} holds an array of {array.dtype}, which is not a table")
    columns = columns_of_source(array) or {}
    for column, cells in columns.items():
        if cells.dtype.kind == "c":
            raise DataError(f"column {column} of {name} is complex", hint="save the real part, or the absolute value")
    series = [polars.Series(column, np.ascontiguousarray(cells)) for column, cells in columns.items()]
    notes = () if array.dtype.names else (f"the columns have no names: called column_1 to column_{len(series)}",)
    return RawTable(tuple(series), read={"format": "NumPy"}, notes=notes)


def array_in(name: str, source: Path | bytes) -> np.ndarray:
    """Return the array in a file of NumPy.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        # Mapped, since a damaged file may claim more numbers than memory holds; only what is there can be mapped.
        with warnings.catch_warnings(action="ignore"):
            if isinstance(source, bytes):
                return _from_bytes(source)
            return np.array(np.lib.format.open_memmap(source, mode="r"))
    except Exception as error:  # NumPy hands the header to Python's parser, which has errors of many kinds
        raise DataError(f"{name} cannot be read: {error or type(error).__name__}") from None


def _from_bytes(data: bytes) -> np.ndarray:
    """Return the array in bytes, after a look at whether they hold as much as they claim."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, order, dtype = read(file)
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if dtype.hasobject or count * dtype.itemsize > len(data) - file.tell():
        raise ValueError("it declares more data than it holds")
    flat = np.frombuffer(data, dtype, count, file.tell())
    return flat.reshape(shape, order="F" if order else "C").copy()
