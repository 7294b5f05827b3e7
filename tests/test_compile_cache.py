"""Compiled programs on disk: damage, kills, other users and full disks cost a compilation, and are never seen."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import pytest

from downslope import _programs_on_disk
from downslope._programs_on_disk import ProgramFolder, own_folder, processor_digest

VALUE = zlib.compress(bytes(range(256)) * 40)
POSIX = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users here")


def entry(folder: Path) -> Path:
    (file,) = folder.glob("*-cache")
    return file


def test_what_is_put_comes_back_and_plain_jax_reads_it_too(tmp_path: Path) -> None:
    from jax._src import compilation_cache

    programs = ProgramFolder(tmp_path)
    compressed = compilation_cache.compress_executable(b"machine code")
    programs.put("key", compressed)
    assert programs.get("key") == compressed
    assert programs.get("other") is None
    assert compilation_cache.decompress_executable(entry(tmp_path).read_bytes()) == b"machine code"
    assert list(tmp_path.iterdir()) == [entry(tmp_path)]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return content after one of the faults that a disk, a kill or a person causes."""
    place = chance.randrange(len(content))
    flipped = bytearray(content)
    flipped[place] ^= 1 << chance.randrange(8)
    zeros = content[:place] + bytes(len(content) - place)
    return chance.choice([content[:place], bytes(flipped), zeros, content + b"\0", content[place + 1 :], b""])


@pytest.mark.parametrize("private", [True, False])
def test_no_damage_is_read_back_and_the_entry_is_written_anew(tmp_path: Path, private: bool) -> None:
    programs, chance = ProgramFolder(tmp_path, private=private), random.Random(1)
    for _ in range(100):
        programs.put("key", VALUE)
        file = entry(tmp_path)
        file.write_bytes(damaged(file.read_bytes(), chance))
        read = programs.get("key")
        # Without its seal an entry is one that plain JAX wrote, and is read where it can be.
        assert read is None or (not private and zlib.decompress(read) == zlib.decompress(VALUE))
        assert read is not None or not file.exists()


def test_an_entry_under_the_name_of_another_is_not_read(tmp_path: Path) -> None:
    programs = ProgramFolder(tmp_path)
    programs.put("a", VALUE)
    entry(tmp_path).rename(tmp_path / "b-cache")
    assert programs.get("b") is None


def test_an_entry_of_plain_jax_is_read_in_a_folder_of_the_users_choice_alone(tmp_path: Path) -> None:
    file = tmp_path / "key-cache"
    file.write_bytes(VALUE)
    assert ProgramFolder(tmp_path, private=False).get("key") == VALUE
    assert ProgramFolder(tmp_path).get("key") is None
    file.write_bytes(VALUE[:20])
    assert ProgramFolder(tmp_path, private=False).get("key") is None


def test_kinds_of_processors_have_their_own_entries(tmp_path: Path) -> None:
    """A home folder may be shared by machines, and a program may need what one of them lacks."""
    digests = []
    for number, text in enumerate(
        (
            "processor\t: 0\nmodel name\t: A\nflags\t\t: fpu avx2\ncpu MHz\t\t: 2000\n\nprocessor\t: 1\nflags: fpu\n",
            "processor\t: 1\nmodel name\t: A\nflags\t\t: fpu avx2\ncpu MHz\t\t: 3000\n\n",
            "processor\t: 0\nmodel name\t: A\nflags\t\t: fpu avx2 avx512f\ncpu MHz\t\t: 2000\n\n",
        )
    ):
        file = tmp_path / f"cpuinfo-{number}"
        file.write_text(text)
        digests.append(processor_digest(file))
    assert digests[0] == digests[1] != digests[2]
    assert processor_digest(tmp_path / "none") == processor_digest(tmp_path / "none")
    old, new = (ProgramFolder(tmp_path, processor=digests[index]) for index in (0, 2))
    new.put("key", b"with avx512f")
    assert old.get("key") is None
    old.put("key", b"without")
    assert (old.get("key"), new.get("key")) == (b"without", b"with avx512f")


def test_the_entries_used_longest_ago_go_first(tmp_path: Path) -> None:
    programs = ProgramFolder(tmp_path, limit=10 * (len(VALUE) + 24))
    for number in range(10):
        programs.put(str(number), VALUE)
        os.utime(tmp_path / f"{number}-cache", (number, number))
    assert programs.get("0") == VALUE
    programs.put("new", VALUE)
    kept = {file.name.removesuffix("-cache") for file in tmp_path.iterdir()}
    assert {"0", "new"} <= kept
    assert "1" not in kept
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 10 * (len(VALUE) + 24)
    programs.put("huge", bytes(10 * len(VALUE) + 1000))
    assert programs.get("huge") is None


def test_temporary_files_of_killed_writers_are_removed_once_they_are_old(tmp_path: Path) -> None:
    (tmp_path / ".old.partial").write_bytes(b"x")
    os.utime(tmp_path / ".old.partial", (0, 0))
    (tmp_path / ".new.partial").write_bytes(b"x")
    ProgramFolder(tmp_path).put("key", VALUE)
    assert {file.name for file in tmp_path.iterdir()} == {".new.partial", "key-cache"}


def write_and_read(folder: str, seed: int, kill: bool) -> None:
    programs, chance = ProgramFolder(Path(folder), limit=4000), random.Random(seed)
    for _ in range(100_000 if kill else 300):
        number = chance.randrange(8)
        value = zlib.compress(bytes([number]) * 100_000)
        if chance.random() < 0.5:
            programs.put(str(number), value)
        elif programs.get(str(number)) not in (None, value):
            os._exit(3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_side_by_side_and_killed_ones_leave_whole_entries(tmp_path: Path) -> None:
    # Forked, which is cheap, since nothing of JAX runs in them.
    start = multiprocessing.get_context("fork").Process
    lasting = [start(target=write_and_read, args=(str(tmp_path), seed, False)) for seed in range(3)]
    killed = [start(target=write_and_read, args=(str(tmp_path), seed, True)) for seed in range(3, 6)]
    for process in (*lasting, *killed):
        process.start()
    time.sleep(0.1)
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
    for process in (*lasting, *killed):
        process.join()
    assert [process.exitcode for process in lasting] == [0, 0, 0]
    programs = ProgramFolder(tmp_path)
    for number in range(8):
        assert programs.get(str(number)) in (None, zlib.compress(bytes([number]) * 100_000))


@POSIX
def test_entries_that_others_can_write_or_that_are_no_files_are_not_run(tmp_path: Path, monkeypatch) -> None:
    programs = ProgramFolder(tmp_path)
    programs.put("key", VALUE)
    entry(tmp_path).chmod(0o666)
    assert programs.get("key") is None
    programs.put("key", VALUE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert programs.get("key") is None
    programs.put("other", VALUE)
    (tmp_path / "link-cache").symlink_to(tmp_path / "other-cache")
    os.mkfifo(tmp_path / "pipe-cache")
    (tmp_path / "folder-cache").mkdir()
    assert [programs.get(key) for key in ("link", "pipe", "folder")] == [None, None, None]


@POSIX
def test_the_folder_is_private_and_one_of_another_user_is_not_used(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform != "linux":
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "downslope"))
    folder = own_folder()
    assert folder == tmp_path / "downslope" / "compiled"
    folder.chmod(0o777)
    assert own_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert own_folder() is None
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    assert own_folder() is None or sys.platform != "linux"


def test_a_folder_that_is_gone_full_or_cannot_be_written_is_silent(tmp_path: Path, monkeypatch) -> None:
    gone = ProgramFolder(tmp_path / "gone")
    gone.put("key", VALUE)
    assert gone.get("key") is None
    programs = ProgramFolder(tmp_path)
    programs.put("x" * 300, VALUE)
    programs.put("a/b", VALUE)
    programs.put("a\0b", VALUE)
    assert programs.get("a\0b") is None

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    programs.put("key", VALUE)
    assert list(tmp_path.iterdir()) == []


def test_where_jax_has_moved_its_cache_nothing_is_kept_and_nothing_fails(monkeypatch) -> None:
    import jax
    from jax._src import compilation_cache

    before = dict(jax.config.values)
    monkeypatch.delattr(compilation_cache, "get_file_cache")
    _programs_on_disk.install(jax)
    assert dict(jax.config.values) == before


# In a process of its own, as it changes what JAX reads its entries through.
FAULTS = """
import random, sys, warnings
from pathlib import Path
import jax
import downslope as ds
from downslope._engine import keep_programs_on_disk
from downslope._programs_on_disk import ProgramFolder
from tests.test_compile_cache import damaged

warnings.simplefilter("error")
keep_programs_on_disk()
folder = Path(sys.argv[1])
compilations = []
def count(name, **_):
    if name.endswith("cache_misses"):
        compilations.append(name)

jax.monitoring.register_event_listener(count)

plan = ds.plan("x² + 1", {"x": 2.0}, steps=1, engine="jax")

def run():
    ds.clear_caches()
    compilations.clear()
    return float(ds.descend(plan, progress=False).columns["value"][0]), len(compilations)

assert run()[1] > 0
assert run() == (5.0, 0)
chance = random.Random(0)
for _ in range(3):
    for file in folder.glob("*-cache"):
        file.write_bytes(damaged(file.read_bytes(), chance))
    assert run()[0] == 5.0 and compilations
    assert run() == (5.0, 0)
for file in folder.glob("*-cache"):
    content = file.read_bytes()  # whole and sealed, but nothing that can be run
    ProgramFolder(folder).put(file.name.removesuffix("-cache"), b"no program")
assert run()[0] == 5.0 and compilations
assert run() == (5.0, 0)
"""


def child(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that has the cache of the command."""
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_COMP", "JAX_PERS"))}
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join([root, *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env=unset | {"PYTHONPATH": paths} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is set by XDG_CACHE_HOME")
def test_programs_are_compiled_once_after_each_damage_and_nothing_is_said(tmp_path: Path) -> None:
    result = child(FAULTS, str(tmp_path / "downslope" / "compiled"), XDG_CACHE_HOME=str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    with contextlib.suppress(FileNotFoundError):
        assert list(tmp_path.rglob("*.partial")) == []
