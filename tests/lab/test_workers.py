"""Workers: jobs end in time, hinder nobody else, and no process is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jax
import jax.monitoring
import pytest
from lab.stand_ins import STREAMS, VERBS
from lab.visiting import cookie, cookie_line

from downslope.lab._messages import Limits, Reply
from downslope.lab.processes._pool import Workers
from downslope.lab.processes._process import Meter
from downslope.lab.server._serve import Running, running

LIMITS = Limits(seconds=20, wait=30, workers=3)


@asynccontextmanager
async def crew(limits: Limits = LIMITS, warm: str | None = None) -> AsyncIterator[Workers]:
    """Workers with stand-in verbs."""
    workers = Workers({**VERBS, "missing": "lab.no_such_module:verb"}, limits, streams=STREAMS, warm=warm)
    workers.open()
    try:
        yield workers
    finally:
        workers.close()


async def ask(workers: Workers, verb: str, visitor: str = "a", **request: Any) -> Reply:
    async with contextlib.aclosing(workers.ask(visitor, verb, json.dumps(request).encode())) as replies:
        return await anext(replies)


def told(reply: Reply) -> dict[str, Any]:
    return json.loads(reply.body)


async def until(true: Callable[[], bool], within: float = 30) -> None:
    """Wait for something, with a limit that only a failure reaches."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.02)


async def begun(workers: Workers, place: Path, verb: str, visitor: str = "a", **request: Any) -> tuple[Any, int]:
    """Ask, wait until a worker is at it, and return the task and the worker's process."""
    task = asyncio.ensure_future(ask(workers, verb, visitor, began=str(place), **request))
    await until(lambda: place.exists() and place.read_text() != "")
    return task, int(place.read_text())


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def run(test: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(test, 120))  # pyright: ignore[reportArgumentType]


# What comes back


def test_what_a_verb_says_comes_back() -> None:
    async def test() -> None:
        async with crew() as workers:
            assert told(await ask(workers, "echo", formula="x²")) == {"got": {"formula": "x²"}}
            assert told(await ask(workers, "noisy")) == {"said": True}  # what is printed is no part of the answer
            assert (await ask(workers, "misspelt")).status == 400

    run(test())


def test_what_goes_wrong_inside_is_told_calmly(capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        async with crew() as workers:
            before = told(await ask(workers, "process"))
            for verb in ("broken", "nan", "missing"):
                reply = await ask(workers, verb)
                assert (reply.status, told(reply)["error"]["kind"]) == (500, "InternalError")
                assert b"secret" not in reply.body
                assert b"Traceback" not in reply.body
            reply = await ask(workers, "deep")
            assert (reply.status, told(reply)["error"]["kind"]) == (400, "LimitError")
            assert told(await ask(workers, "process")) == before  # none of them cost the process

    run(test())
    assert "the secret of the house" in capfd.readouterr().err  # the log has it


def test_memory_is_bounded_and_given_back() -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, memory=1024**3)) as workers:
            before = told(await ask(workers, "process"))["id"]
            assert (await ask(workers, "greedy", bytes=2**20)).status == 200
            reply = await ask(workers, "greedy", bytes=2**31)
            assert (reply.status, told(reply)["error"]["kind"]) == (503, "LimitError")
            assert "memory" in told(reply)["error"]["message"]
            assert told(await ask(workers, "process"))["id"] != before
            await until(lambda: not alive(before))

    run(test())


def test_a_worker_that_dies_is_replaced() -> None:
    async def test() -> None:
        async with crew() as workers:
            for _ in range(3):
                reply = await ask(workers, "dying")
                assert (reply.status, told(reply)["error"]["kind"]) == (503, "LimitError")
            assert (await ask(workers, "echo")).status == 200

    run(test())


def test_a_worker_that_was_killed_while_idle_costs_nobody_an_answer() -> None:
    async def test() -> None:
        async with crew() as workers:
            process = told(await ask(workers, "process"))["id"]
            os.kill(process, signal.SIGKILL)
            await until(lambda: not alive(process))
            assert told(await ask(workers, "process"))["id"] != process

    run(test())


def test_what_is_needed_is_loaded_before_the_first_job() -> None:
    async def test() -> None:
        async with crew(warm="lab.stand_ins:warm") as workers:
            assert told(await ask(workers, "warmed")) == {"times": 1}
        async with crew(warm="lab.no_such_module:warm") as workers:
            assert (await ask(workers, "echo")).status == 200

    run(test())


def test_a_process_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.lab.processes._process._COMMAND", "raise SystemExit(1)")

    async def test() -> None:
        async with crew() as workers:
            for _ in range(2):
                reply = await ask(workers, "echo")
                assert (reply.status, told(reply)["error"]["kind"]) == (503, "InternalError")

    run(test())


# Time and turns


@pytest.mark.parametrize("verb", ["endless", "stuck"])
def test_a_job_without_end_is_cut_off(tmp_path: Path, verb: str) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, seconds=0.8)) as workers:
            task, process = await begun(workers, tmp_path / "began", verb)
            reply = await task
            assert (reply.status, told(reply)["error"]["kind"]) == (503, "LimitError")
            assert "0.8 seconds" in told(reply)["error"]["message"]
            assert told(reply)["error"]["hint"]
            await until(lambda: not alive(process))
            assert (await ask(workers, "echo")).status == 200

    run(test())


def test_long_jobs_of_one_visitor_leave_room_for_others(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew() as workers:
            ends = [tmp_path / "end 1", tmp_path / "end 2"]
            jobs = [
                (await begun(workers, tmp_path / "1", "asleep", "greedy", until=str(ends[0])))[0],
                (await begun(workers, tmp_path / "2", "counting", "greedy", pause=0.01))[0],
            ]
            third = asyncio.ensure_future(ask(workers, "echo", "greedy"))
            assert (await ask(workers, "echo", "other")).status == 200
            assert not third.done()  # who holds two waits for one of them
            assert not jobs[0].done()
            ends[0].touch()
            assert (await third).status == 200

    run(test())


def test_trainings_leave_a_worker_to_others(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=2)) as workers:
            streams = [workers.ask(f"v{n}", "counting", b'{"pause": 0.01}') for n in range(2)]
            assert (await anext(streams[0])).status == 206
            second = asyncio.ensure_future(anext(streams[1]))
            assert (await ask(workers, "echo", "other")).status == 200
            assert (await ask(workers, "echo", "v0")).status == 200
            assert not second.done()  # it waits its turn
            await streams[0].aclose()
            assert (await second).status == 206
            await streams[1].aclose()

    run(test())


def test_a_newer_request_supersedes_the_one_that_waits(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=1)) as workers:
            blocking, _ = await begun(workers, tmp_path / "began", "asleep", "other", until=str(tmp_path / "end"))
            older = asyncio.ensure_future(ask(workers, "echo", n=1))
            another = asyncio.ensure_future(ask(workers, "echo", "b", n=3))
            await asyncio.sleep(0)
            newer = asyncio.ensure_future(ask(workers, "echo", n=2))
            reply = await older
            assert (reply.status, told(reply)["error"]["kind"]) == (409, "superseded")
            assert not blocking.done()
            (tmp_path / "end").touch()
            assert told(await newer)["got"] == {"n": 2}
            assert told(await another)["got"] == {"n": 3}

    run(test())


def test_a_newer_request_lets_a_short_one_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, patience=10)) as workers:
            older, process = await begun(workers, tmp_path / "began", "asleep", until=str(tmp_path / "end"))
            newer = asyncio.ensure_future(ask(workers, "asleep", seconds=0))
            assert (await older).status == 409
            (tmp_path / "end").touch()
            assert told(await newer)["slept"] == 0
            assert told(await ask(workers, "process"))["id"] == process

    run(test())


def test_a_newer_request_never_costs_the_worker(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=1)) as workers:
            older, process = await begun(workers, tmp_path / "began", "asleep", until=str(tmp_path / "end"))
            newer = asyncio.ensure_future(ask(workers, "asleep", seconds=0))
            assert (await older).status == 409
            await asyncio.sleep(0.5)
            assert alive(process)
            assert not newer.done()
            (tmp_path / "end").touch()
            assert told(await newer) == {"slept": 0, "id": process}  # where the programs of the older one are

    run(test())


def test_who_leaves_a_job_never_costs_the_worker(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=1)) as workers:
            task, process = await begun(workers, tmp_path / "began", "asleep", until=str(tmp_path / "end"))
            task.cancel()
            (tmp_path / "end").touch()
            assert told(await ask(workers, "process", "other"))["id"] == process

    run(test())


def test_a_job_without_end_is_cut_off_when_nobody_waits(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, seconds=0.5)) as workers:
            task, process = await begun(workers, tmp_path / "began", "endless")
            task.cancel()
            await until(lambda: not alive(process))
            assert (await ask(workers, "echo")).status == 200

    run(test())


def test_who_leaves_a_stream_stops_it_and_keeps_its_worker(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=1)) as workers:
            task, process = await begun(workers, tmp_path / "began", "counting", pause=0.01)
            task.cancel()
            assert told(await ask(workers, "process", "other"))["id"] == process

    run(test())


# Seconds of the CPU


def test_seconds_on_the_clock_do_not_count() -> None:
    """As on a busy machine, where little is computed in a second."""

    async def test() -> None:
        async with crew(replace(LIMITS, seconds=0.3)) as workers:
            assert told(await ask(workers, "asleep", seconds=1.2))["slept"] == 1.2

    run(test())


def test_a_job_that_hangs_is_cut_off(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, stalled=0.6)) as workers:
            task, process = await begun(workers, tmp_path / "began", "asleep", seconds=100)
            reply = await task
            assert (reply.status, told(reply)["error"]["kind"]) == (503, "LimitError")
            assert "made no progress for 0.6 seconds" in told(reply)["error"]["message"]
            await until(lambda: not alive(process))

    run(test())


def test_compiling_does_not_count() -> None:
    async def test() -> None:
        limits = replace(LIMITS, seconds=0.2, compiling=0.8, workers=1, report=0.02)
        async with crew(limits, warm="lab.stand_ins:compiler") as workers:
            first = await ask(workers, "compiled", compiling=0.5, computing=0.05)
            assert first.status == 200, first
            endless = await ask(workers, "compiled", compiling=0.3, computing=100)
            assert "0.2 seconds of computing" in told(endless)["error"]["message"]
            # The process that replaces it has no programs, and gets the same time to compile them.
            again = await ask(workers, "compiled", compiling=0.5)
            assert told(again)["id"] != told(first)["id"]
            endless = await ask(workers, "compiled", compiling=100)
            assert "0.8 seconds to compile" in told(endless)["error"]["message"]

    run(test())


@pytest.mark.slow
def test_a_formula_that_compiles_for_longer_than_the_limit_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")  # as for a formula that no machine has seen
    formula = " + ".join(f"sin({number}x)^{2 + number % 3}·e^(-x²/{number})" for number in range(1, 40))

    async def test() -> None:
        limits = replace(LIMITS, seconds=1.0, workers=1, report=0.05)
        async with crew(limits, warm="lab.stand_ins:jax_alone") as workers:
            reply = await ask(workers, "compiled_really", formula=formula)
            assert reply.status == 200, reply
            assert told(reply)["seconds"] > 2 * limits.seconds

    run(test())


def test_what_jax_compiles_is_counted() -> None:
    meter = Meter()
    meter.listen()
    meter.begin()
    jax.jit(lambda x: jax.jit(lambda y: y * 3 - 1)(x) ** 7)(2.0)
    usage = meter.usage()
    assert 0 < usage.compiled <= usage.cpu
    assert not usage.compiling
    meter.begin()
    assert meter.usage().compiled == 0


@pytest.mark.parametrize("known", [True, False])
def test_a_system_that_does_not_tell_cpu_seconds(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """Then the worker reports them, and one that is silent has computed."""
    if not known:
        monkeypatch.setattr("downslope.lab.processes._process.cpu_seconds", lambda process: None)

    async def test() -> None:
        async with crew(replace(LIMITS, seconds=0.9)) as workers:
            assert (await ask(workers, "asleep", seconds=1.5)).status == 200
            assert "0.9 seconds" in told(await ask(workers, "endless"))["error"]["message"]
            assert (await ask(workers, "stuck", began=os.devnull)).status == 503

    run(test())


def test_ten_visitors_with_a_new_formula_each_are_served_by_as_many_processes_as_cores() -> None:
    async def test() -> None:
        limits = replace(LIMITS, seconds=0.2, compiling=5, workers=2, patience=0.05, report=0.02)
        async with crew(limits, warm="lab.stand_ins:compiler") as workers:
            asked = [ask(workers, "compiled", f"visitor-{n}", compiling=0.15, computing=0.02) for n in range(10)]
            replies = await asyncio.gather(*asked)
            assert [reply.status for reply in replies] == [200] * 10
            assert len({told(reply)["id"] for reply in replies}) <= 2

    run(test())


def test_a_process_that_keeps_too_much_memory_is_replaced() -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, resident=200 * 2**20, workers=1)) as workers:
            first = told(await ask(workers, "kept", bytes=2**20))["id"]
            assert told(await ask(workers, "kept", bytes=200 * 2**20))["id"] == first
            # In order: those who wait are answered by the next process.
            later = await asyncio.gather(*(ask(workers, "kept", f"v{n}", bytes=2**20) for n in range(3)))
            assert {reply.status for reply in later} == {200}
            assert first not in {told(reply)["id"] for reply in later}
            await until(lambda: not alive(first))

    run(test())


def test_the_queue_is_bounded(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=1, waiting=3)) as workers:
            blocking, _ = await begun(workers, tmp_path / "began", "asleep", "first", until=str(tmp_path / "end"))
            asked = [asyncio.ensure_future(ask(workers, "echo", f"visitor-{n}")) for n in range(5)]
            await until(lambda: any(task.done() for task in asked))
            (tmp_path / "end").touch()
            replies = await asyncio.gather(*asked)
            assert [reply.status for reply in replies] == [200, 200, 200, 503, 503]
            assert "busy" in told(replies[-1])["error"]["message"]
            await blocking

    run(test())


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, workers=1)) as workers:
            blocking, _ = await begun(workers, tmp_path / "began", "asleep", "first", seconds=100)
            workers._limits = replace(LIMITS, workers=1, wait=0.3)
            reply = await ask(workers, "echo")
            assert (reply.status, told(reply)["error"]["kind"]) == (503, "LimitError")
            blocking.cancel()

    run(test())


def test_a_verb_goes_back_to_the_worker_that_compiled_for_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew(replace(LIMITS, patience=0.05)) as workers:
            _, first = await begun(workers, tmp_path / "began", "asleep", "b", until=str(tmp_path / "end"))
            second = told(await ask(workers, "process"))["id"]
            assert second != first
            (tmp_path / "end").touch()
            await until(lambda: all(worker.idle for worker in workers._crew))
            assert {told(await ask(workers, "process"))["id"] for _ in range(5)} == {second}

    run(test())


# Nothing is left behind


def test_closing_ends_every_process_and_answers_everybody(tmp_path: Path) -> None:
    async def test() -> None:
        async with crew() as workers:
            jobs = [await begun(workers, tmp_path / f"{n}", "endless", f"v{n}") for n in range(2)]
        assert [(await task).status for task, _ in jobs] == [503, 503]
        assert not any(alive(process) for _, process in jobs)

    run(test())


SCRIPT = """
import sys, threading, time, httpx
from pathlib import Path
from lab.stand_ins import VERBS
from downslope.lab._messages import Limits
from downslope.lab.server._serve import running
static, *places = map(Path, sys.argv[1:])
with running(port=0, limits=Limits(seconds=2), verbs=VERBS, warm=None, token=False, static=static) as lab:
    def ask(verb, place):
        headers = {"X-Visitor": verb}
        httpx.post(lab.url + "api/" + verb, json={"began": str(place)}, headers=headers, timeout=60)
    for verb, place in zip(("endless", "stuck", "asleep"), places):
        threading.Thread(target=ask, args=(verb, place), daemon=True).start()
        while not place.exists():
            time.sleep(0.01)
    lab.wait()
"""


def test_no_process_outlives_a_server_that_was_killed(tmp_path: Path) -> None:
    """Neither one that is idle nor one that holds the interpreter, so that no thread of it can notice."""
    places = [tmp_path / name for name in ("endless", "stuck", "idle")]
    folders = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), *map(str, places)]
    with subprocess.Popen(command, env=environment) as server:
        try:
            asyncio.run(until(lambda: all(place.exists() and place.read_text() for place in places), 60))
        finally:
            server.kill()
    processes = {int(place.read_text()) for place in places}
    assert len(processes) == 3
    asyncio.run(until(lambda: not any(map(alive, processes)), 60))


# Through the server


def test_a_job_whose_visitor_left_is_bounded_as_all_are(page: Path, tmp_path: Path) -> None:
    place = tmp_path / "began"
    body = json.dumps({"began": str(place)})
    limits = replace(LIMITS, seconds=0.5)
    with running(port=0, limits=limits, verbs=VERBS, warm=None, static=page) as opened:
        host = ("127.0.0.1", opened.address.port)
        with socket.create_connection(host, timeout=30) as connection:
            head = f"POST /api/endless HTTP/1.1\r\nHost: 127.0.0.1:{host[1]}\r\nX-Visitor: leaving\r\n"
            connection.sendall(f"{head}{cookie_line(opened)}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            asyncio.run(until(lambda: place.exists() and place.read_text() != ""))
        process = int(place.read_text())
        asyncio.run(until(lambda: not alive(process)))


def test_the_server_answers_at_once_while_all_workers_are_at_endless_jobs(lab: Running) -> None:
    async def test() -> None:
        async with httpx.AsyncClient(base_url=lab.address.url, headers=cookie(lab), timeout=60) as client:
            endless = [
                asyncio.ensure_future(client.post("/api/endless", json={}, headers={"X-Visitor": f"endless-{n}"}))
                for n in range(4)
            ]
            answered = 0
            while not all(task.done() for task in endless):
                answered += (await client.get("/")).status_code == 200
                await asyncio.sleep(0.1)
            assert answered > 5
            statuses = [(await task).status_code for task in endless]
            assert set(statuses) == {503}
            assert (await client.post("/api/echo", json={}, headers={"X-Visitor": "c"})).status_code == 200

    run(test())
