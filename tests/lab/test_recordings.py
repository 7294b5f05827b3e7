"""Pages in files of their own: what is recorded, what the file holds, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

import downslope as ds
from downslope.cli._main import run
from downslope.lab import recordings
from downslope.lab._lessons import requests_of
from downslope.lab.recordings import _course, _descend, _export
from downslope.lab.recordings._packing import _shared
from downslope.lab.replies._descent import descend, steps

PARABOLA = {"page": "descend", "formula": "x²", "start": {"x": 3.0}, "rate": 0.1, "steps": 4}
LESSON = {
    "id": "slope",
    "asks": [
        {"verb": "read", "request": {"formula": "x²"}},
        {
            "verb": "descend",
            "request": {"formula": "x²", "method": "gradient descent", "steps": 2, "start": {"x": 1}},
            "vary": {"start.x": [1, 2], "rate": [0.1, 0.2, 0.3]},
        },
    ],
}


@pytest.fixture(scope="module")
def parabola() -> bytes:
    """The page Descend of a parabola, with few starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_descend, "_MOST_ACROSS", {1: 4, 2: 2})
        return last(recordings.exporting(PARABOLA))


def last(pieces: Any) -> bytes:
    """Return the file that comes after the words."""
    *words, file = pieces
    assert all(isinstance(piece, str) for piece in words)
    assert isinstance(file, bytes)
    return file


def packed_in(file: bytes, name: str) -> str:
    """Return a packed part of a file."""
    match = re.search(rf'id="packed-{name}">([^<]*)<', file.decode())
    assert match
    return zlib.decompress(base64.b64decode(match[1])).decode()


def recording_in(file: bytes) -> dict[str, Any]:
    """Return the recording of a file, its shared parts where they belong."""
    data = json.loads(packed_in(file, "data"))

    def restored(value: Any) -> Any:
        if isinstance(value, dict):
            return restored(data["shared"][value["$"]]) if "$" in value else {k: restored(v) for k, v in value.items()}
        return [restored(entry) for entry in value] if isinstance(value, list) else value

    return restored(data["whole"])


def test_the_slider_the_starts_and_their_steps_are_recorded_as_the_lab_answers(parabola: bytes) -> None:
    recording = recording_in(parabola)
    about = recording["about"]
    assert about["first"]["at"] == about["starts"][0] == {"x": 3.0}
    assert 0.1 in about["rates"]
    assert len(about["rates"]) > 30
    assert set(about["few"]) < set(about["rates"])
    replies = {json.dumps([verb, request]): reply for verb, request, reply in recording["entries"]}
    home = {"formula": "x²", "start": {"x": 3.0}, "method": "gradient descent", "steps": 4, "over": None}
    wanted = [{**home, "rate": rate} for rate in about["rates"]]
    wanted += [{**home, "start": start, "rate": rate} for start in about["starts"] for rate in about["few"]]
    for request in wanted:
        assert json.dumps(["descend", request]) in replies
        assert json.dumps(["steps", request]) in replies
    for request in wanted[::16]:
        assert replies[json.dumps(["descend", request])] == descend(request)
        table = replies[json.dumps(["steps", request])]
        derived = _descend._derived(table["derived"], table["headings"], ["x"], descend(request))
        assert derived == steps(request)


def test_the_file_asks_for_nothing_and_runs_only_what_its_policy_names(parabola: bytes) -> None:
    text = parabola.decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    boot = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert style
    assert boot
    for part in (style[1], boot[1], packed_in(parabola, "d3"), packed_in(parabola, "page")):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert len(re.findall(r"'sha256-", policy[1])) == 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert "@import" not in style[1]
    assert "url(" not in style[1]
    assert "Recorded with downslope" in text
    assert "starts with 6 learning rates each" in text


def test_what_is_recorded_gets_fewer_until_the_file_is_small_enough(
    parabola: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_descend, "_MOST_ACROSS", {1: 4, 2: 2})
    most = len(parabola) - 8_000
    less = last(_descend.descend_file(PARABOLA, most))
    assert len(less) <= most
    before, after = recording_in(parabola)["about"], recording_in(less)["about"]
    assert len(after["rates"]) + len(after["few"]) < len(before["rates"]) + len(before["few"])
    assert 0.1 in after["rates"]


@pytest.mark.parametrize(
    ("formula", "start", "method"),
    [
        ("x² + 2y²", {"x": 4.0, "y": 3.0}, "gradient descent"),
        ("x² + 2y²", {"x": 4.0, "y": 3.0}, "momentum"),
        ("1/x", {"x": 0.25}, "gradient descent"),
    ],
)
def test_a_table_that_is_not_recorded_follows_from_the_path(formula: str, start: dict[str, float], method: str) -> None:
    request = {"formula": formula, "start": start, "rate": 0.07, "steps": 12, "method": method, "over": None}
    _, (_, _, table) = _descend._descents(request, list(start))
    assert table["derived"] == ("rate" if method == "gradient descent" else "length")


@pytest.mark.parametrize(
    ("formula", "start", "method"),
    [
        (
            "a² + b² + c²",
            {"a": 1.0, "b": 2.0, "c": 3.0},
            "gradient descent",
        ),  # the picture shows two variables of three
        ("sin(x) + x/5", {"x": -40.0}, "adam"),  # steps that are short beside the numbers that they change
    ],
)
def test_a_table_that_does_not_follow_is_recorded(formula: str, start: dict[str, float], method: str) -> None:
    request = {"formula": formula, "start": start, "rate": 0.07, "steps": 12, "method": method, "over": None}
    _, (_, _, table) = _descend._descents(request, list(start))
    assert table == steps(request)


def test_starts_lie_in_round_distances_around_the_first_one() -> None:
    starts = _descend._lattice({"x": 4.0, "y": 3.0}, ("x", "y"), {"x": (-3.0, 5.0), "y": (-0.5, 3.5)})
    assert {start["x"] for start in starts} == {-3, -2, -1, 0, 1, 2, 3, 4, 5}
    assert {start["y"] for start in starts} == {-0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5}
    assert {"x": 4.0, "y": 3.0} not in starts


def test_a_part_that_comes_several_times_is_written_once() -> None:
    curve = [index / 7 for index in range(50)]
    text = _shared({"replies": [{"curve": curve, "at": at} for at in range(9)]})
    assert text.count(json.dumps(curve[9])) == 1
    assert len(text) < 2 * len(json.dumps(curve))


def test_the_course_holds_a_reply_to_each_request_of_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {tag: {"language": tag, "page": {"recorded": f"Recorded {tag}"}, "chapters": {}} for tag in ("de", "en")}
    monkeypatch.setattr(_course, "lessons", lambda: [LESSON, {**LESSON, "id": "descent"}])
    monkeypatch.setattr(_course, "texts", lambda: texts)
    file = last(recordings.exporting({"page": "learn", "chapter": "2", "language": None}))
    recording = recording_in(file)
    assert [chapter["id"] for chapter in recording["lessons"]["chapters"]] == ["descent"]
    assert list(recording["texts"]) == ["en", "de"]
    assert [[verb, request] for verb, request, _ in recording["replies"]] == list(
        map(list, requests_of(LESSON["asks"]))
    )
    assert len(recording["replies"]) == 7
    _, request, reply = recording["replies"][-1]
    assert reply == descend(request)
    assert request["start"] == {"x": 2}
    german = last(recordings.exporting({"page": "learn", "chapter": "slope", "language": "de"})).decode()
    assert '<html lang="de">' in german
    assert "Recorded de" in german
    assert '<option value="de"' in german
    assert '<option value="en"' not in german


@pytest.mark.parametrize(
    ("file", "formula", "choices", "words"),
    [
        ("lesson.txt", None, {}, "does not end in .html"),
        ("lesson.html", None, {"chapter": 99}, "no chapter 99"),
        ("lesson.html", None, {"chapter": "slop"}, "no chapter 'slop'"),
        ("lesson.html", None, {"language": "tlh"}, "no texts in 'tlh'"),
        ("lesson.html", "x²", {"chapter": 1}, "are of the course"),
        ("lesson.html", "x²", {"method": "downhill"}, "downhill"),
        ("lesson.html", "x² +", {}, "the formula ends"),
        ("missing/", None, {}, "does not end in .html"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_a_file_is_there(
    tmp_path: Path, file: str, formula: str | None, choices: dict[str, Any], words: str
) -> None:
    with pytest.raises(ds.DownslopeError, match=re.escape(words)):
        ds.lab.export(tmp_path / file, formula, **choices)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_path_is_refused() -> None:
    with pytest.raises(ds.SettingError, match="written to a file"):
        ds.lab.export(3)  # pyright: ignore[reportArgumentType] - as a beginner may type


def test_the_command_writes_a_file_and_refuses_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_export, "exporting", lambda request: iter(["The slider", json.dumps(request).encode()]))
    target = tmp_path / "descend.html"
    assert run(["lab", "--export", str(target), "-x²"]) == 0
    said = capsys.readouterr()
    assert str(target) in said.out
    assert "The slider …" in said.err
    assert json.loads(target.read_bytes())["formula"] == "-x²"
    for words in (["--chapter", "1"], ["x²"], ["--export", str(tmp_path / "x.pdf")]):
        assert run(["lab", *words]) == 2
