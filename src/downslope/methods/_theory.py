"""The theory of a learning rate α on a quadratic of curvature λ.

On a quadratic the error along each curvature λ obeys a linear recurrence whose coefficients depend on αλ = p alone:

    gradient descent   e ← (1 − p) e                                   stable while p < 2
    momentum           r² − (1 + β − p) r + β = 0                      stable while p < 2 + 2β
    Nesterov           r² − (1 + β)(1 − p) r + β(1 − p) = 0            stable while p < (2 + 2β) / (1 + 2β)

and shrinks each step by the largest |r|. Each bound is where a root passes −1. Methods that divide by a scale P see the
curvature of P⁻¹H instead; Adam averages its gradients, so that its bound is (2 + 2β) / (1 − β), 38 at β = 0.9.

The coefficients are linear in p, so they can be written down as numbers: a trace keeps them, and no reader of a trace
needs the code of the method that made it.

References: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Cohen et al., "Gradient
descent on neural networks typically occurs at the edge of stability", 2021, and "Adaptive gradient methods at the edge
of stability", 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._types import Plain

Settings = Mapping[str, Any]
Recurrence = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Theory:
    """The theory of a method on a quadratic.

    Args:
        bound: the largest stable αλ, from the settings; λ is the curvature of H, or of P⁻¹H for a
            method with a scale P.
        bound_text: the same as a formula in the settings' symbols, "2 + 2β".
        recurrence: the pairs (a, b) of the coefficients a + b·αλ in eₜ₊₁ = Σᵢ (aᵢ + bᵢ·αλ) eₜ₋ᵢ, from the settings: one
            pair for a method without memory, two with momentum. None where the error obeys no such recurrence.
    """

    bound: Callable[[Settings], float]
    bound_text: str
    recurrence: Callable[[Settings], Recurrence] | None = None


@dataclass(frozen=True)
class NoTheory:
    """The statement that no stability bound is known for a method.

    Args:
        reason: why, as a clause: "it searches for the length of each step".
    """

    reason: str = "no stability bound is known for it"


@dataclass(frozen=True)
class MethodFacts:
    """The part of a method that a diagnosis needs, as plain numbers.

    Args:
        name: the method's name.
        bound: the largest αλ at which it settles, or None where no theory is known.
        bound_text: the same as a formula in the settings' symbols.
        recurrence: coefficients (a, b) of the error's recurrence; see `Theory`.
        scaled: whether `bound` is to be held against the curvature of P⁻¹H, as the method divides by a scale P.
        searches_line: whether it finds the length of each step by itself.
        noisy: whether it adds noise to the gradient.
    """

    name: str
    bound: float | None = None
    bound_text: str = ""
    recurrence: Recurrence | None = None
    scaled: bool = False
    searches_line: bool = False
    noisy: bool = False

    @property
    def by_curvature(self) -> bool:
        """Whether the curvature of the objective itself bounds its rate."""
        return self.bound is not None and not self.scaled

    @property
    def swings(self) -> bool:
        """Whether errors swing as they shrink, since a step depends on more than the point it leaves."""
        return self.recurrence is not None and len(self.recurrence) > 1

    @property
    def swing_decay(self) -> float:
        """The factor by which a swing along flat ground shrinks in two steps: β for momentum; 0 without memory."""
        return abs(self.recurrence[-1][0]) if self.recurrence is not None and self.swings else 0.0

    @property
    def no_theory(self) -> str:
        """The sentence for a check that needs a bound where none is known."""
        return f"no theory is known for {self.name or 'this method'}"

    def contraction(self, products: np.ndarray) -> np.ndarray | None:
        """Return the factor by which the error along each curvature shrinks in a step.

        Args:
            products: αλ for each curvature λ, any shape.

        Returns:
            The factors, in the shape of `products`; None where the error obeys no known recurrence.
        """
        if self.recurrence is None:
            return None
        coefficients = [constant + slope * products for constant, slope in self.recurrence]
        if len(coefficients) == 1:
            return np.abs(coefficients[0])
        if len(coefficients) == 2:
            return _largest_root(coefficients[0], -coefficients[1])
        return _spectral_radius(coefficients)

    def best_rate(self, lowest: float, highest: float) -> float | None:
        """Return the fixed rate that shrinks the slowest error the most, for curvatures from `lowest` to `highest` > 0.

        >>> MethodFacts("gradient descent", 2.0, recurrence=((1.0, -1.0),)).best_rate(1.0, 3.0)
        0.5
        """
        if self.bound is None or self.recurrence is None or self.scaled:
            return None
        if len(self.recurrence) == 1:
            ((constant, slope),) = self.recurrence
            return -2 * constant / slope / (lowest + highest)
        ends = np.array([lowest, highest])
        rates = self.bound / highest * np.geomspace(1e-6, 1, 2000)[:-1]
        factors = self.contraction(rates[:, None] * ends)
        assert factors is not None
        slowest = factors.max(axis=1)
        # With momentum a whole range of rates does equally well: the middle of it is the farthest from harm.
        equal = rates[slowest <= slowest.min() + 1e-3 * (1 - slowest.min())]
        return float(np.sqrt(equal[0] * equal[-1]))

    def as_plain(self) -> dict[str, Any]:
        """Return the facts but for the name as plain data, for a trace."""
        return {
            "bound": self.bound,
            "bound_text": self.bound_text,
            "recurrence": None if self.recurrence is None else [list(pair) for pair in self.recurrence],
            "scaled": self.scaled,
            "searches_line": self.searches_line,
            "noisy": self.noisy,
        }

    @classmethod
    def of_plain(cls, name: str, plain: Plain) -> MethodFacts:
        """Return the facts that `as_plain` wrote; of data that make no sense, none but the name."""
        try:
            bound, recurrence = plain["bound"], plain["recurrence"]
            return cls(
                name,
                None if bound is None else float(bound),
                str(plain["bound_text"]),
                None if recurrence is None else tuple((float(a), float(b)) for a, b in recurrence),
                *(bool(plain[flag]) for flag in ("scaled", "searches_line", "noisy")),
            )
        except (KeyError, TypeError, ValueError):
            return cls(name)


def _largest_root(total: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Return the largest |r| with r² − total · r + product = 0."""
    # The complex root covers both regimes: two real roots where the method is overdamped, a pair of equal modulus
    # √product where it swings.
    root = np.sqrt(np.asarray(total * total - 4 * product, dtype=complex))
    return np.maximum(np.abs(total + root), np.abs(total - root)) / 2


def _spectral_radius(coefficients: list[np.ndarray]) -> np.ndarray:
    """Return the largest |r| with rⁿ = Σ coefficientᵢ rⁿ⁻ⁱ, from the companion matrices."""
    order = len(coefficients)
    rows = np.broadcast_arrays(*coefficients)
    companion = np.zeros((*rows[0].shape, order, order))
    companion[..., 0, :] = np.stack(rows, axis=-1)
    companion[..., range(1, order), range(order - 1)] = 1.0
    finite = np.isfinite(companion).all(axis=(-2, -1), keepdims=True)  # eigvals refuses ∞ and NaN
    radius = np.abs(np.linalg.eigvals(np.where(finite, companion, 0.0))).max(axis=-1)
    return np.where(np.squeeze(finite, (-2, -1)), radius, np.nan)
