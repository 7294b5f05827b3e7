"""Find a learning rate: the verb from a plan or a training to a rate that was checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from downslope._choices import checked, door
from downslope._errors import SettingError
from downslope._types import Point
from downslope.descent import Objective, Plan, checked_progress, make_plan, progress_bar, settings_of_own
from downslope.formulas import Formula
from downslope.networks import Setup, Training
from downslope.remedies._choices import RateSearchChoices
from downslope.remedies._rate_finding import RateFinding
from downslope.remedies._rate_search import RateSearch

_BUDGET, _BUDGET_OF_BATCHES = 200, 100


@door(RateSearchChoices)
def find_learning_rate(
    run: str | Formula | Objective | Callable[..., Any] | Plan | Setup | Training,
    start: Point = None,
    **choices: Unpack[RateSearchChoices],
) -> RateFinding:
    """Find a learning rate, and check it by a short run before it is offered.

    The run itself is left as it is: trials are forks that begin where it begins, with its method, its schedule and its
    order of examples, and are discarded.

    Args:
        run: a Plan; a Setup, or a Training, of which the setup is taken; or whatever `plan` takes.
        start: the point at step 0, where `run` is an objective.
        **choices: as in `RateSearchChoices`; with a Plan, a Setup or a Training only `budget` and `progress`.

    Returns:
        Range test, bound by curvature, checks, and the rate to take: the one whose loss is lowest at the end, the
        smallest of equally good ones; None where none descends.

    Raises:
        SettingError: for a method that takes no rate, a schedule that holds its own, or a stream that can be read only
            once.
        DownslopeError: as `plan` and `train`.

    >>> finding = find_learning_rate("f(x) = x²", {"x": 10})
    >>> finding.stable_bound, finding.learning_rate
    (1.0, 0.5)
    """
    if "learning_rate" in choices:
        raise SettingError("the learning rate is what is looked for", hint="leave learning_rate out")
    passed = checked(RateSearchChoices, choices, also=("run", "start"), settings=settings_of_own(choices))
    budget, progress = passed.pop("budget", None), checked_progress(passed.pop("progress", None))
    subject = _subject(run, start, passed)
    base = subject.plan() if isinstance(subject, Setup) else subject
    _check(base)
    usual = _BUDGET if base.objective.batched is None else _BUDGET_OF_BATCHES
    most = budget or max(min(base.steps, usual), 1)
    with progress_bar(progress, RateSearch.expected(most)) as show:
        return RateSearch(base, most, show).finding(subject)


def _subject(run: Any, start: Point, choices: dict[str, Any]) -> Plan | Setup:
    """Return the plan or the setup that was passed, or the plan that the choices make."""
    if not isinstance(run, Plan | Setup | Training):
        return make_plan(run, start, choices)
    if start is not None or choices:
        kind = type(run).__name__.lower()
        raise SettingError(f"a {kind} holds its start and settings already", hint="pass it alone")
    if not isinstance(run, Training):
        return run
    if run.setup is None:
        raise SettingError("this training does not know its setup", hint="pass a Plan or a Setup")
    return run.setup


def _check(base: Plan) -> None:
    """Raise for a plan without a rate to look for."""
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
