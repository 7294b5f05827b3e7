"""Which learning rates are stable from here, and which is best."""

from __future__ import annotations

from typing import Any

import downslope as ds
from downslope._text import number
from downslope.lab.replies._numbers import plain, shown
from downslope.lab.replies._request import Request

_NONE = {"stable": None, "bound": None, "best": None, "slider": None, "curve": None}
_MOST_STEPS = 2000


def rates(told: dict[str, Any]) -> dict[str, Any]:
    """Return how every rate does: the stable range, the best, and the value at the end by rate."""
    request = Request(told)
    made = request.plan
    if not made.method.takes_rate:
        return {**_NONE, "text": f"{made.method.name} finds the length of each step by itself."}
    steps = min(max(made.steps, 1), _MOST_STEPS)
    found = ds.sweep(made.objective, dict(made.start), method=made.method, steps=steps)
    low, high = float(found.rates[0]), float(found.rates[-1])
    bound = found.largest_stable_rate
    return {
        "stable": None if bound is None else [low, bound],
        "bound": plain(bound),
        "best": plain(found.best_rate),
        "slider": [low, high],
        "curve": {"rates": shown(found.rates), "values": shown(found.values)},
        "text": _text(bound, found.best_rate),
    }


def _text(bound: float | None, best: float) -> str:
    if bound is None:
        return f"Best α = {number(best, 3)}; this method has no fixed bound."
    return f"Stable up to α = {number(bound, 3)}, best α = {number(best, 3)}."
