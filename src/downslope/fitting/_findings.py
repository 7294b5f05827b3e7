"""What a fit shows beyond its trace: parameters that cannot be told apart, or that rest on a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from downslope._types import Columns
from downslope.diagnosis import Diagnosis, Finding, Severity
from downslope.fitting._model import EquationModel
from downslope.fitting._uncertainty import Uncertainty
from downslope.trace import Trace

_NARROW = 1e3  # lengths of the confidence ellipsoid's axes, longest over shortest, from which on it is worth a word
_TAKES_PART = 0.3
_SAID_BETTER = {"ill_conditioned", "plateau"}  # by a fit's own finding, in terms of its parameters


def findings(
    model: EquationModel,
    trace: Trace,
    verdict: Diagnosis,
    free: Sequence[str],
    held: Mapping[str, float],
    sure: Uncertainty,
    columns: Columns,
) -> Diagnosis:
    """Return what was found, the most important first.

    Args:
        model: the equation.
        trace: the descent to the parameters.
        verdict: what is to say of it as a descent.
        free: the names of the free parameters.
        held: the parameters that rest on a bound, with their values.
        sure: how sure they are.
        columns: the data.
    """
    last = (trace.last_step, trace.last_step)
    own: list[Finding] = []
    if sure.undetermined:
        own.append(_undetermined(model, [free[place] for place in sure.undetermined], columns, last))
    elif sure.condition_number > _NARROW:
        own.append(_ill_conditioned(free, sure, last))
    if held:
        own.append(_at_bound(held, last))
    kept = [one for one in verdict if one.symptom not in _SAID_BETTER]
    if sure.undetermined:
        kept = [one for one in kept if one.severity is Severity.PROBLEM]
    rank = {Severity.PROBLEM: 0, Severity.GOOD: 1, Severity.NOTE: 2}
    return Diagnosis(tuple(sorted([*own, *kept], key=lambda one: rank[one.severity])), verdict.not_run)


def _undetermined(model: EquationModel, names: list[str], columns: Columns, last: tuple[int, int]) -> Finding:
    """Return the finding on parameters that can be changed together without any change of the predictions."""
    constant = [name for name in model.equation.right.columns if len(columns[name]) > 1 and np.ptp(columns[name]) == 0]
    alone = f"{names[0]} makes no difference to the predictions there"
    together = f"{', '.join(names[:-1])} and {names[-1]} can change together without changing a single prediction"
    why = f": {constant[0]} is the same in every row" if constant else ""
    return Finding(
        "undetermined",
        Severity.PROBLEM,
        f"The data cannot determine {' and '.join(names) if len(names) < 3 else ', '.join(names)}: "
        f"{alone if len(names) == 1 else together}{why}.",
        {"parameters": list(names)} | ({"constant_columns": constant} if constant else {}),
        "a singular value of the scaled Jacobian below 1e-12 of the largest",
        last,
        parts=tuple(names),
        causes=(
            ("a column that never changes",)
            if constant
            else ("parameters that occur only as a product or sum", "a start too far from the data")
        ),
        remedies=("fix one of them", "another start", "data where they differ"),
    )


def _ill_conditioned(free: Sequence[str], sure: Uncertainty, last: tuple[int, int]) -> Finding:
    """Return the finding on parameters that can hardly be told apart."""
    parts = [name for name, part in zip(free, sure.weakest, strict=True) if abs(part) >= _TAKES_PART]
    names = " and ".join(parts) if len(parts) < 3 else ", ".join(parts)
    return Finding(
        "ill_conditioned",
        Severity.NOTE,
        f"{names} can hardly be told apart: changed together they move the predictions "
        f"{sure.condition_number:.3g} times less than other changes do, in units of their own effect.",
        {"condition_number": sure.condition_number}
        | {"weakest_direction": {name: float(part) for name, part in zip(free, sure.weakest, strict=True)}},
        f"a condition number of the scaled Jacobian above {_NARROW:.0f}",
        last,
        parts=tuple(parts),
        causes=("parameters that nearly make up for each other over the range of the data",),
        remedies=("data over a wider range", "fix one of them", "fewer parameters"),
    )


def _at_bound(held: Mapping[str, float], last: tuple[int, int]) -> Finding:
    """Return the finding on parameters that rest on a bound."""
    listed = " and ".join(f"{name} = {value:.6g}" for name, value in held.items())
    return Finding(
        "at_bound",
        Severity.NOTE,
        f"{listed}: on {'a bound' if len(held) == 1 else 'bounds'} beyond which the squares would fall further, "
        "so without an error of its own.",
        dict(held),
        "a parameter at its bound with the gradient pointing outward",
        last,
        parts=tuple(held),
        causes=("the bound is tighter than the data", "the model does not fit"),
        remedies=("widen the bound if nothing forbids it",),
    )
