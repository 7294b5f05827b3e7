"""Units of work: a function and its arguments, as bytes that any process can turn into the same call.

What many units share, their subject, travels once: it is addressed by the digest of its bytes, and a worker keeps the
last ones. Large arrays and tables within it are addressed by digests of their own, so that a table reaches a worker
once, however many setups hold it, and comes out of each as one object.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import signal
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from downslope._errors import DownslopeError, in_a_line

T = TypeVar("T")
_LARGE = 1 << 14  # bytes: a smaller part travels within what holds it
_MOST_PARTS, _MOST_SUBJECTS = 64, 32  # that a worker keeps
_FRAMES = ("polars", "pandas", "pyarrow")


@dataclass(frozen=True, eq=False)
class Unit:
    """A piece of work that any process can do, with the same result.

    Args:
        function: a function at the top of a module; called with the subject and the arguments.
        subject: what many units share, such as a plan, a setup or a space.
        arguments: what is the unit's own: a rate, a seed, a range of numbers.
        alike: what units share for which a worker reads and compiles the same; None for function and subject.
    """

    function: Callable[..., Any]
    subject: Any
    arguments: tuple[Any, ...] = ()
    alike: Hashable = None

    @property
    def kind(self) -> Hashable:
        """What makes two units alike, as long as both subjects are there."""
        return (self.function, id(self.subject) if self.alike is None else self.alike)


@dataclass(frozen=True)
class Package:
    """An object as bytes.

    Args:
        digest: of the bytes, by which a worker knows it again.
        parts: the digests of the large parts that it refers to.
        content: the bytes.
    """

    digest: str
    parts: tuple[str, ...]
    content: bytes


@dataclass(frozen=True)
class PartAddress:
    """The address at which a worker gets the bytes of a package.

    Args:
        digest: of the package.
        content: the bytes themselves; None where they are in the file.
        file: the file, which a worker on another machine need not see; "" for none.
    """

    digest: str
    content: bytes | None
    file: str = ""


@dataclass(frozen=True)
class UnitCall:
    """A unit as it travels.

    Args:
        call: function and subject.
        arguments: the arguments.
        sender: the process that it comes from.
    """

    call: Package
    arguments: Package
    sender: int


@dataclass(frozen=True)
class Ended:
    """The result of a unit, and how long it took.

    Args:
        result: what its function returned.
        seconds: of the worker's clock, with what was read and built for it.
    """

    result: Any
    seconds: float = 0.0


@dataclass(frozen=True)
class Failed:
    """The error that a unit's function raised."""

    error: Exception


@dataclass(frozen=True)
class Lacking:
    """The digest of a package that a worker cannot reach."""

    digest: str


class _PartLostError(Exception):
    """A part of a subject that this process cannot reach."""


# --- where units come from --------------------------------------------------------------------------------------------


class Packer:
    """Turns objects into packages; subjects and large parts, whose bytes it keeps by digest, once each."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        # By identity, with the object, so that no other gets its number while this lives.
        self._parts: dict[int, tuple[Any, str]] = {}
        self._subjects: dict[tuple[Hashable, int], tuple[Any, Package]] = {}

    def call(self, unit: Unit) -> Package:
        """Return function and subject of a unit as a package."""
        key = unit.function, id(unit.subject)
        if key not in self._subjects:
            self._subjects[key] = unit.subject, self.packed((unit.function, unit.subject))
        return self._subjects[key][1]

    def packed(self, value: Any) -> Package:
        """Return an object as a package.

        Raises:
            ObjectiveError, DataError: for a noun that holds what does not travel.
        """
        parts: dict[str, None] = {}

        def persistent_id(_: Any, entry: Any) -> str | None:
            if not _is_large(entry) or entry is value:
                return None
            digest = self._part(entry)
            parts.setdefault(digest)
            return digest

        buffer = io.BytesIO()
        base = _pickler()
        type("_Pickler", (base,), {"persistent_id": persistent_id})(buffer, protocol=5).dump(value)
        content = buffer.getvalue()
        return Package(_digest(content), tuple(parts), content)

    def _part(self, entry: Any) -> str:
        if id(entry) not in self._parts:
            content = pickle.dumps(entry, protocol=5)
            digest = _digest(content)
            self.contents.setdefault(digest, content)
            self._parts[id(entry)] = entry, digest
        return self._parts[id(entry)][1]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _pickler() -> Any:
    """Return a class of picklers: cloudpickle's takes functions of the user's script and those without a name."""
    try:
        import cloudpickle  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        return pickle.Pickler
    return cloudpickle.Pickler


def _is_large(entry: Any) -> bool:
    """Tell whether an object is sent as a part of its own: a long array, bytes, or a data frame."""
    kind = type(entry)
    if kind in (bytes, str):
        return len(entry) > _LARGE
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return entry.nbytes > _LARGE and not entry.dtype.hasobject
    # A frame as one object, since setups compare frames by identity.
    return kind.__module__.split(".")[0] in _FRAMES and kind.__name__ in ("DataFrame", "Table", "Series")


# --- where units are done ---------------------------------------------------------------------------------------------

_LOCK = threading.RLock()
_PARTS: OrderedDict[str, Any] = OrderedDict()
_SUBJECTS: OrderedDict[str, Any] = OrderedDict()
_SHARED: OrderedDict[Hashable, Any] = OrderedDict()


def perform(order: UnitCall, *addresses: PartAddress) -> Ended | Failed | Lacking:
    """Do a unit, and return its result, the error that it raised, or what could not be reached.

    Args:
        order: the unit.
        *addresses: of the large parts of its subject and arguments.
    """
    try:
        known = {address.digest: address for address in addresses}
        with _LOCK:  # of two threads that get the same subject, one reads it
            function, subject = _kept(_SUBJECTS, order.call.digest, _MOST_SUBJECTS, lambda: _opened(order.call, known))
            arguments = _opened(order.arguments, known)
    except _PartLostError as lost:
        return Lacking(str(lost))
    except Exception as error:
        return Failed(_that_travels(error))
    with _deaf_to_interrupts(order.sender):
        return done(function, subject, arguments)


def done(function: Callable[..., Any], subject: Any, arguments: tuple[Any, ...]) -> Ended | Failed:
    """Call a function, and return its result or the error that it raised."""
    began = time.perf_counter()
    try:
        return Ended(function(subject, *arguments), time.perf_counter() - began)
    except Exception as error:
        return Failed(_that_travels(error))


def shared(key: Hashable, value: T, most: int = 8) -> T:
    """Return the first of equal values that came to this process, which then serves all of them.

    So what is read and built for one setup, in a worker, is there for the next of the same structure.

    Args:
        key: what makes two values equal.
        value: the value.
        most: how many are kept.
    """
    with _LOCK:
        return _kept(_SHARED, key, most, lambda: value)


def _kept(kept: OrderedDict[Any, Any], key: Any, most: int, make: Callable[[], Any]) -> Any:
    """Return what is kept for a key, made where it is missing; the ones used longest ago go."""
    if key not in kept:
        kept[key] = make()
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
    return kept[key]


def _opened(package: Package, known: Mapping[str, PartAddress]) -> Any:
    """Return the object that a package is of."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, digest: str) -> Any:
            return _kept(_PARTS, digest, _MOST_PARTS, lambda: _read(_content(digest, known)))

    return Unpickler(io.BytesIO(package.content)).load()


def _read(content: bytes) -> Any:
    # An executor runs whatever it is handed: who can send a worker bytes can send it code.
    return pickle.loads(content)  # noqa: S301


def _content(digest: str, known: Mapping[str, PartAddress]) -> bytes:
    """Return the bytes of a part.

    Raises:
        _PartLostError: if this process cannot reach them.
    """
    address = known.get(digest)
    if address is None:
        raise _PartLostError(digest)
    if address.content is not None:
        return address.content
    try:
        content = Path(address.file).read_bytes()
    except OSError:
        raise _PartLostError(digest) from None
    # Nothing is unpickled from a file but what the sender packed.
    if _digest(content) != digest:
        raise _PartLostError(digest)
    return content


def _that_travels(error: Exception) -> Exception:
    """Return an error that can be pickled; one that is no message for the user with the place it comes from."""
    try:
        _read(pickle.dumps(error))
    except Exception:
        error = RuntimeError(in_a_line(error)).with_traceback(error.__traceback__)
    if not isinstance(error, DownslopeError):
        error.add_note("in a worker:\n" + "".join(traceback.format_tb(error.__traceback__)))
    return error


@contextmanager
def _deaf_to_interrupts(sender: int) -> Iterator[None]:
    """Let Ctrl-C, which reaches every process of a terminal, end only the process that units come from.

    A worker ends its unit; half a unit would look like a whole one.
    """
    if os.getpid() == sender or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
