"""Many lanes of one program on every device: a piece on each, or on each core where there is one CPU."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from downslope._engine import jax, precision


@functools.cache
def count() -> int:
    """Return how many pieces run side by side."""
    devices = jax().local_devices()
    if len(devices) > 1 or devices[0].platform != "cpu":
        return len(devices)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wide(program: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a program of many lanes, compiled when called, for vectors as wide as the CPU has.

    XLA takes half of AVX-512 unless it is told otherwise; a narrower CPU does as it always does.
    """
    return jax().jit(program, compiler_options={"xla_cpu_prefer_vector_width": "512"})


def side_by_side(run: Callable[[Any], Any], pieces: Sequence[Any], kind: str) -> list[Any]:
    """Return what a compiled program makes of each piece, on the host, in their order.

    Args:
        run: a compiled program of one argument.
        pieces: its arguments, of one shape, so that it is compiled once.
        kind: "float64" or "float32".
    """
    devices = jax().local_devices()

    def one(place: int) -> Any:
        with precision(kind):
            piece = pieces[place]
            if len(devices) > 1:
                piece = jax().device_put(piece, devices[place % len(devices)])
            return jax().device_get(run(piece))

    others = [_pool().submit(one, place) for place in range(1, len(pieces))]
    return [one(0), *(other.result() for other in others)]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads, which wait for their programs outside Python's lock."""
    return ThreadPoolExecutor(max(count(), 1), thread_name_prefix="downslope")
