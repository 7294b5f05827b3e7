"""Verbs that behave and misbehave as the tests of the server want it."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import downslope as ds
from downslope import _engine

VERBS = {
    name: f"lab.stand_ins:{name}"
    for name in (
        "asleep",
        "broken",
        "compiled",
        "compiled_really",
        "deep",
        "dying",
        "echo",
        "endless",
        "flooding",
        "greedy",
        "misspelt",
        "kept",
        "nan",
        "noisy",
        "process",
        "stuck",
        "table_of",
        "warmed",
    )
}
STREAMS = {name: f"lab.stand_ins:{name}" for name in ("counting", "failing", "flood")}
_FLOODING = Path(tempfile.gettempdir()) / f"downslope-flooding-{os.getppid()}"
_warm = 0


def warm() -> None:
    global _warm
    _warm += 1


def busy(seconds: float) -> None:
    """Use the CPU for so many of its seconds."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def compiler() -> None:
    """Stand in for JAX, of which a worker knows what it compiles: `compiled` announces it as JAX does."""
    jax, monitoring = types.ModuleType("jax"), types.ModuleType("jax.monitoring")
    listeners = {"began": [], "ended": []}
    vars(monitoring).update(
        listeners=listeners,
        register_scalar_listener=listeners["began"].append,
        register_event_duration_secs_listener=listeners["ended"].append,
    )
    vars(jax)["monitoring"] = monitoring
    sys.modules.update({"jax": jax, "jax.monitoring": monitoring})
    for action in _engine._ON_LOADING:  # as the door to JAX does
        action()


def compiled(request: dict[str, Any]) -> dict[str, Any]:
    """Compile, then compute, for so many CPU seconds each."""
    listeners, event = sys.modules["jax.monitoring"].listeners, "/jax/core/compile/backend_compile_duration"
    for listener in listeners["began"]:
        listener(event, 0.0, fun_name="f")
    busy(request["compiling"])
    for listener in listeners["ended"]:
        listener(event, request["compiling"], fun_name="f")
    busy(request.get("computing", 0.0))
    return {"id": os.getpid()}


def jax_alone() -> None:
    """Load JAX, which is no compiling."""
    _engine.jax().devices()


def compiled_really(request: dict[str, Any]) -> dict[str, Any]:
    """Descend by a program that JAX compiles, and say how many CPU seconds that took."""
    began = time.process_time()
    trace = ds.descend(request["formula"], {"x": 1.0}, steps=3, engine="jax", progress=False)
    return {"value": trace.value, "seconds": time.process_time() - began}


_kept: list[bytearray] = []


def kept(request: dict[str, Any]) -> dict[str, Any]:
    """Keep so many bytes, and touch each page of them."""
    _kept.append(bytearray(b"x" * request["bytes"]))
    return {"id": os.getpid()}


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
    return {"slept": request.get("seconds"), "id": os.getpid()}


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
    try:
        for number in itertools.count() if request.get("to") is None else range(request["to"]):
            yield {"number": number}
            time.sleep(request.get("pause", 0.0))
    finally:
        if "ended" in request:
            Path(request["ended"]).touch()


def failing(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Fail, after so many pieces."""
    yield from counting({"to": request["after"]})
    raise ds.DownslopeError("it failed", hint="try again")


def flood(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Send large pieces without end; a file says that it goes on."""
    _FLOODING.touch()
    try:
        while True:
            yield {"text": "x" * request["size"]}
            time.sleep(0.02)
    finally:
        _FLOODING.unlink()


def flooding(request: dict[str, Any]) -> dict[str, Any]:
    return {"now": _FLOODING.exists()}


def table_of(request: dict[str, Any]) -> dict[str, Any]:
    return {"name": request["table"].name, "bytes": len(request["table"].data)}
