"""`prescribe`: from a run that falls short to remedies that were tried and shown to help."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from downslope._choices import checked, defaults, door
from downslope._errors import SettingError, described
from downslope.descent import Plan, checked_progress
from downslope.executors import check_executor
from downslope.networks import Setup, Training
from downslope.remedies._choices import PrescribeChoices
from downslope.remedies._descent_trials import of_plan
from downslope.remedies._prescription import Prescription
from downslope.remedies._training_trials import of_training
from downslope.trace import Trace, load

_PARTS = ("data", "model", "target", "validation", "loss", "start")  # of a saved run, which a file may not hold


@door(PrescribeChoices)
def prescribe(run: Plan | Training | Setup | str | Path, **choices: Unpack[PrescribeChoices]) -> Prescription:
    """Repair a run: try remedies for its problems, and prove the best beside a control.

    For a training, remedies race over a few of the steps, the likeliest first; the leaders are run in pairs with the
    unchanged run, with fresh seeds, until the score on held-back rows is significantly higher; the changes that were
    needed are named. For a descent, each remedy is tried once, and the best are compared from nearby starts. A remedy
    helped if the 95 % interval of the difference lies above 0 and the quantity that it targets has changed.

    Args:
        run: the plan of a descent, a training, the folder of a saved one, or the setup of one, which is then trained
            first.
        **choices: as in `PrescribeChoices`.

    Returns:
        The remedies that were tried, ranked, their cost, and the changed plan or setup as `mended`. That nothing is
        wrong, or that nothing helped, are also results.

    Raises:
        SettingError: for anything that cannot be run again, or an invalid number.

    References: Student, "The probable error of a mean", 1908.

    >>> import downslope as ds
    >>> prescription = prescribe(ds.plan("f(x) = x²", {"x": 1.0}, learning_rate=1.1, steps=20))
    >>> prescription.best.remedy.name, prescription.mended.as_python()
    ('rate 0.5, from the curvature', 'ds.descend("f(x) = x²", {"x": 1.0}, learning_rate=0.5, steps=20)')
    """
    chosen = {**defaults(PrescribeChoices), **checked(PrescribeChoices, choices, also=("run",))}
    pairs, most, width = chosen["seeds"], chosen["trainings"], chosen["width"]
    parts = {name: chosen[name] for name in _PARTS if chosen[name] is not None}
    progress, executor = checked_progress(chosen["progress"]), chosen["executor"]
    check_executor(executor)  # before the run itself, which may take long
    if isinstance(run, str | Path) and Path(run).is_dir():
        setup, trace = _saved(run, parts)
        return of_training(setup, trace, pairs, most, progress, executor, width)
    if parts:
        name = next(iter(parts))
        what = "data are the rows" if name == "data" else f"{name} is a part"
        raise SettingError(f"{what} of a saved run", hint="a plan, a training and a setup hold their own")
    if isinstance(run, Plan):
        if width > 1:
            raise SettingError(
                "width applies to prescriptions for trainings", hint="the runs of a descent are all started at once"
            )
        return of_plan(run, None, pairs, most, progress, executor)
    setup, trace = _trained(run)
    return of_training(setup, trace, pairs, most, progress, executor, width)


def _saved(folder: str | Path, parts: Mapping[str, Any]) -> tuple[Setup, Trace]:
    """Return the setup and the trace of a saved training, with the parts of it that no file holds."""
    trace = load(folder)
    if "asked" not in trace.facts:
        raise SettingError(
            f"{folder} does not hold the setup of its run",
            hint="prescribe takes a formula as a plan: ds.prescribe(ds.plan(formula, start, …))",
        )
    lost = [name for name in trace.facts["asked"]["untold"] if name not in _PARTS]
    if lost:
        raise SettingError(
            f"{folder} does not hold the {lost[0]} of its run",
            hint="pass a setup with it: ds.prescribe(ds.Setup.of(model, data, …))",
        )
    return Setup.from_plain(trace.facts["asked"], **parts), trace


def _trained(run: Any) -> tuple[Setup, Trace]:
    """Return the setup and the trace of a training."""
    if isinstance(run, Setup):
        training = run.train(progress=False)
        return run, training.trace
    if isinstance(run, Training):
        if run.setup is None:
            raise SettingError("this training does not know its setup", hint="train it with ds.train")
        return run.setup, run.trace
    if isinstance(run, Trace):
        raise SettingError(
            "a trace is only a record and cannot be run again",
            hint="pass its plan: ds.prescribe(ds.plan(formula, start, …)), or for the training",
        )
    raise SettingError(
        f"prescribe takes a plan or a training, not {described(run)}"
        + ("; and there is no folder of that name" if isinstance(run, str | Path) else ""),
        hint="for example ds.prescribe(ds.plan('x² - y² + y⁴', {'x': 1, 'y': 0}))",
    )
