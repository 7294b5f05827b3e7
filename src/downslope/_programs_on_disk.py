"""Compiled programs on disk: JAX's persistent cache, safe from damage, kills and other users.

JAX writes an entry in place, never writes it again, and warns in each later process where a write was cut off. Here an
entry is written to a temporary file and renamed, and ends in a digest of its key and its bytes. One that does not match
is deleted, and JAX compiles and writes it anew. Whatever else fails, a full disk or a folder that cannot be written,
ends as a program that is compiled and not kept.

An entry is machine code that JAX runs. The user's own folder of the cache is therefore trusted only where this user
alone can write, and so is each file in it.

The digest stands in a skippable frame of Zstandard (RFC 8878, 3.1.2), which every decompressor that JAX uses passes
over, zlib included: plain JAX reads these entries too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import stat
import tempfile
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

LIMIT = 256 << 20  # bytes; a formula takes 30 kB, a network up to 1 MB
_SUFFIX = "-cache"  # JAX's own, so that both read one folder
_PARTIAL = ".partial"
_ABANDONED = 3600.0  # seconds after which a temporary file has no writer any more
_FRAME = (0x184D2A5D).to_bytes(4, "little") + (16).to_bytes(4, "little")
_SEAL = len(_FRAME) + 16
_NOTHING = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class ProgramFolder:
    """A folder of compiled programs, in the form in which JAX reads and writes its persistent cache.

    Args:
        folder: the folder, which exists.
        limit: the most bytes it may hold, the entries used longest ago being removed; None for no limit.
        private: whether an entry must be this user's own and sealed. Otherwise an entry without a seal, which plain JAX
            wrote, is read where it can be decompressed.
        processor: what ends the names of entries that only this kind of processor can run.
    """

    def __init__(self, folder: Path, limit: int | None = LIMIT, *, private: bool = True, processor: str = "") -> None:
        self._path = folder  # JAX prints it
        self._limit, self._private, self._processor = limit, private, processor
        self._room = 0  # bytes that may be written before the folder is measured again

    def get(self, key: str) -> bytes | None:
        """Return the entry of a key without its seal; None where there is none. A damaged one is deleted."""
        file = self._file(key)
        try:
            content = _content(file, private=self._private)
            value = None if content is None else self._checked(key, content)
            if value is None:
                file.unlink(missing_ok=True)
            else:
                os.utime(file)  # the time of its last use
        except (OSError, ValueError):
            return None
        return value

    def put(self, key: str, value: bytes) -> None:
        """Write an entry, over one that could not be read; JAX asks for it only after reading failed."""
        sealed = value + _seal(key, value)
        if self._limit is not None and len(sealed) > self._limit:
            return
        with contextlib.suppress(OSError, ValueError):
            self._write(self._file(key), sealed)
            self._make_room(len(sealed))

    def _file(self, key: str) -> Path:
        return self._path / f"{key}{self._processor}{_SUFFIX}"

    def _checked(self, key: str, content: bytes) -> bytes | None:
        """Return the stored content; None if it is damaged."""
        value, seal = content[:-_SEAL], content[-_SEAL:]
        if seal == _seal(key, value):
            return value
        # A damaged seal cannot be told from a missing one: what has its frame was written here.
        if self._private or seal.startswith(_FRAME) or not _decompresses(content):
            return None
        return content

    def _write(self, file: Path, content: bytes) -> None:
        """Write a file so that others see all of it or nothing."""
        descriptor, partial = tempfile.mkstemp(suffix=_PARTIAL, prefix=".", dir=self._path)
        try:
            with os.fdopen(descriptor, "wb") as sink:
                sink.write(content)
            os.replace(partial, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise

    def _make_room(self, written: int) -> None:
        """Remove the entries that were used longest ago where the folder has grown beyond its limit."""
        self._room -= written
        if self._limit is None or self._room > 0:
            return
        entries, now = [], time.time()
        with os.scandir(self._path) as files:
            for entry in files:
                with contextlib.suppress(OSError):  # another process has just removed it
                    facts = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(_PARTIAL) and now - facts.st_mtime > _ABANDONED:
                        os.unlink(entry.path)
                    elif entry.name.endswith(_SUFFIX):
                        entries.append((facts.st_mtime, facts.st_size, entry.path))
        total = sum(size for _, size, _ in entries)
        if total > self._limit:
            # A tenth more than necessary, so that a full folder is not measured at each writing.
            total = _shrunk(sorted(entries), total, self._limit * 9 // 10)
        # Eight processes that write as much at the same time stay within the limit.
        self._room = (self._limit - total) // 8


def _shrunk(entries: list[tuple[float, int, str]], total: int, most: int) -> int:
    """Remove the first entries until a limit in bytes is met; return the bytes that are left."""
    for _, size, path in entries:
        if total <= most:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size
    return total


def _seal(key: str, value: bytes) -> bytes:
    """Return what an entry ends in; with the key, so that no entry stands for another."""
    digest = hashlib.blake2b(key.encode() + b"\0", digest_size=16)
    digest.update(value)
    return _FRAME + digest.digest()


def _content(file: Path, *, private: bool) -> bytes | None:
    """Return the content of a file; None if it cannot be trusted.

    Raises:
        OSError: if it cannot be read.
    """
    # The opened file is checked and not its name, which could be another file a moment later.
    with os.fdopen(os.open(file, os.O_RDONLY | (_NOTHING if private else 0)), "rb") as source:
        facts = os.fstat(source.fileno())
        if not stat.S_ISREG(facts.st_mode) or (private and not _is_own(facts)):
            return None
        return source.read()


def _is_own(facts: os.stat_result) -> bool:
    """Tell whether only this user can have written something, where the system knows of users."""
    if not hasattr(os, "geteuid"):
        return True
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _decompresses(content: bytes) -> bool:
    """Tell whether JAX can decompress an entry."""
    from jax._src import compilation_cache

    try:
        compilation_cache.decompress_executable(content)
    except Exception:  # of whichever library compresses
        return False
    return True


def processor_digest(description: Path = Path("/proc/cpuinfo")) -> str:
    """Return what tells the kinds of processors apart that machines with one home folder may have.

    JAX's own key does not: a program for a processor with more instructions would end another one's process.

    Args:
        description: where Linux describes each core; the first one counts.
    """
    features = [platform.machine()]
    try:
        with description.open(encoding="utf-8", errors="replace") as source:
            first = source.read(1 << 14).partition("\n\n")[0]
        features += [line for line in first.splitlines() if line.partition(":")[0].strip() in _OF_KIND]
    except OSError:
        features.append(platform.processor())  # which starts a process on Linux
    return "-" + hashlib.blake2b("\n".join(features).encode(), digest_size=6).hexdigest()


# Not the clock rate or the number of the core, which change.
_OF_KIND = frozenset(
    ["vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU implementer", "CPU part", "isa"]
)


def own_folder() -> Path | None:
    """Return the user's own folder for compiled programs; None where there is none to be trusted."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("downslope", appauthor=False)) / "compiled"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "geteuid") and folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)  # versions before this check left it to the umask
        usable = _is_own(folder.stat()) and os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # no home folder
        return None
    return folder if usable else None


def install(module: ModuleType) -> None:
    """Let JAX keep its compiled programs on disk, in the folder that the user chose for JAX or in the user's own.

    Only for processes that are downslope's own: the command and the workers of the lab. A program of the user that
    imports downslope keeps the cache that it has.

    Args:
        module: JAX.
    """
    config = module.config
    chosen = "JAX_COMPILATION_CACHE_DIR" in os.environ or bool(config.jax_compilation_cache_dir)
    folder = config.jax_compilation_cache_dir if chosen else own_folder()
    # A cache elsewhere than on this machine, or of a size that the user chose, is JAX's own as it is.
    if not folder or "://" in str(folder) or (chosen and config.jax_compilation_cache_max_size != -1):
        return
    if config.values.get("jax_compilation_cache_check_contents"):
        return  # the user has JAX compare what it compiles with what it reads
    limit, processor = (None, "") if chosen else (LIMIT, processor_digest())
    if not _replace(ProgramFolder(Path(folder), limit, private=not chosen, processor=processor)):
        return
    # A whole entry that this machine cannot run is compiled and written anew.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    if chosen:
        return
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_persistent_cache_enable_xla_caches": "none",  # files of XLA in the folder, without a limit or a check
    }
    for name, value in settings.items():
        if name.upper() not in os.environ:
            config.update(name, value)


def _replace(programs: ProgramFolder) -> bool:
    """Let JAX read and write its entries through `programs`; tell whether it does."""
    try:
        from jax._src import compilation_cache

        reference: Any = compilation_cache.get_file_cache
        assert callable(reference)
        assert callable(compilation_cache.decompress_executable)
    except Exception:  # JAX has moved them: nothing is kept, and nothing fails
        return False
    compilation_cache.get_file_cache = lambda path, *others: (programs, path)
    return True
