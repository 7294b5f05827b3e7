"""What theory says of a rate α on a bowl of curvature λ, method by method.

On a quadratic each curvature λ goes its own way, and only the product αλ matters. With momentum β:

    gradient descent   error ← (1 − αλ) · error                       stable while αλ < 2
    momentum           r² − (1 + β − αλ) r + β = 0                     stable while αλ < 2 + 2β
    Nesterov           r² − (1 + β)(1 − αλ) r + β(1 − αλ) = 0          stable while αλ < (2 + 2β) / (1 + 2β)

the error shrinking each step by the largest |r|. Each bound is where a root passes −1. Methods that divide by a scale P
see the curvature of P⁻¹H instead; Adam averages its gradients, so that its bound is (2 + 2β) / (1 − β), 38 at β = 0.9.

References: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Cohen et al., "Gradient
descent on neural networks typically occurs at the edge of stability", 2021, and "Adaptive gradient methods at the edge
of stability", 2022.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

PLAIN = frozenset({"gradient descent", "gradient descent with noise"})
SCALED = frozenset({"adam", "adamw", "rmsprop", "adagrad"})
LINE_SEARCH = frozenset({"newton", "bfgs", "l-bfgs", "levenberg-marquardt", "trust region"})

WITH_MOMENTUM = frozenset({"momentum", "nesterov"})
BY_CURVATURE = PLAIN | WITH_MOMENTUM  # whose one rate the ground's curvature bounds


def stability_bound(method: str, settings: Mapping[str, float]) -> float | None:
    """Return the bound on αλ below which the method settles, or None where there is no such bound.

    Args:
        method: the plan's name of the method.
        settings: its settings: `momentum`, `beta1`.

    >>> stability_bound("momentum", {"momentum": 0.9})
    3.8
    """
    beta = float(settings.get("momentum", 0.9))
    if method in PLAIN or method in {"rmsprop", "adagrad"}:
        return 2.0
    if method == "momentum":
        return 2 + 2 * beta
    if method == "nesterov":
        return (2 + 2 * beta) / (1 + 2 * beta)
    if method in {"adam", "adamw"}:
        beta = float(settings.get("beta1", 0.9))
        return (2 + 2 * beta) / (1 - beta)
    return None


def contraction(method: str, settings: Mapping[str, float], products: np.ndarray) -> np.ndarray | None:
    """Return the factor by which the error along each curvature shrinks in a step.

    Args:
        method: the plan's name of the method.
        settings: its settings.
        products: αλ for each curvature λ, any shape.

    Returns:
        The factors, in the shape of `products`; None for methods without such a theory.
    """
    if method in PLAIN:
        return np.abs(1 - products)
    beta = float(settings.get("momentum", 0.9))
    if method == "momentum":
        return _largest_root(1 + beta - products, np.full_like(products, beta))
    if method == "nesterov":
        return _largest_root((1 + beta) * (1 - products), beta * (1 - products))
    return None


def best_rate(method: str, settings: Mapping[str, float], lowest: float, highest: float) -> float | None:
    """Return the fixed rate that shrinks the slowest error the most, for curvatures from `lowest` to `highest` > 0."""
    if method in PLAIN:
        return 2 / (lowest + highest)
    bound = stability_bound(method, settings)
    ends = np.array([lowest, highest])
    if bound is None or contraction(method, settings, ends) is None:
        return None
    rates = bound / highest * np.geomspace(1e-6, 1, 2000)[:-1]
    factors = contraction(method, settings, rates[:, None] * ends)
    if factors is None:
        return None
    slowest = factors.max(axis=1)
    # With momentum a whole range of rates does equally well: the middle of it is the farthest from harm.
    equal = rates[slowest <= slowest.min() + 1e-3 * (1 - slowest.min())]
    return float(np.sqrt(equal[0] * equal[-1]))


def _largest_root(total: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Return the largest |r| with r² − total · r + product = 0."""
    root = np.sqrt(np.asarray(total * total - 4 * product, dtype=complex))
    return np.maximum(np.abs(total + root), np.abs(total - root)) / 2
