"""Verbs asked as functions, as a worker asks them."""

from __future__ import annotations

import json
from typing import Any

from downslope.lab import replies
from downslope.lab.processes import _main


def ask(verb: str, **request: Any) -> dict[str, Any]:
    """Return the reply, as it is after a way through JSON; what is not finite would not get through."""
    reply = _main.answer(replies.VERBS[verb], request)
    told = json.loads(reply.body)
    if reply.status != 200:
        raise AssertionError(told["error"])
    return told


def refusal(verb: str, **request: Any) -> dict[str, Any]:
    """Return what a verb says of a request that it refuses."""
    reply = _main.answer(replies.VERBS[verb], request)
    assert reply.status == 400, reply
    return json.loads(reply.body)["error"]
