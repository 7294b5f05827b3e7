"""The one door to JAX: loaded when first needed, with the settings a compiled descent wants.

XLA's CPU backend turns a small loop into one machine-code function and pays up to 4 µs an iteration for a larger one.
The bound that decides is raised before the first compilation (jax issues 26145 and 36799). And a program on the CPU
runs in the thread that calls it instead of one of JAX's own, so that pieces called from several threads spread over the
cores. What the user has put into `XLA_FLAGS` is kept; `DOWNSLOPE_XLA_FLAGS=off` leaves both alone.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, TypeVar

_OPTION = "xla_cpu_small_while_loop_byte_threshold"


@functools.cache
def jax() -> ModuleType:
    """Return the module `jax`, imported with the settings above."""
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = os.environ.get("DOWNSLOPE_XLA_FLAGS", "on") != "off"
    if wanted and "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options={_OPTION}=1048576".strip()
    import jax as module
    import jax.flatten_util

    if wanted:
        module.config.update("jax_cpu_enable_async_dispatch", False)
    return module


def double_precision() -> AbstractContextManager[None]:
    """Return a context in which JAX computes in float64, leaving the caller's own setting as it was."""
    return jax().enable_x64(True)


def precision(name: str) -> AbstractContextManager[None]:
    """Return a context in which JAX computes in "float64" or "float32"."""
    return jax().enable_x64(name == "float64")


# Compiled programs are kept as long as what they were compiled for lives, and no longer: an objective holds the user's
# table, and a cache that held the objective would hold the table for the rest of the process.

_T = TypeVar("_T")
_MOST_KEPT = 256  # in all; the ones used longest ago go first
_KEPT: weakref.WeakKeyDictionary[Any, dict[Hashable, tuple[int, Any]]] = weakref.WeakKeyDictionary()
# Numbers of programs, the ones used longest ago first. Their keys stand in `_KEPT` alone: a key may hold the function
# of the objective, and with it what the function closes over.
_RECENT: OrderedDict[int, weakref.ref[Any]] = OrderedDict()
_NUMBERS = itertools.count()
_LOCK = threading.Lock()


def kept(owner: Any, key: Hashable, build: Callable[[], _T]) -> _T:
    """Return what `build()` makes, made once for a key in the life of its owner.

    Args:
        owner: what it is made for, compared by identity: an objective, a plan.
        key: what it depends on besides.
        build: makes it. The result must not refer to the owner, or neither would ever be released.
    """
    with _LOCK:
        programs = _KEPT.get(owner)
        if programs is not None and key in programs:
            number, result = programs[key]
            _RECENT.move_to_end(number)
            return result
    result = build()  # outside the lock, as it may take seconds; of two threads that build the same, one wins
    with _LOCK:
        programs = _KEPT.setdefault(owner, {})
        if key not in programs:
            programs[key] = (next(_NUMBERS), result)
        number, result = programs[key]
        _RECENT[number] = weakref.ref(owner)
        _RECENT.move_to_end(number)
        while len(_RECENT) > _MOST_KEPT:
            oldest, reference = _RECENT.popitem(last=False)
            alive = reference()
            others = {} if alive is None else _KEPT.get(alive, {})
            for stale in [key for key, (number, _) in others.items() if number == oldest]:
                del others[stale]
    return result


def clear_caches() -> None:
    """Release every compiled program and everything on the device that was kept for another run.

    Nothing of a result is lost; what runs next is compiled again. Programs are released with the objective or the plan
    that they were compiled for anyway: call this in a long session over ever new objectives that you keep.

    >>> clear_caches()
    """
    with _LOCK:
        _KEPT.clear()
        _RECENT.clear()
    if "jax" in sys.modules:
        jax().clear_caches()
