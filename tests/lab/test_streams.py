"""Verbs that tell as they go on, and files that are given once and named after."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from waiting import until

from downslope.lab.replies import _training
from downslope.lab.server._application import _until_gone


def lines(response: httpx.Response) -> list[dict]:
    return [json.loads(line) for line in response.text.splitlines()]


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_stream_is_a_line_of_json_for_each_piece(client: httpx.Client) -> None:
    answer = client.post("/api/counting", json={"to": 3})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines(answer) == [{"number": 0}, {"number": 1}, {"number": 2}, {}]


def test_proxies_that_pass_on_events_alone_get_events(client: httpx.Client) -> None:
    answer = client.post("/api/counting", json={"to": 2}, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream"
    events = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]
    assert events == lines(client.post("/api/counting", json={"to": 2}))


def test_streams_are_compressed_but_for_proxies(client: httpx.Client) -> None:
    plain = client.post("/api/counting", json={"to": 3}, headers={"Accept-Encoding": "identity"})
    packed = client.post("/api/counting", json={"to": 3}, headers={"Accept-Encoding": "gzip"})
    behind = {"Accept-Encoding": "gzip", "X-Forwarded-Context": "/user/ada/proxy/1"}
    proxied = client.post("/api/counting", json={"to": 3}, headers=behind)
    codings = [answer.headers.get("content-encoding") for answer in (plain, packed, proxied)]
    assert codings == [None, "gzip", None]
    assert lines(plain) == lines(packed) == lines(proxied)


def test_pieces_come_while_it_goes_on(client: httpx.Client) -> None:
    with client.stream("POST", "/api/counting", json={"pause": 0.05}) as answer:
        came = answer.iter_lines()
        assert [json.loads(next(came))["number"] for _ in range(3)] == [0, 1, 2]
        assert client.post("/api/echo", json={"a": 1}).json() == {"got": {"a": 1}}


def test_who_leaves_ends_the_work_and_leaves_the_process(client: httpx.Client, tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    request = {"pause": 0.05, "began": str(began), "ended": str(ended)}
    with client.stream("POST", "/api/counting", json=request) as answer:
        next(answer.iter_lines())
    assert until(ended.exists)
    assert not is_gone(int(began.read_text()))  # it has the compiled programs
    assert client.post("/api/counting", json={"to": 1}).status_code == 200


def test_a_stream_that_takes_too_long_is_ended_with_a_reason(client: httpx.Client) -> None:
    *pieces, last = lines(client.post("/api/counting", json={"pause": 0.1}))
    assert len(pieces) > 3
    assert "longer than 3 seconds" in last["error"]["message"]


@pytest.mark.parametrize("after", [1, 4])
def test_what_goes_wrong_midway_is_the_last_line(client: httpx.Client, after: int) -> None:
    *pieces, last = lines(client.post("/api/failing", json={"after": after}))
    assert len(pieces) == after
    assert last["error"]["message"] == "it failed"
    assert last["error"]["hint"] == "try again"


def test_what_goes_wrong_at_once_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/failing", json={"after": 0})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "it failed"


def test_a_newer_request_ends_an_older_stream(client: httpx.Client) -> None:
    with client.stream("POST", "/api/counting", json={"pause": 0.05}) as older:
        came = older.iter_lines()
        next(came)
        assert lines(client.post("/api/counting", json={"to": 1})) == [{"number": 0}, {}]
        *_, last = came
    assert json.loads(last)["error"]["kind"] == "superseded"


def test_a_file_is_given_once_and_named_after(client: httpx.Client) -> None:
    kept = client.post("/api/table", params={"name": "houses.csv"}, content=b"size,price\n1,2\n").json()
    assert kept["name"] == "houses.csv"
    again = client.post("/api/table", params={"name": "houses.csv"}, content=b"size,price\n1,2\n").json()
    assert again == kept
    told = client.post("/api/table_of", json={"table": kept["table"]}).json()
    assert told == {"name": "houses.csv", "bytes": 15}


def test_a_file_with_any_bytes_arrives_as_it_is(client: httpx.Client) -> None:
    data = bytes(range(256)) * 10
    key = client.post("/api/table", params={"name": "a\nb</script>é" * 100}, content=data).json()["table"]
    told = client.post("/api/table_of", json={"table": key}).json()
    assert told["bytes"] == len(data)
    assert len(told["name"]) == 100
    assert "\n" not in told["name"]


@pytest.mark.parametrize("key", ["", "no such", "../../etc/passwd", "0" * 24, 3])
def test_a_file_that_is_not_there_is_said_to_be_gone(client: httpx.Client, key: object) -> None:
    answer = client.post("/api/table_of", json={"table": key})
    assert answer.status_code == 410
    assert answer.json()["error"]["kind"] == "TableGoneError"


def test_the_oldest_file_makes_room(client: httpx.Client) -> None:
    keys = [
        client.post("/api/table", params={"name": f"{number}.csv"}, content=bytes(60_000)).json()["table"]
        for number in range(3)
    ]
    codes = [client.post("/api/table_of", json={"table": key}).status_code for key in keys]
    assert codes == [410, 200, 200]


def test_a_file_too_large_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/table", content=bytes(100_001))
    assert answer.status_code == 413
    assert "97 kB" in answer.json()["error"]["message"]


def test_work_whose_pieces_nobody_waits_for_stops_at_its_next_report() -> None:
    going_on = threading.Event()

    def work(send: Callable[[dict], None]) -> None:
        going_on.set()
        try:
            while True:
                send({"a": 1})
                time.sleep(0.005)
        finally:
            going_on.clear()

    pieces = _training.pieces(work)
    assert next(pieces) == {"a": 1}
    assert going_on.is_set()
    pieces.close()
    assert not going_on.is_set()  # it has ended, and does not compute beside what follows


@pytest.mark.parametrize("ends", ["server", "visitor"])
def test_a_reply_that_is_waited_for_is_closed_whoever_ends_it(ends: str) -> None:
    closed = []

    async def replies() -> AsyncGenerator[Any]:
        try:
            await asyncio.sleep(60)
            yield None
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def receive() -> dict[str, str]:
        await asyncio.sleep(60 if ends == "server" else 0.01)
        return {"type": "http.disconnect"}

    async def served() -> None:
        stream = _until_gone(replies(), cast("Any", receive))
        task = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled() == (ends == "server")
        await stream.aclose()

    asyncio.run(served())
    assert closed == [True]
