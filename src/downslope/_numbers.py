"""Conversion of users' numbers to floats without silent loss: complex parts, masks, large integers, units.

NumPy casts complex numbers, dates and durations to float with a warning at most, and shows what a mask hides.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from downslope._errors import DataError, DownslopeError

_NO_NUMBERS = "Mmc"  # NumPy's dates, durations and complex numbers, which float() would cast


def real(value: Any) -> float:
    """Return a number, or the text of one, as a float.

    Raises:
        TypeError: for anything else, complex numbers, dates and masked entries included.
        ValueError: for text that is no number.
        OverflowError: for numbers beyond the largest float.
    """
    dtype = getattr(value, "dtype", None)
    if is_complex(value) or _is_masked(value) or (dtype is not None and dtype.kind in _NO_NUMBERS):
        raise TypeError(f"not a real number: {value!r}")
    return float(value)


def _is_masked(value: Any) -> bool:
    return "numpy.ma" in sys.modules and value is np.ma.masked


def unmasked(values: Any) -> np.ndarray:
    """Return an array of what came, its masked entries as missing: NaN, or None where they are no numbers.

    Raises:
        ValueError: for rows of different shapes.
    """
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if "numpy.ma" not in sys.modules:  # which takes a fifth of NumPy's own import: without it nothing is masked
        return np.asarray(values)
    if isinstance(values, list | tuple) and any(isinstance(entry, np.ma.MaskedArray) for entry in values):
        values = [unmasked(entry) if isinstance(entry, np.ma.MaskedArray) else entry for entry in values]
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if not np.ma.is_masked(values):
        return np.asarray(values.data)
    if values.dtype.kind in "iuf":
        # Of the types that NaN has, the smallest that holds every entry.
        return np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    return np.ma.filled(values.astype(object), None)


def digest_of(array: np.ndarray) -> bytes:
    """Return the checksum of the numbers of an array, which differs where two arrays do."""
    import xxhash

    return xxhash.xxh3_128_digest(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


def median(values: np.ndarray) -> Any:
    """Return the median along the last axis; NaN where any number is NaN.

    NumPy's own loads `numpy.ma`, a fifth of NumPy's import.

    >>> float(median(np.array([3.0, 1.0, 2.0]))), float(median(np.array([1.0, 4.0])))
    (2.0, 2.5)
    """
    ordered = np.sort(values, axis=-1)
    count = ordered.shape[-1]
    if count == 0:
        return np.full(ordered.shape[:-1], np.nan)[()]
    low, high = ordered[..., (count - 1) // 2], ordered[..., count // 2]
    middle = low if count % 2 else (low + high) / 2
    return np.where(np.isnan(ordered[..., -1]), np.nan, middle)[()]


def is_complex(cell: Any) -> bool:
    """Tell whether a cell is a complex number, of Python or in an array of its own."""
    return isinstance(cell, complex) or getattr(getattr(cell, "dtype", None), "kind", "") == "c"


def refuse_complex(name: str, array: np.ndarray, kind: type[DownslopeError] = DataError) -> None:
    """Raise if an array holds complex numbers, naming the first that has an imaginary part.

    Args:
        name: the name of the column, or of what holds the numbers.
        array: any array; rows are its first axis.
        kind: the error to raise.
    """
    if array.dtype.kind not in "cO":
        return
    entries = ((index, complex(cell)) for index, cell in np.ndenumerate(array) if is_complex(cell))
    first = next(entries, None)
    if first is None:
        return
    index, value = first if first[1].imag else next((entry for entry in entries if entry[1].imag), first)
    where = f"row {index[0] + 1}, column {name}" if index else name
    hint = "take the real part, or the absolute value"
    raise kind(f"{where}: {value:g} is complex, and a real number is needed", hint=hint)


def reals(name: str, values: Any, kind: type[DownslopeError] = DataError) -> np.ndarray:
    """Return numbers as an array of float64, NaN where one is masked.

    Args:
        name: what to call them in an error.
        values: a number, or a sequence, series or array of numbers.
        kind: the error to raise.

    Raises:
        DownslopeError: of that kind, for anything that is not real numbers.

    >>> reals("x", np.ma.masked_array([1, 99], [False, True]))
    array([ 1., nan])
    """
    try:
        array = unmasked(values)
        refuse_complex(name, array, kind)
        if array.dtype.kind in _NO_NUMBERS or array.dtype.names is not None:
            raise TypeError
        if array.dtype != object:
            return array.astype(np.float64)
        return np.array([real(entry) for entry in array.ravel()]).reshape(array.shape)
    except OverflowError:
        raise kind(f"{name}: a number is beyond the largest that a float holds, 1.8e308") from None
    except (TypeError, ValueError):
        raise kind(f"{name}: numbers are needed") from None


def evenly_spread(count: int, most: int) -> np.ndarray:
    """Return indices of a sequence, at most a given number, evenly spread from its first entry to its last.

    >>> evenly_spread(10, 4), evenly_spread(3, 4)
    (array([0, 3, 6, 9]), array([0, 1, 2]))
    """
    # Indices that are at least 1 apart stay distinct when they are rounded.
    return np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(int)
