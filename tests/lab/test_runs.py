"""Runs that lie in a folder: found, told, compared, and followed while they are written."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lab import asking
from lab.visiting import cookie, visitor

import downslope as ds
from downslope.lab import replies
from downslope.lab._messages import LIMITS, Limits, job_of, packed_job
from downslope.lab._runs import Runs
from downslope.lab.processes import _main
from downslope.lab.server._serve import Running, running
from downslope.trace import Journal, Outcome, writing

VALLEY = "f(x, y) = x² + 10y²"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two descents, two trainings, and what must not be found."""
    root = tmp_path_factory.mktemp("work")
    for name, method, rate in (("valley", "gradient descent", 0.05), ("with <b>adam</b>", "adam", 0.3)):
        trace = ds.descend(VALLEY, {"x": 4, "y": 1}, method=method, learning_rate=rate, steps=60)
        ds.save(trace, root / name)
    for units in (3, 5):
        ds.train(data="xor", hidden=(units,), steps=30, save=root / "nets" / f"of {units}", progress=False)
    outside = tmp_path_factory.mktemp("outside")
    ds.save(trace, outside / "secret")
    (root / "linked").symlink_to(outside / "secret", target_is_directory=True)
    for place in (".hidden/run", "node_modules/run", "a/b/c/d"):
        ds.save(trace, root / place)
    (root / "broken").mkdir()
    (root / "broken" / "trace.json").write_text("{")
    return root


def ask(verb: str, folder: Path, **request: Any) -> dict[str, Any]:
    return asking.ask(verb, **request, runs=folder)


def test_runs_are_found_and_nothing_else(folder):
    told = ask("runs", folder)["runs"]
    states = {run["name"]: run["state"] for run in told}
    assert states == {
        "valley": "finished",
        "with <b>adam</b>": "finished",
        "nets/of 3": "finished",
        "nets/of 5": "finished",
        "broken": "damaged",
    }
    assert next(run for run in told if run["name"] == "valley")["what"] == VALLEY
    assert len(Runs(folder, 2).listed()) == 2
    assert [run.name for run in Runs(folder / "valley", 9).listed()] == ["valley"]


def test_a_run_is_running_as_long_as_its_lock_is_held(tmp_path):
    """However long it compiles before its first step, and however lately it was killed."""
    header = ds.descend(VALLEY, {"x": 4, "y": 1}, learning_rate=0.05, steps=1)
    with writing(tmp_path / "run"):
        Journal.begin(tmp_path / "run", header)
        for file in (tmp_path / "run").iterdir():
            os.utime(file, (1e9, 1e9))
        assert ask("runs", tmp_path)["runs"][0]["state"] == "running"
    assert ask("runs", tmp_path)["runs"][0]["state"] == "cut off"


def test_a_header_with_a_flipped_bit_is_listed_as_damaged(tmp_path):
    run = ds.save(ds.descend(VALLEY, {"x": 4, "y": 1}, learning_rate=0.05, steps=1), tmp_path / "run")
    text = (run / "trace.json").read_bytes()
    (run / "trace.json").write_bytes(text.replace(b"gradient descent", b"gradient descend"))
    assert ask("runs", tmp_path)["runs"][0]["state"] == "damaged"


def test_a_descent_is_told_with_its_ground(folder):
    told = ask("run", folder, run="valley")
    trace = ds.load(folder / "valley")
    assert told["verdict"]["symptom"] == ds.diagnose(trace).symptoms[0]
    assert [chart["title"] for chart in told["charts"]] == ["value", "gradient norm"]
    assert told["charts"][0]["lines"][0]["y"] == pytest.approx(trace.columns["value"], rel=1e-6)
    assert told["landscape"]["path"]["x"] == pytest.approx(trace.coordinates[:, 0], rel=1e-6)
    assert told["landscape"]["grid"]["over"] == ["x", "y"]
    assert ["method", "gradient descent"] in told["plan"]
    assert told["python"].startswith("import downslope as ds")


def test_a_training_is_told_with_its_layers(folder):
    told = ask("run", folder, run="nets/of 3")
    trace = ds.load(folder / "nets" / "of 3")
    assert [chart["title"] for chart in told["charts"]] == ["loss", "accuracy", "loss of each batch", "gradient norm"]
    assert told["charts"][0]["lines"][1]["y"] == pytest.approx(trace.metrics["validation_loss"], rel=1e-6)
    assert len(told["layers"]["gradient_norm"]) == 2
    assert told["landscape"] is None
    assert ["data", "xor"] in told["plan"]


def test_runs_beside_each_other_show_what_differs(folder):
    names = ["nets/of 3", "nets/of 5"]
    told = ask("compare", folder, runs_beside=names)
    rows = {row[0]: row[1:] for row in told["rows"]}
    assert rows["hidden"] == ["3", "5"]
    assert "learning rate" in {row[0] for row in told["same"]}
    assert [line["name"] for line in told["charts"][0]["lines"]] == names
    mixed = ask("compare", folder, runs_beside=["valley", "nets/of 3"])
    assert [chart["title"] for chart in mixed["charts"]] == ["gradient norm"]


@pytest.mark.parametrize(
    "name", ["../outside/secret", "/etc", "linked", ".hidden/run", "valley/", "valley/../valley", "nets", "", "a/b/c/d"]
)
def test_a_name_that_was_not_found_is_no_run(folder, name):
    reply = _main.answer(replies.VERBS["run"], {"run": name, "runs": folder})
    assert reply.status == 400
    assert json.loads(reply.body)["error"]["kind"] == "TraceError"


@pytest.mark.parametrize(
    ("verb", "request_"),
    [
        ("run", {"run": "broken"}),
        ("run", {"run": 3}),
        ("compare", {"runs_beside": ["valley"]}),
        ("compare", {"runs_beside": ["valley"] * 9}),
        ("compare", {"runs_beside": [f"{place}" for place in range(LIMITS.compared + 1)]}),
    ],
)
def test_what_cannot_be_shown_is_told(folder, verb, request_):
    assert _main.answer(replies.VERBS[verb], {**request_, "runs": folder}).status == 400


def test_the_folder_is_that_of_the_lab_whatever_a_page_asks_for(folder):
    body = json.dumps({"runs": "/"}).encode()
    assert job_of(packed_job("runs", body, None, folder))[1]["runs"] == folder.resolve()
    assert "runs" not in job_of(packed_job("runs", body, None))[1]


# followed over the wire


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Running]:
    limits = Limits(followers=3, followers_per_visitor=2)
    with running(port=0, limits=limits, verbs={}, warm=None, runs=folder) as opened:
        yield opened


@pytest.fixture
def growing(folder: Path) -> Journal:
    """A run that has begun and not ended."""
    return Journal.begin(folder / "growing", ds.load(folder / "nets" / "of 3").replace(outcome=Outcome.RUNNING))


def test_a_run_is_followed_until_it_is_finished(lab, growing, folder):
    events: list[str] = []

    def finish() -> None:
        time.sleep(0.7)
        growing.finish(ds.load(folder / "nets" / "of 3"))

    with (
        visitor(lab) as client,
        client.stream("GET", "/api/follow", params={"run": "growing", "visitor": "a"}) as reply,
    ):
        assert reply.headers["content-type"] == "text/event-stream"
        ending = threading.Thread(target=finish)
        ending.start()
        events += [line for line in reply.iter_lines() if line.startswith("event")]
        ending.join()
    assert events[0] == "event: changed"
    assert events[-1] == "event: finished"
    assert "event: finished" not in events[:-1]


def test_a_finished_run_says_so_at_once(lab):
    told = httpx.get(f"{lab.address.url}api/follow", params={"run": "valley", "visitor": "a"}, headers=cookie(lab)).text
    assert told == 'event: finished\ndata: {"state": "finished"}\n\n'


@pytest.mark.parametrize("name", ["", "..", "../outside/secret", "linked", "/etc"])
def test_only_what_was_found_can_be_followed(lab, name):
    with visitor(lab) as client:
        assert client.get("api/follow", params={"run": name, "visitor": "a"}).status_code == 404


def test_pages_from_elsewhere_cannot_follow(lab):
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        sent = {**cookie(lab), **headers}
        reply = httpx.get(f"{lab.address.url}api/follow", params={"run": "valley", "visitor": "a"}, headers=sent)
        assert reply.status_code == 403


def test_followers_are_few_and_their_places_are_given_back(lab, growing):
    def follow(visitor: str) -> Any:
        return client.stream("GET", "/api/follow", params={"run": "growing", "visitor": visitor})

    with visitor(lab) as client:
        with follow("a") as first, follow("a") as second:
            assert (first.status_code, second.status_code) == (200, 200)
            with follow("a") as third, follow("b") as fourth, follow("c") as fifth:
                assert (third.status_code, fourth.status_code, fifth.status_code) == (429, 200, 503)
        for _ in range(50):
            with follow("a") as again:
                if again.status_code == 200:
                    break
            time.sleep(0.1)
        assert again.status_code == 200
