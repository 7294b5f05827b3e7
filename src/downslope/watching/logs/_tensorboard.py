"""TensorBoard event files: length-prefixed records, each an `Event` with scalars by tag.

A run that was killed leaves a last record that is cut off; all before it are read. Scalars are `simple_value`, or
tensors of one number. Reference: tensorflow/core/lib/io/record_writer.h, event.proto, summary.proto, tensor.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from downslope.watching.logs._log import Log, columns_of, refusal
from downslope.watching.logs._wire import as_float, as_signed, as_text, fields

_FRAME = struct.Struct("<QI")  # the length of a record, and its checksum
_TIME, _STEP, _SUMMARY = 1, 2, 5  # of an event
_VALUE = 1  # of a summary
_TAG, _SIMPLE, _TENSOR = 1, 2, 8  # of a value
_TYPE, _SHAPE, _CONTENT = 1, 2, 4  # of a tensor
_NUMBERS = {5: "<f", 6: "<d", 7: "", 10: ""}  # the fields of a tensor that hold numbers, and how
_TYPES = {1: "<f", 2: "<d", 3: "<i", 9: "<q"}  # DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT64


def is_events(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a record, of a length that its checksum confirms."""
    if len(head) < _FRAME.size:
        return False
    _, checksum = _FRAME.unpack_from(head)
    return _masked(_checksum(head[:8])) == checksum


def read_events(name: str, files: Sequence[tuple[str, Path]]) -> Log:
    """Return the log in event files, in the order of time; the tags of each get its prefix."""
    timed: list[tuple[float, dict[str, float]]] = []
    caveats = []
    for prefix, file in files:
        intact = True
        for record in _records(file.read_bytes()):
            try:
                time, step, scalars = _scalars(record)
            except ValueError:
                intact = False
                break
            for tag, number in scalars:
                key = f"{prefix}{tag}"
                row = timed[-1][1] if timed else {}
                # In the order of the file: what was logged later at an earlier step may count something else.
                if row.get("step") != step or key in row:
                    row = {"step": float(step)}
                    timed.append((time, row))
                row[key] = number
        if not intact:
            caveats.append(f"{file.name} ends in a record that is cut off; all before it are read")
    if not timed:
        raise refusal(name, "holds no scalars", "only numbers by step can be judged, no histograms or pictures")
    if len(files) > 1:
        timed.sort(key=lambda entry: entry[0])
    length, columns = columns_of(row for _, row in timed)
    return Log("TensorBoard", length, columns, caveats=tuple(caveats), axis="step")


def _records(content: bytes) -> Iterator[memoryview | None]:
    """Yield the records of a file; None last, where it ends within one."""
    view = memoryview(content)
    at = 0
    while at < len(view):
        if at + _FRAME.size > len(view):
            yield None
            return
        size, _ = _FRAME.unpack_from(view, at)
        begin = at + _FRAME.size
        if begin + size + 4 > len(view):
            yield None
            return
        yield view[begin : begin + size]
        at = begin + size + 4


def _scalars(record: memoryview | None) -> tuple[float, int, list[tuple[str, float]]]:
    """Return the time and the step of an event, and its scalars by tag."""
    if record is None:
        raise ValueError("a record that is cut off")
    time, step = 0.0, 0
    scalars = []
    for number, content in fields(record):
        if number == _TIME:
            time = as_float(content)
        elif number == _STEP:
            step = as_signed(content)
        elif number == _SUMMARY and not isinstance(content, int):
            for inner, entry in fields(content):
                if inner == _VALUE and not isinstance(entry, int):
                    tag, scalar = _value(entry)
                    if scalar is not None:
                        scalars.append((tag, scalar))
    return time, step, scalars


def _value(entry: memoryview) -> tuple[str, float | None]:
    """Return tag and number of a value of a summary; None for a picture, a histogram or a text."""
    tag, scalar = "", None
    for number, content in fields(entry):
        if number == _TAG:
            tag = as_text(content)
        elif number == _SIMPLE:
            scalar = as_float(content)
        elif number == _TENSOR and not isinstance(content, int):
            scalar = _of_tensor(content)
    return tag, scalar


def _of_tensor(tensor: memoryview) -> float | None:
    """Return the number of a tensor that holds one; None for others."""
    kind = 0
    scalar = None
    for number, content in fields(tensor):
        if number == _TYPE and isinstance(content, int):
            kind = content
        elif number == _SHAPE and not isinstance(content, int) and len(content):
            return None  # of some shape, and no scalar
        elif number == _CONTENT and not isinstance(content, int):
            form = _TYPES.get(kind)
            if form and len(content) == struct.calcsize(form):
                scalar = float(struct.unpack(form, content)[0])
        elif number in _NUMBERS:
            if isinstance(content, int):
                scalar = float(as_signed(content))
            elif len(content) in (4, 8) and _NUMBERS[number]:
                scalar = as_float(content)
    return scalar


# --- the checksum of a length, which tells an event file from any other ----------------------------------------------


def _masked(checksum: int) -> int:
    """Return a checksum as records hold it."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _checksum(content: bytes) -> int:
    """Return the CRC-32C of some bytes, bit by bit: they are eight."""
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF
