"""The only access to JAX: loaded on first use, with the bound on small loops that compiled descents need.

XLA's CPU backend turns a small loop into one machine-code function and pays up to 4 µs an iteration for a larger one.
The bound that decides is raised before the first compilation (jax issues 26145 and 36799). It can be set in `XLA_FLAGS`
alone, which XLA reads once: the variable is set while XLA reads it, and restored. What the user has put there is kept;
`DOWNSLOPE_XLA_FLAGS=off` leaves the bound alone. No other setting of JAX is changed but within a context.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from downslope import _programs_on_disk
from downslope._copies import has_name

_BOUND = "xla_cpu_small_while_loop_byte_threshold=1048576"
_LOCK = threading.RLock()  # a structure may be released, and its programs with it, while it is held
_ON_LOADING: list[Callable[[], None]] = []


@functools.cache
def jax() -> ModuleType:
    """Return the module `jax`, imported with the bound above."""
    with _LOCK:
        import jax as module
        import jax.flatten_util

        _raise_bound(module)
        if _on_disk:
            _programs_on_disk.install(module)
        while _ON_LOADING:
            _ON_LOADING.pop()()
        return module


def on_loading_jax(action: Callable[[], None]) -> None:
    """Call a function once JAX is loaded, before anything is compiled; at once if it is loaded already."""
    with _LOCK:
        if jax.cache_info().currsize:
            action()
        else:
            _ON_LOADING.append(action)


def _raise_bound(module: ModuleType) -> None:
    """Let XLA read `XLA_FLAGS` with the bound, unless the user decides on it or XLA has read them already."""
    flags = os.environ.get("XLA_FLAGS")
    if os.environ.get("DOWNSLOPE_XLA_FLAGS", "on") == "off" or "xla_backend_extra_options" in (flags or ""):
        return
    os.environ["XLA_FLAGS"] = f"{flags or ''} --xla_backend_extra_options={_BOUND}".strip()
    try:
        _read_flags(module)
    finally:
        if flags is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = flags


def _read_flags(module: ModuleType) -> None:
    """Let XLA read `XLA_FLAGS`."""
    try:
        from jax._src.lib import xla_client  # pyright: ignore[reportPrivateImportUsage] - nothing public reads them

        # Not the backend, which takes longer, and before which the user may still join other processes.
        xla_client.CompileOptions()
    except (ImportError, AttributeError):  # JAX has moved it
        module.devices()


_on_disk = False


def keep_programs_on_disk() -> None:
    """Keep compiled programs on disk from now on; for processes that are downslope's own, see `_programs_on_disk`."""
    global _on_disk
    if not _on_disk:
        _on_disk = True
        if jax.cache_info().currsize:
            _programs_on_disk.install(jax())


def double_precision() -> AbstractContextManager[None]:
    """Return a context in which JAX computes in float64, leaving the caller's own setting as it was."""
    return precision("float64")


def precision(name: str) -> AbstractContextManager[None]:
    """Return a context in which JAX computes in "float64" or "float32".

    A number that is not finite ends a descent with an outcome: the user's `jax_debug_nans` and `jax_debug_infs`, which
    raise an error at the first one, have no effect in it.
    """
    module = jax()
    width = module.enable_x64(name == "float64")
    if not (module.config.jax_debug_nans or module.config.jax_debug_infs):
        return width
    return _without_alarms(module, width)


@contextlib.contextmanager
def _without_alarms(module: ModuleType, width: AbstractContextManager[None]) -> Iterator[None]:
    with module.debug_nans(False), module.debug_infs(False), width:
        yield


# Compiled programs are kept for a structure: what an objective computes, without the data that it computes it of. So a
# copy of an objective, in this process or in another, shares its programs, and none of them keeps a table alive. The
# structure of a formula or of a network of our own layers holds nothing of the user's, and the last ones stay for
# another run. That of a function of the user's lives as long as the objectives that have it.


class Structure:
    """The key that programs are compiled for, compared by identity; equal contents share a structure.

    Args:
        content: what it stands for.
        origin: the user's function, if it is one.
    """

    __slots__ = ("__weakref__", "_origin", "content")

    def __init__(self, content: Hashable, origin: Any = None) -> None:
        self.content = content
        # Not the function: it may close over data, or over the very objective that has this structure.
        self._origin = None if origin is None else weakref.ref(origin)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._origin is None:
            return structure_of, (self.content,)
        return self.again, (self._origin(),)

    @property
    def again(self) -> Callable[[Any], Structure]:
        """The function from a function of the user's, as it is unpickled, to this structure."""
        number = self.content if isinstance(self.content, str) else None
        return functools.partial(structure_of_function, number=number, lasting=True)

    def stands_for(self, origin: Any) -> bool:
        """Tell whether it is that of a function."""
        return self._origin is not None and self._origin() is origin


_STRUCTURES: weakref.WeakValueDictionary[Hashable, Structure] = weakref.WeakValueDictionary()
_LAST_STRUCTURES: OrderedDict[Structure, None] = OrderedDict()
_MOST_STRUCTURES = 64


def structure_of(content: Hashable) -> Structure:
    """Return the structure of a content that holds no data and no function of the user's."""
    with _LOCK:
        structure = _STRUCTURES.get(content)
        if structure is None:
            structure = _STRUCTURES[content] = Structure(content)
        _keep(structure)
    return structure


def structure_of_function(
    function: Callable[..., Any], number: str | None = None, *, lasting: bool = False
) -> Structure:
    """Return the structure of a function of the user's: a new one, since what it closes over may have changed.

    Args:
        function: the function, or the class of a model.
        number: that of the structure which this function had where it was pickled; None for a new one.
        lasting: whether it stays for the next copy, as jobs come to a worker one after another; only for a function
            with a name, which its module holds anyway.
    """
    with _LOCK:
        known = None if number is None else _STRUCTURES.get(number)
        if known is not None and known.stands_for(function):
            return known
        content = uuid.uuid4().hex if number is None or known is not None else number
        try:
            structure = Structure(content, function)
        except TypeError:  # an object that is called, without room for a weak reference
            return Structure(content)
        _STRUCTURES[content] = structure
        if lasting and isinstance(function, FunctionType) and has_name(function):
            _keep(structure)
    return structure


def _keep(structure: Structure) -> None:
    _LAST_STRUCTURES[structure] = None
    _LAST_STRUCTURES.move_to_end(structure)
    while len(_LAST_STRUCTURES) > _MOST_STRUCTURES:
        _LAST_STRUCTURES.popitem(last=False)


_T = TypeVar("_T")
_MOST_KEPT = 256  # in all; the ones used longest ago go first
_KEPT: weakref.WeakKeyDictionary[Any, dict[Hashable, tuple[int, Any]]] = weakref.WeakKeyDictionary()
# Numbers of programs, the ones used longest ago first. Their keys stand in `_KEPT` alone: a key may hold the function
# of the objective, and with it what the function closes over.
_RECENT: OrderedDict[int, weakref.ref[Any]] = OrderedDict()
_NUMBERS = itertools.count()


def kept(owner: Any, key: Hashable, build: Callable[[], _T]) -> _T:
    """Return the result of `build()`, called once for each key while its owner lives.

    Args:
        owner: what it is made for, compared by identity: a structure, a plan.
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

    Nothing of a result is lost; what runs next is compiled again. Programs of a function of yours are released with the
    objective that they were compiled for anyway: call this in a long session over ever new objectives that you keep.
    Programs on disk stay; delete their folder to be rid of them.

    >>> clear_caches()
    """
    with _LOCK:
        _LAST_STRUCTURES.clear()
        _KEPT.clear()
        _RECENT.clear()
    if "jax" in sys.modules:
        jax().clear_caches()
