"""The method that an Optax transformation implements, as far as its state and its steps show it."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope._engine import jax
from downslope.methods import ADAGRAD, ADAM, LION, RMSPROP
from downslope.watching.optax._recorded import RecordedRows

# By the class of the state that a method alone has. That of momentum is shared by Nesterov's.
_METHODS = {
    "ScaleByAdamState": ADAM,
    "ScaleByLionState": LION,
    "ScaleByRmsState": RMSPROP,
    "ScaleByRmsWithCountState": RMSPROP,
    "ScaleByRssState": ADAGRAD,
}
# States of what changes no direction: rates, masks, and transformations without a memory.
_WITHOUT_DIRECTION = frozenset(
    {
        "EmptyState",
        "InjectHyperparamsState",
        "InjectStatefulHyperparamsState",
        "MaskedState",
        "ScaleByScheduleState",
        "ScaleState",
        "WrappedScheduleState",
    }
)
_NEAR = 1e-3


def method_of(state: Any) -> str | None:
    """Return the name of the method whose state this is; empty for one without a memory, None where it is not known.

    >>> import optax
    >>> params = {"w": np.ones(2)}
    >>> method_of(optax.adamw(0.1).init(params)), method_of(optax.sgd(0.1).init(params))
    ('adam', '')
    >>> method_of(optax.sgd(0.1, momentum=0.9).init(params)) is None
    True
    """
    names = set(_state_names(state)) - _WITHOUT_DIRECTION
    if not names:
        return ""
    method = _METHODS.get(names.pop()) if len(names) == 1 else None
    return None if method is None else method.name


def descent_rates(rows: RecordedRows) -> np.ndarray | None:
    """Return the learning rate of each row where the updates are those of gradient descent; None where they are not.

    Those are the gradients times one number for all parts, and without several parts, at all looks. Between looks the
    rate is known where it is the same at all of them; elsewhere it is NaN.
    """
    norms = [(columns["update_norm"], columns["gradient_norm"]) for columns in rows.parts.values()]
    with np.errstate(all="ignore"):
        by_part = np.array([update / gradient for update, gradient in norms])
    if not by_part.size:
        return None
    if not all(_agree(look) for look in (by_part.T if len(by_part) > 1 else by_part)):
        return None
    at_looks = np.nanmedian(by_part, axis=0)
    rates = np.full(len(rows.steps["step"]), at_looks[0] if _agree(at_looks) else np.nan)
    rates[rows.looks - rows.steps["step"][0]] = at_looks
    return rates


def _agree(numbers: np.ndarray) -> bool:
    """Tell whether at least two of some numbers are known, and all that are known are the same up to rounding."""
    known = numbers[np.isfinite(numbers)]
    return len(known) > 1 and bool(np.ptp(known) <= _NEAR * known.max())


def _state_names(state: Any) -> list[str]:
    """Return the names of the classes of all states in a state."""
    if not isinstance(state, tuple | list | dict):
        return []
    inner = state.values() if isinstance(state, dict) else state
    own = [type(state).__name__] if hasattr(state, "_fields") else []
    # The moments of a method are trees of arrays, which hold no state.
    return own + [name for part in inner if not _is_arrays(part) for name in _state_names(part)]


def _is_arrays(part: Any) -> bool:
    return isinstance(part, jax().Array)
