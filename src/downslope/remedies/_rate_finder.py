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
    specification = _specification(thing, start, choices)
    base = specification.plan() if isinstance(specification, Setup) else specification
    _check(base, budget)
    most = budget or max(min(base.steps, _BUDGET if base.objective.batched is None else _BUDGET_OF_BATCHES), 1)
    with progress_bar(progress, RateSearch.expected(most)) as show:
        return RateSearch(base, most, show).finding(specification)


def _specification(thing: Any, start: Point | None, choices: dict[str, Any]) -> Plan | Setup:
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


def _check(base: Plan, budget: int | None) -> None:
    """Raise for a plan without a rate to look for, and for a budget that makes no sense."""
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise SettingError(f"budget must be a whole number from 1 up, not {budget!r}")
    if not base.method.takes_rate:
        why = "searches for the length of each step" if base.method.searches_line else "holds its own learning rate"
        raise SettingError(f"{base.method.name} {why}: there is no rate to find", hint='for example method="momentum"')
    if base.schedule.function is not None:
        raise SettingError(
            "the schedule is a function that holds its own rates: there is none to find",
            hint='name a schedule, such as schedule="cosine", or none',
        )
    batched = base.objective.batched
    if batched is not None and not getattr(batched.stream, "reads_again", True):
        raise SettingError(
            "the stream of batches can be read only once, and trying rates would use it up",
            hint="give something that can be read again from the start, such as a list or a loader",
        )
