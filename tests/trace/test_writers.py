"""One writer a run, no leftovers, no lost folder: locks, replaced folders, links, modes and folders that disappear."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

import downslope as ds
from downslope.trace import Journal, Trace, _folders, is_written, writing
from downslope.trace._folders import replace_folder
from tests.equality import same
from tests.trace.test_journal import writer

AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> list[Trace]:
    """Two traces as they are once loaded: saved again, they come back as the same types."""
    folder = tmp_path_factory.mktemp("traces")
    rates = (0.1, 0.05)
    runs = [ds.descend("x² + 3y²", {"x": 1.0, "y": 2.0}, learning_rate=rate, steps=5) for rate in rates]
    return [ds.load(ds.save(run, folder / str(index))) for index, run in enumerate(runs)]


@pytest.fixture
def trace(traces) -> Trace:
    return traces[0]


@pytest.fixture
def other(traces) -> Trace:
    return traces[1]


def in_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in another process, without JAX."""
    prelude = "import sys, os, signal\nfrom pathlib import Path\nfrom downslope.trace import writing\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# One writer a run.


def test_a_second_writer_is_refused_with_the_first_named(tmp_path, trace) -> None:
    with writing(tmp_path / "run"):
        with pytest.raises(
            ds.TraceError, match=rf"run is being written by this process \({os.getpid()}\) since \d{{4}}-"
        ):
            ds.save(trace, tmp_path / "run")
        second = in_process("with writing(sys.argv[1]): pass", tmp_path / "run")
        assert f"is being written by process {os.getpid()} on " in second.stderr
        ds.save(trace, tmp_path / "other")
    ds.save(trace, tmp_path / "run")
    assert entries(tmp_path) == ["other", "run"]


def test_a_reader_needs_no_lock(tmp_path, trace) -> None:
    ds.save(trace, tmp_path / "run")
    with writing(tmp_path / "run"):
        same(ds.load(tmp_path / "run"), trace)


def test_a_lock_ends_with_its_process(tmp_path, trace) -> None:
    killed = in_process("with writing(sys.argv[1]): os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "run")
    assert killed.returncode == -9
    assert len(entries(tmp_path)) == 1  # the file of the lock, stale
    ds.save(trace, tmp_path / "run")
    assert entries(tmp_path) == ["run"]


def test_every_name_of_a_folder_has_the_same_lock(tmp_path, trace, monkeypatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with writing("run"):
        for name in (tmp_path / "run", tmp_path / "link", "./run/", "x/../run"):
            with pytest.raises(ds.TraceError, match="is being written"):
                ds.save(trace, name)


def test_whether_a_run_is_written_follows_from_its_lock(tmp_path) -> None:
    run = tmp_path / "run"
    assert is_written(run) is None
    with writing(run):
        assert is_written(run) is True
        assert (
            in_process("from downslope.trace import is_written; print(is_written(Path(sys.argv[1])))", run).stdout
            == "True\n"
        )
    assert is_written(run) is None
    in_process("with writing(sys.argv[1]): os.kill(os.getpid(), signal.SIGKILL)", run)
    assert is_written(run) is False
    lock = tmp_path / ".run.downslope-lock"
    who = json.loads(lock.read_bytes()[1:])
    for process, host, expected in (
        (os.getpid(), who["host"], False),
        (1, "elsewhere", None),
        ("x", who["host"], None),
    ):
        # A number that another process has by now; another machine; nonsense.
        lock.write_bytes(b" " + json.dumps({**who, "process": process, "host": host}).encode())
        assert is_written(run) is expected


def test_threads_that_save_at_once_never_tear_a_run(tmp_path, trace, other) -> None:
    """Each save is whole or refused, and a reader sees one of the two traces at any moment."""
    ds.save(trace, tmp_path / "run")
    kinds, trouble, over = (trace.plan["learning_rate"], other.plan["learning_rate"]), [], threading.Event()
    refused = []

    def save(which: Trace) -> None:
        for _ in range(15):
            try:
                ds.save(which, tmp_path / "run")
            except ds.TraceError as error:
                refused.append(str(error))

    def read() -> None:
        while not over.is_set():
            try:
                loaded = ds.load(tmp_path / "run")
                expected = trace if loaded.plan["learning_rate"] == kinds[0] else other
                np.testing.assert_array_equal(loaded.recorded["value"], expected.recorded["value"])
            except Exception as error:
                trouble.append(error)

    threads = [threading.Thread(target=save, args=(which,)) for which in (trace, other)]
    reader = threading.Thread(target=read)
    for thread in (*threads, reader):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    reader.join()
    assert trouble == []
    # A writer that ended before its name was read is "another writer".
    assert [text for text in refused if not re.search("is being written by (this process|another writer)", text)] == []
    assert entries(tmp_path) == ["run"]


def test_a_writer_that_has_just_ended_is_in_nobodys_way(tmp_path, trace, monkeypatch) -> None:
    """Its lock was held when it was asked for, and the file is gone when its writer is looked up."""
    acquire, refused = filelock.FileLock.acquire, []

    def refuse_once(lock: filelock.FileLock, *arguments: Any) -> Any:
        if not refused:
            refused.append(lock.lock_file)
            raise filelock.Timeout(lock.lock_file)
        return acquire(lock, *arguments)

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse_once)
    ds.save(trace, tmp_path / "run")
    assert len(refused) == 1
    assert ds.load(tmp_path / "run").plan == trace.plan


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_neither_writes_nor_ends_the_lock_of_its_parent(tmp_path) -> None:
    code = """
from downslope.trace import Journal
from tests.trace import journal_writer as writer
folder = Path(sys.argv[1])
answers = []
with writing(folder):
    journal = Journal.begin(folder, writer.header())
    reading, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            journal.append(**writer.rows(0))
        except Exception as error:
            os.write(sending, str(error).encode())
    else:
        os.waitpid(child, 0)
        print(os.read(reading, 1000).decode())
        print(sorted(os.listdir(folder.parent)))
if child == 0:
    os._exit(0)
"""
    run = in_process(code, tmp_path / "run")
    assert "of which this one is a fork" in run.stdout, run.stderr
    assert "['.run.downslope-lock', 'run']" in run.stdout
    assert entries(tmp_path) == ["run"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning(tmp_path, trace, monkeypatch, number: int) -> None:
    def refuse(lock: object, *arguments: object, **choices: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.warns(RuntimeWarning, match="has no locks"):
        ds.save(trace, tmp_path / "run")
    same(ds.load(tmp_path / "run"), trace)
    assert entries(tmp_path) == ["run"]


def test_a_lock_file_with_anything_in_it_does_no_harm(tmp_path, trace) -> None:
    lock = tmp_path / ".run.downslope-lock"
    for content in (b"", b" {", b" []", b" \xff\xfe", b' {"process": 1, "host": "\x1b[2J", "since": null}'):
        lock.write_bytes(content)
        held = filelock.FileLock(lock)
        with held:
            lock.write_bytes(content)
            with pytest.raises(ds.TraceError, match="is being written by ") as refused:
                ds.save(trace, tmp_path / "run")
            assert "\x1b" not in str(refused.value)
        lock.write_bytes(content)
        ds.save(trace, tmp_path / "run")
        assert entries(tmp_path) == ["run"]


# Folders that are replaced.


@pytest.fixture(params=["exchange", "two renames"])
def renaming(request, monkeypatch) -> str:
    """Replace folders with Linux's exchange of names, or as elsewhere."""
    if request.param == "two renames":
        monkeypatch.setattr(_folders, "_renameat2", lambda: None)
    return request.param


class Killed(BaseException):
    """What stands for `kill -9` at one certain call."""


def killed_at(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the process be as good as dead from its `count`-th change of the file system on."""
    left = {"calls": count}

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **choices: object) -> object:
            left["calls"] -= 1
            if left["calls"] <= 0:
                raise Killed
            return function(*arguments, **choices)

        return call

    for module, name in ((os, "rename"), (os, "replace"), (os, "fsync"), (os, "mkdir"), (shutil, "rmtree")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    exchanged = _folders._exchanged
    monkeypatch.setattr(_folders, "_exchanged", counted(exchanged))


def test_a_save_killed_between_any_two_changes_loses_nothing(tmp_path, trace, other, monkeypatch, renaming) -> None:
    for count in range(1, 100):
        folder = tmp_path / str(count) / "run"
        ds.save(trace, folder)
        with monkeypatch.context() as patched:
            killed_at(patched, count)
            try:
                ds.save(other, folder)
                done = True
            except Killed:
                done = False
        loaded = ds.load(folder)
        same(loaded, other if loaded.plan == other.plan else trace)
        ds.save(other, folder)
        same(ds.load(folder), other)
        assert entries(folder.parent) == ["run"]
        if done:
            break
    assert 8 < count < 99


def test_a_full_disk_leaves_the_old_run(tmp_path, trace, other, monkeypatch, renaming) -> None:
    ds.save(trace, tmp_path / "run")
    for name in ("fsync", "replace", "mkdir"):
        with monkeypatch.context() as patched:
            full = OSError(errno.ENOSPC, "No space left on device")
            patched.setattr(os, name, lambda *arguments, full=full, **choices: (_ for _ in ()).throw(full))
            with pytest.raises(ds.TraceError, match="No space left"):
                ds.save(other, tmp_path / "run")
        same(ds.load(tmp_path / "run"), trace)
        assert entries(tmp_path) == ["run"]


def test_what_early_versions_left_is_recovered_or_removed(tmp_path, trace, other) -> None:
    ds.save(trace, tmp_path / "run")
    old = tmp_path / ".run-old-ab3_efgh"
    old.mkdir(mode=0o700)
    (tmp_path / "run").rename(old / "run")
    (tmp_path / ".run-ab3_efgh").mkdir(mode=0o700)
    (tmp_path / ".run-ab3_efgh" / "steps.arrow").write_bytes(b"half")
    same(ds.load(tmp_path / "run"), trace)
    with writing(tmp_path / "run"):
        pass
    same(ds.load(tmp_path / "run"), trace)
    assert entries(tmp_path) == ["run"]


def test_a_run_that_was_moved_aside_is_not_overwritten_unasked(tmp_path, trace) -> None:
    ds.save(trace, tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / ".run-0123abcd.old")
    with pytest.raises(ds.SettingError, match="there is a run in"):
        ds.train(data="iris", hidden=(4,), steps=10, save=tmp_path / "run", progress=False)
    same(ds.load(tmp_path / "run"), trace)


def test_folders_of_others_with_similar_names_stay(tmp_path, trace) -> None:
    """Neither those of a user nor those of runs whose names begin alike."""
    names = [
        ".run-20260101",
        ".run-my-notes",
        ".run-mybackup",
        ".run-old-20260101",
        ".run-ab3_efgh",
        ".runs-0123abcd.new",
    ]
    names += [".run-b-0123abcd.new", ".run-0123abcd.newer", ".run-0123abcd.new.txt"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "steps.arrow").write_text("mine")
    (tmp_path / ".run-ab3_efgh").chmod(0o755)
    ds.save(trace, tmp_path / "run")
    ds.save(trace, tmp_path / "run")
    assert entries(tmp_path) == sorted([*names, "run"])


@pytest.mark.parametrize("content", ["nothing", "an empty folder", "a trace"])
def test_a_link_is_written_through(tmp_path, trace, other, content: str, renaming) -> None:
    target, link = tmp_path / "disk" / "target", tmp_path / "home" / "run"
    link.parent.mkdir()
    if content == "an empty folder":
        target.mkdir(parents=True)
    if content == "a trace":
        ds.save(trace, target)
    link.symlink_to(target)
    ds.save(other, link)
    assert link.is_symlink()
    same(ds.load(link), other)
    same(ds.load(target), other)
    assert entries(target.parent) == ["target"]
    assert entries(link.parent) == ["run"]


@pytest.mark.parametrize("length", [180, 230, 255])
def test_a_long_name_is_a_name(tmp_path, trace, other, length: int) -> None:
    folder = tmp_path / ("é" * (length // 2))
    for saved in (trace, other):
        ds.save(saved, folder)
        same(ds.load(folder), saved)
    assert len(entries(tmp_path)) == 1


# Modes.


@pytest.fixture(params=[0o022, 0o027, 0o002, 0o077])
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def assert_modes(folder: Path, umask: int) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) & 0o777 == 0o777 & ~umask
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask, file


def test_saved_folders_have_the_mode_of_new_ones(tmp_path, trace, umask, renaming) -> None:
    large = ds.descend(lambda p: (p["w"] ** 2).sum(), {"w": np.ones(100)}, learning_rate=0.1, steps=2)
    fit = ds.fit("y = a×x", {"x": [1.0, 2, 3], "y": [2.0, 4, 6.1]})
    for saved in (trace, large, fit):
        for _ in range(2):
            ds.save(saved, tmp_path / "run")
            assert_modes(tmp_path / "run", umask)
    assert "fit.json" in entries(tmp_path / "run")
    with writing(tmp_path / "run"):
        writer.go_on(Journal.begin(tmp_path / "run", writer.header()), 60)
    assert_modes(tmp_path / "run", umask)
    ds.export(trace, tmp_path / "steps.csv")
    ds.report(trace, tmp_path / "run.html")
    for name in ("steps.csv", "run.html"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_the_group_of_the_parent_is_passed_on(tmp_path, trace) -> None:
    tmp_path.chmod(0o2775)
    for _ in range(2):
        ds.save(trace, tmp_path / "run")
        assert (tmp_path / "run").stat().st_mode & stat.S_ISGID


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_another_user_reads_a_run_and_cannot_write_it(tmp_path, trace) -> None:
    before = os.umask(0o022)
    try:
        ds.save(trace, tmp_path / "run")
    finally:
        os.umask(before)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o005)
        if folder == Path("/tmp"):
            break
    # The other user may be unable to read the installed packages, so they are imported before.
    code = """
import downslope as ds, filelock
ds.load(sys.argv[1])
with writing(sys.argv[2]): pass
os.setgid(65534); os.setuid(65534)
print(ds.load(sys.argv[1]).value)
try:
    with writing(sys.argv[1]): print("written")
except ds.TraceError as error:
    print(error)
"""
    with writing(tmp_path / "run"):
        answer = in_process(code, tmp_path / "run", tmp_path / "other")
    assert answer.stdout.splitlines()[0] == str(trace.value), answer.stderr
    assert "belongs to another user" in answer.stdout
    answer = in_process(code, tmp_path / "run", tmp_path / "other")
    assert "cannot be written: Permission denied" in answer.stdout


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_a_run_in_a_folder_of_another_user_is_locked_inside(tmp_path, trace) -> None:
    ds.save(trace, tmp_path / "run")
    os.chown(tmp_path / "run", 65534, 65534)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    code = """
import filelock
os.setgid(65534); os.setuid(65534)
for _ in range(2):
    with writing(sys.argv[1]):
        print(sorted(os.listdir(sys.argv[1])))
        try:
            with writing(sys.argv[1]): print("twice")
        except Exception as error: print(error)
"""
    answer = in_process(code, tmp_path / "run")
    assert answer.stdout.count(".downslope-lock") == 2, answer.stderr
    assert answer.stdout.count("is being written by this process") == 2
    same(ds.load(tmp_path / "run"), trace)
    assert ".downslope-lock" not in entries(tmp_path / "run")


def test_the_working_directory_is_not_replaced(tmp_path, trace, monkeypatch) -> None:
    (tmp_path / "run" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run" / "inner")
    with pytest.raises(ds.TraceError, match="in use as working directory"):
        ds.save(trace, ".")
    assert entries(tmp_path / "run") == ["inner"]
    ds.save(trace, "run")
    same(ds.load("run"), trace)


# Folders that disappear under a run.


def test_a_folder_that_disappears_is_named(tmp_path) -> None:
    folder = tmp_path / "run"

    def replaced() -> None:
        folder.rename(tmp_path / "old")
        shutil.copytree(tmp_path / "old", folder)

    harm = {
        "the folder .*run is gone": [lambda: shutil.rmtree(folder), lambda: folder.rename(tmp_path / "moved")],
        "the folder .*run was replaced by another": [replaced],
        "steps.arrow is gone from the folder": [lambda: (folder / "steps.arrow").unlink()],
    }
    for message, kinds in harm.items():
        for harmed in kinds:
            journal = writer.go_on(Journal.begin(folder, writer.header()), 30)
            harmed()
            with pytest.raises(ds.TraceError, match=message):
                journal.append(**writer.rows(30))
            with pytest.raises(ds.TraceError, match=message):
                journal.finish(writer.header())
            for left in tmp_path.iterdir():
                shutil.rmtree(left)


# What cannot be read.


def test_what_cannot_be_read_is_a_sentence(tmp_path, trace) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    ds.save(trace, tmp_path / "run")
    (tmp_path / "run" / "inner").mkdir()
    names = [
        "file",
        "file/below",
        "one",
        "one/below",
        "nothing",
        "x" * 300,
        "x" * 300 + "/below",
        "é" * 200,
        "run/inner",
    ]
    for name in names:
        with pytest.raises(ds.TraceError):
            ds.load(tmp_path / name)
    for name in ("file", "file/below", "one", "one/below", "x" * 300, "x" * 300 + "/below"):
        with pytest.raises(ds.TraceError):
            ds.save(trace, tmp_path / name)
    (tmp_path / "run" / "inner").rmdir()
    assert entries(tmp_path) == ["file", "one", "run", "two"]


def test_what_is_not_permitted_is_a_sentence(tmp_path, trace, monkeypatch) -> None:
    ds.save(trace, tmp_path / "run")
    denied = PermissionError(errno.EACCES, "Permission denied")
    real = Path.stat

    def closed(path: Path, **choices: bool) -> os.stat_result:
        if path.name == "trace.json":
            raise denied
        return real(path, **choices)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", closed)
        with pytest.raises(ds.TraceError, match="cannot be read: Permission denied"):
            ds.load(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *arguments, **choices: (_ for _ in ()).throw(denied))
        with pytest.raises(ds.TraceError, match="cannot be read: Permission denied"):
            ds.load(tmp_path / "run")


def test_a_failed_write_leaves_an_empty_parent(tmp_path) -> None:
    def fail(beside: Path) -> None:
        (beside / "steps.arrow").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "run", fail)
    assert entries(tmp_path) == []
