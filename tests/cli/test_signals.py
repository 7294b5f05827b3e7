"""Ctrl-C, SIGTERM and SIGHUP at any moment of a command: a word, a code, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import downslope as ds
from downslope.cli._main import _run
from downslope.cli._signals import Signals
from downslope.cli._streams import printable

if os.name != "posix":
    pytest.skip("signals of POSIX", allow_module_level=True)

# Sends itself a signal when a module is about to be imported, or at the end of the interpreter.
SCRIPT = """
import atexit, os, sys
_, number, moment, *words = sys.argv
def stop():
    os.kill(os.getpid(), int(number))
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            stop()
sys.meta_path.insert(0, Watch())
if moment == "exit":
    atexit.register(stop)
sys.argv[1:] = words
from downslope.cli import main
main()
"""
DESCEND = ["descend", "f(x) = x² - 4x + 5", "--start", "x=0", "--steps", "5", "--quiet"]


@pytest.fixture(autouse=True)
def hang_up_is_heeded() -> Iterator[None]:
    """The tests and the processes that they start heed SIGHUP, also where the suite runs under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def stopped(number: signal.Signals, moment: str, *words: str) -> tuple[int, str, str]:
    """Run a command that sends itself a signal; return its code and what it printed."""
    command = [sys.executable, "-c", SCRIPT, str(int(number)), moment, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("number", "moment", "code"),
    [
        (signal.SIGINT, "contextlib", 130),
        (signal.SIGINT, "typer", 130),
        (signal.SIGTERM, "numpy", 143),
        (signal.SIGHUP, "jaxlib._jax", 129),
    ],
)
def test_a_signal_while_modules_load(number: signal.Signals, moment: str, code: int) -> None:
    assert stopped(number, moment, *DESCEND, "--engine", "jax") == (code, "", "Stopped.\n")


def test_a_signal_after_the_answer() -> None:
    code, out, err = stopped(signal.SIGINT, "exit", "derive", "x²", "--quiet")
    assert (code, out, err) == (130, "2x\n", "Stopped.\n")


@pytest.fixture
def signals() -> Iterator[Signals]:
    """The signals of this process, whose handlers are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_training_ends_at_a_whole_step_and_is_saved(
    number: signal.Signals, code: int, signals: Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        while not (tmp_path / "run" / "steps.arrow").exists():
            ended.wait(0.02)
        os.kill(os.getpid(), number)

    ended = threading.Event()
    threading.Thread(target=stop, daemon=True).start()
    words = ["train", "xor", "--hidden", "4", "--steps", "1000000", "--save", str(tmp_path / "run"), "--quiet"]
    with printable():
        assert _run(words, signals) == code
    ended.set()
    out, err = capsys.readouterr()
    assert (out.startswith("Stopped by the user"), err) == (True, "")
    trace = ds.load(tmp_path / "run")
    assert trace.outcome is ds.Outcome.INTERRUPTED
    assert 0 < trace.last_step < 1_000_000


def test_a_signal_in_a_command_that_notes_none(signals: Signals, capsys: pytest.CaptureFixture[str]) -> None:
    def derive(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("what a library may make of KeyboardInterrupt")

    with pytest.MonkeyPatch.context() as patch, printable():
        patch.setattr(ds, "derive", derive)
        assert _run(["derive", "x²"], signals) == 143
    assert capsys.readouterr().err == "Stopped.\n"


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def test_using_the_library_installs_no_handler() -> None:
    script = (
        "import signal, downslope as ds\n"
        "before = [signal.getsignal(number) for number in signal.valid_signals()]\n"
        "ds.descend('x²', {'x': 1.0}, learning_rate=0.1)\n"
        "assert before == [signal.getsignal(number) for number in signal.valid_signals()]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_a_progress_bar_prints_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from downslope.descent._progress import progress_bar

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    terminal = Terminal(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stderr", terminal)
    with printable(), progress_bar(True, 10) as show:
        show(5, 10, 1.5)
    assert b"value 1.5" in terminal.buffer.getvalue()  # type: ignore[attr-defined]
