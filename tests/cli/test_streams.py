"""Every command on every kind of output: encodings that lack letters, closed streams, full disks, readers that went."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import downslope as ds
from downslope.cli._app import _COMMANDS
from downslope.cli._main import run
from downslope.cli._streams import Output, read_arguments, visible

PARABOLA = ["descend", "f(x) = x² - 4x + 5", "--start", "x=0", "--learning-rate", "0.1", "--steps", "20"]
HOUSES = ["descend", "Loss(w) = mean((price - w×size)²)", "--data", "houses.csv", "--start", "w=0"]
# One call of each command; RUN is a saved descent and NET a saved training.
CALLS: dict[str, list[str]] = {
    "derive": ["derive", "α·√x + e^(-x²)"],
    "chain": ["chain", "sin(u)", "u = x²"],
    "slope": ["slope", "x⁴ + π·y²", "--at", "x=1,y=2"],
    "backprop": ["backprop", "(w·x - 1)²", "--at", "w=1,x=2"],
    "critical": ["critical", "x⁴ - 4x²", "--within", "x=-3..3"],
    "descend": PARABOLA,
    "fit": ["fit", "houses.csv", "price = w × size", "--unit", "size=m²"],
    "train": ["train", "xor", "--steps", "5", "--hidden", "4"],
    "predict": ["predict", "NET", "xor"],
    "send": ["send", "--help"],
    "find-rate": ["find-rate", "x² + 3y²", "--start", "x=1,y=1"],
    "prescribe": ["prescribe", "x² + 3y²", "--start", "x=1,y=1", "--learning-rate", "0.4", "--steps", "10"],
    "sweep": ["sweep", "x²", "--start", "x=10", "--learning-rates", "0.1,0.5,1"],
    "compare": ["compare", "x²", "--start", "x=10", "-m", "adam", "-m", "bfgs", "--steps", "20"],
    "multistart": ["multistart", "x⁴ - 4x² + x", "--bounds", "x=-3..3", "--starts", "8"],
    "search": ["search", "x⁴ - 4x² + x", "--bounds", "x=-3..3"],
    "diagnose": ["diagnose", "RUN"],
    "draw": ["draw", "x²", "--plot", "x.svg"],
    "export": ["export", "RUN", "steps.csv"],
    "lab": ["lab", "--help"],
    "article": [*HOUSES, "--learning-rate", "0.00001", "--steps", "100"],
}


class Full(io.RawIOBase):
    """A disk without room."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a saved descent and a saved training."""
    folder = tmp_path_factory.mktemp("workshop")
    houses = Path(ds.__file__).parent / "examples" / "houses.csv"
    (folder / "houses.csv").write_bytes(houses.read_bytes())
    ds.save(ds.descend("α² + √(1 + y²)", {"α": 3.0, "y": 2.0}, learning_rate=0.1, steps=30), folder / "RUN")
    ds.train(data="xor", hidden=(4,), steps=20, save=folder / "NET")
    return folder


@pytest.fixture(autouse=True)
def _own_folder(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)


def output(monkeypatch: pytest.MonkeyPatch, words: list[str], encoding: str) -> tuple[int, str, str]:
    """Run a command with output in an encoding; return its code and what it printed on both streams."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    code = run(words)
    out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams)  # type: ignore[attr-defined]
    return code, out, err


def test_each_command_has_a_call() -> None:
    assert {function.__name__.replace("_", "-") for function in _COMMANDS} <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_command_prints_in_every_encoding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = {encoding: output(monkeypatch, CALLS[name], encoding) for encoding in ("utf-8", "cp1252", "ascii")}
    for encoding, (code, out, err) in printed.items():
        assert (code, err) == (0, ""), (encoding, err)
        assert "\\u" not in out
        assert "\\x" not in out
        assert out.count("\n") == printed["utf-8"][1].count("\n")


@pytest.mark.parametrize("name", CALLS)
def test_a_command_says_that_its_output_has_no_room(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Full()), encoding="utf-8"))
    monkeypatch.setattr(sys, "stderr", errors := io.StringIO())
    assert run(CALLS[name]) == 2
    assert errors.getvalue() == "Error: the output cannot be written: No space left on device\n"
    # Neither stream: nothing is left to say it on.
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(Full()), encoding="utf-8"))
    monkeypatch.setattr(sys, "stdout", None)
    assert run(["derive", "x +"]) == 2


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("find-rate", "prescribe", "train")])
def test_a_command_runs_with_closed_streams(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert run(CALLS[name]) == 0


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437", "latin-1", "utf-8"])
def test_help_and_errors_print_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = output(monkeypatch, ["--help"], encoding)
    assert (code, err) == (0, "")
    assert ("−∇f" if encoding == "utf-8" else "-grad f") in out
    for name in CALLS:
        if name != "article":
            code, out, err = output(monkeypatch, [name, "--help"], encoding)
            assert (code, err) == (0, "")
            assert "Usage: " in out
    for words in (["derive", "√x·α⁴ + )"], ["nonsense→"], ["descend", "x²", "--nö"], ["fit", "→.csv", "y = a·x"], []):
        code, out, err = output(monkeypatch, words, encoding)
        assert code == 2
        assert "Error" in err or "Usage: " in out + err
        assert "\\u" not in err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_the_same_whatever_the_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = output(monkeypatch, ["diagnose", "RUN", "--json"], encoding)
    assert code == 0
    fields = json.loads(out)
    assert fields["read_as"] == "α² + √(1 + y²)"
    assert out.isascii() is (encoding != "utf-8")


def test_control_characters_are_shown_as_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible("a\x1b[31mb\r\x9b\x7f\u202e\n\t") == r"a\u001b[31mb\u000d\u009b\u007f\u202e" + "\n\t"
    stream = io.StringIO()
    print("name \x1b]0;title\x07", file=Output(stream, reports=True, filters=True))
    assert stream.getvalue() == r"name \u001b]0;title\u0007" + "\n"


def test_arguments_of_another_locale_are_read_as_utf_8(tmp_path: Path) -> None:
    halves = [word.encode().decode("ascii", "surrogateescape") for word in ("x²", "α=1")]
    assert read_arguments(["derive", *halves]) == ["derive", "x²", "α=1"]
    with pytest.raises(ds.SettingError, match="not text in UTF-8"):
        read_arguments(["\udcff"])


@pytest.mark.parametrize(
    "target",
    [
        lambda folder: folder,
        lambda folder: folder / "houses.csv" / "x.png",
        lambda folder: folder / ("n" * 300 + ".png"),
        lambda folder: Path("/proc/x.png"),
        lambda folder: folder / "\udcff\ud800.png",
    ],
    ids=["a folder", "below a file", "a long name", "no files there", "no name"],
)
@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        ([*PARABOLA, "--plot"], ".png"),
        ([*PARABOLA, "--plot"], ".gif"),
        ([*PARABOLA, "--save"], ""),
        ([*PARABOLA, "--report"], ".html"),
        (["backprop", "x²", "--at", "x=1", "--plot"], ".svg"),
        (["export", "RUN"], ".csv"),
        (["export", "RUN"], ".parquet"),
        (["predict", "NET", "xor", "--out"], ".csv"),
        (["train", "xor", "--steps", "5", "--hidden", "2", "--plot"], ".png"),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value[0]} {value[-1]}",
)
def test_what_cannot_be_written_is_named(
    words: list[str], suffix: str, target: Callable[[Path], Path], workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = target(workshop)
    path = path if path == workshop else path.with_suffix(suffix)
    before = sorted(workshop.rglob("*"))
    code, out, err = output(monkeypatch, [*words, str(path)], "utf-8")
    assert code == 2
    assert err.startswith("Error: "), (out, err)
    assert "Traceback" not in err
    assert sorted(workshop.rglob("*")) == before


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which `$D` is the command."""
    command = f'D="{sys.executable} -m downslope"; set -o pipefail; {line}'
    settings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=settings, errors="replace")


def test_real_streams() -> None:
    """Whole processes: the interpreter's own last flush and typer's own streams take part."""
    lines = ("$D --version >&-", "$D --help >/dev/full", "$D --help 2>&- | head -n 1 >&3", "$D x >&- 2>&-")
    done = shell("exec 3>&1; " + "; ".join(f"{line}; echo $? >&2" for line in lines))
    assert done.stderr == "0\nError: the output cannot be written: No space left on device\n2\n0\n2\n"
    assert done.stdout.startswith("Usage: ")


def test_the_locale_c_without_utf_8() -> None:
    done = shell("$D derive 'α·x²' --by x -q", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2x*alpha\n", "")
