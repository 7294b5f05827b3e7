"""Verbs that behave and misbehave as the tests of the server want it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import downslope as ds

VERBS = {
    name: f"lab.stand_ins:{name}"
    for name in (
        "asleep",
        "broken",
        "deep",
        "dying",
        "echo",
        "endless",
        "greedy",
        "misspelt",
        "nan",
        "noisy",
        "process",
        "stuck",
        "table_of",
        "warmed",
    )
}
STREAMS = {name: f"lab.stand_ins:{name}" for name in ("counting", "failing")}
_warm = 0


def warm() -> None:
    global _warm
    _warm += 1


def warmed(request: dict[str, Any]) -> dict[str, Any]:
    return {"times": _warm}


def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"got": request}


def process(request: dict[str, Any]) -> dict[str, Any]:
    return {"id": os.getpid()}


def asleep(request: dict[str, Any]) -> dict[str, Any]:
    """Say that it has begun, then wait for some seconds or until a file is there."""
    if "began" in request:
        Path(request["began"]).write_text(str(os.getpid()))
    while "until" in request and not Path(request["until"]).exists():
        time.sleep(0.01)
    time.sleep(request.get("seconds", 0))
    return {"slept": request.get("seconds")}


def endless(request: dict[str, Any]) -> dict[str, Any]:
    if "began" in request:
        Path(request["began"]).write_text(str(os.getpid()))
    while True:
        pass


def stuck(request: dict[str, Any]) -> dict[str, Any]:
    """Compute in one long operation during which no other thread of the interpreter runs."""
    Path(request["began"]).write_text(str(os.getpid()))
    return {"digits": str(9 ** (9**9))}


def dying(request: dict[str, Any]) -> dict[str, Any]:
    os._exit(3)


def greedy(request: dict[str, Any]) -> dict[str, Any]:
    return {"length": len(bytearray(request["bytes"]))}


def deep(request: dict[str, Any]) -> dict[str, Any]:
    return deep(request)


def misspelt(request: dict[str, Any]) -> dict[str, Any]:
    raise ds.FormulaError("Here is a letter too many.", text="xx", position=1, width=1, hint="Take it out.")


def broken(request: dict[str, Any]) -> dict[str, Any]:
    raise ValueError("the secret of the house")


def nan(request: dict[str, Any]) -> dict[str, Any]:
    return {"value": float("nan")}


def noisy(request: dict[str, Any]) -> dict[str, Any]:
    print("a computation prints")
    os.write(1, b"and so does what it calls\n")
    return {"said": True}


def counting(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Count, a piece each; without an end if none is told."""
    if "began" in request:
        Path(request["began"]).write_text(str(os.getpid()))
    for number in itertools.count() if request.get("to") is None else range(request["to"]):
        yield {"number": number}
        time.sleep(request.get("pause", 0.0))


def failing(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Fail, after so many pieces."""
    yield from counting({"to": request["after"]})
    raise ds.DownslopeError("it failed", hint="try again")


def table_of(request: dict[str, Any]) -> dict[str, Any]:
    return {"name": request["table"].name, "bytes": len(request["table"].data)}
