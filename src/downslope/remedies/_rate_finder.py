"""Find a learning rate: the verb from a plan or a training to a rate that was checked."""

from __future__ import annotations

from typing import Any

from downslope._errors import SettingError
from downslope._types import Point
from downslope.descent import Plan, Show, plan, progress_bar
from downslope.networks import Setup, Training
from downslope.remedies._rate_finding import RateFinding
from downslope.remedies._rate_search import RateSearch

_BUDGET, _BUDGET_OF_BATCHES = 200, 100


def find_learning_rate(
    thing: Any,
    start: Point | None = None,
    *,
    budget: int | None = None,
    progress: bool | Show | None = None,
    **choices: Any,
) -> RateFinding:
    """Find a learning rate, and check it by a short run before it is offered.

    What is given stays as it is: the runs are forks that begin where it begins, with its method, its schedule and its
    order of examples, and are thrown away.

    Args:
        thing: a Plan; a Setup, or a Training, of which the setup is taken; or whatever `plan` takes.
        start: the point at step 0, where `thing` is for `plan`.
        budget: steps of each check; None for those of the plan, 200 at most, over batches 100.
        progress: as for `descend`.
        choices: as for `plan`, where `thing` is for it.

    Returns:
        Range test, bound by curvature, checks, and the rate to take: the one whose loss is lowest at the end, the
        smallest of equally good ones; None where none descends.

    Raises:
        SettingError: for a method that takes no rate, a schedule that holds its own, or a stream that can be read only
            once.
        DownslopeError: as `plan` and `train`.

    >>> found = find_learning_rate("f(x) = x²", {"x": 10})
    >>> found.stable_bound, found.learning_rate
    (1.0, 0.5)
    """
    asked = _asked(thing, start, choices)
    made = asked.plan() if isinstance(asked, Setup) else asked
    _check(made, budget)
    most = budget or max(min(made.steps, _BUDGET if made.objective.batched is None else _BUDGET_OF_BATCHES), 1)
    with progress_bar(progress, RateSearch.expected(most)) as show:
        return RateSearch(made, most, show).finding(asked)


def _asked(thing: Any, start: Point | None, choices: dict[str, Any]) -> Plan | Setup:
    """Return the plan or the setup that was given, or the plan that the choices make."""
    if isinstance(thing, Plan | Setup | Training):
        if start is not None or choices:
            what = type(thing).__name__.lower()
            raise SettingError(f"a {what} holds its start and settings already", hint="give it alone")
        if isinstance(thing, Training):
            if thing.setup is None:
                raise SettingError("this training does not know what it was asked for", hint="give a Plan or a Setup")
            return thing.setup
        return thing
    if "learning_rate" in choices:
        raise SettingError("the learning rate is what is looked for", hint="leave learning_rate out")
    return plan(thing, start if start is not None else {}, **choices)


def _check(made: Plan, budget: int | None) -> None:
    """Raise for a plan without a rate to look for, and for a budget that makes no sense."""
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise SettingError(f"budget must be a whole number from 1 up, not {budget!r}")
    if not made.method.takes_rate:
        why = "searches for the length of each step" if made.method.searches_line else "holds its own learning rate"
        raise SettingError(f"{made.method.name} {why}: there is no rate to find", hint='for example method="momentum"')
    if made.schedule.function is not None:
        raise SettingError(
            "the schedule is a function that holds its own rates: there is none to find",
            hint='name a schedule, such as schedule="cosine", or none',
        )
    batched = made.objective.batched
    if batched is not None and not getattr(batched.stream, "reads_again", True):
        raise SettingError(
            "the stream of batches can be read only once, and trying rates would use it up",
            hint="give something that can be read again from the start, such as a list or a loader",
        )
