"""How residuals count: plainly squared, or less so the larger they are.

Each robust loss ρ is written as the square of a bent residual b(u) with b² = ρ(u²), so that the sum of squares of the
bent residuals is the loss. With u the residual over its scale:

    linear     ρ = u²
    huber      ρ = u² up to |u| = 1, 2|u| − 1 beyond
    soft_l1    ρ = 2(√(1 + u²) − 1)
    cauchy     ρ = ln(1 + u²)

Reference: Triggs et al., "Bundle adjustment: a modern synthesis", 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from downslope._errors import SettingError, nearest

_MAD = 1.4826  # median |r| of a normal distribution times this is its standard deviation


def _linear(u: Any, numpy: Any) -> Any:
    return u


def _huber(u: Any, numpy: Any) -> Any:
    size = numpy.abs(u)
    beyond = numpy.where(size > 1, size, 1.0)  # inside, the root has a slope that is not used
    return numpy.where(size <= 1, u, numpy.sign(u) * numpy.sqrt(2 * beyond - 1))


def _soft_l1(u: Any, numpy: Any) -> Any:
    return u * numpy.sqrt(2 / (numpy.sqrt(1 + u * u) + 1))


def _cauchy(u: Any, numpy: Any) -> Any:
    square = numpy.where(u == 0, 1.0, u * u)
    return numpy.where(u == 0, u, u * numpy.sqrt(numpy.log1p(square) / square))


LOSSES: Mapping[str, Callable[[Any, Any], Any]] = {
    "linear": _linear,
    "huber": _huber,
    "soft_l1": _soft_l1,
    "cauchy": _cauchy,
}


def checked_loss(name: str) -> str:
    """Return the identifier of a loss, spelt with spaces, hyphens or underscores.

    Raises:
        SettingError: if there is none of this name.

    >>> checked_loss("soft-L1")
    'soft_l1'
    """
    found = str(name).lower().replace("-", "_").replace(" ", "_")
    if found not in LOSSES:
        close = nearest(found, LOSSES)
        raise SettingError(
            f"there is no loss {name!r}; there are {', '.join(LOSSES)}",
            hint=f"did you mean {close}?" if close else None,
        )
    return found


def typical_deviation(residuals: np.ndarray) -> float:
    """Return the standard deviation of most residuals, from the median of their sizes."""
    return _MAD * float(np.median(np.abs(residuals)))


def scores(loss: str, residuals: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ψ and ψ′ at each residual, the slopes of half the loss; None for least squares.

    Args:
        loss: a name of `LOSSES`.
        residuals: shape (rows,), weighted.
        scale: the residual from which on a robust loss counts less.
    """
    if loss == "linear":
        return None
    u = residuals / scale
    size = np.abs(u)
    if loss == "huber":
        return scale * np.clip(u, -1, 1), np.where(size <= 1, 1.0, 0.0)
    if loss == "soft_l1":
        root = np.sqrt(1 + u * u)
        return scale * u / root, root**-3
    return scale * u / (1 + u * u), (1 - u * u) / (1 + u * u) ** 2
