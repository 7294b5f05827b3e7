"""The extreme eigenvalues of a step's Hessian, from the existing graph, and the noise of its gradient.

Lanczos without a host: the numbers of its small matrix stay on the device until they are fetched with all others.
The first direction is the gradient and as much noise, which the highest curvature is never far from. What is asked of
the graph leaves it as it is: the backward pass of the loop finds every saved number.

Reference: Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.watching.torch._graph import name_of
from downslope.watching.torch._library import Tensor, torch

_PRODUCTS = 8
_MOST_PARAMETERS = 20_000_000
# Without a second derivative, or with effects of their own in a second backward pass.
_OPAQUE = ("ScaledDotProduct", "MkldnnRnn", "CudnnRnn", "MiopenRnn", "CompiledFunction", "Checkpoint", "FlashAttention")


@dataclass(frozen=True, eq=False)
class CurvatureEnds:
    """What is needed of a look at the curvature once its numbers are on the host.

    Args:
        plain: the diagonal of the small matrix and what is beside it, shape (2, products).
        scaled: the same of P⁻¹H, or None.
    """

    plain: Tensor
    scaled: Tensor | None


def why_not(nodes: Sequence[Any], parameters: Sequence[Tensor]) -> str:
    """Return why the curvature cannot be measured on a graph; empty where it can."""
    if sum(parameter.numel() for parameter in parameters) > _MOST_PARAMETERS:
        return f"the network has more than {_MOST_PARAMETERS // 10**6} million weights"
    if any(parameter._backward_hooks for parameter in parameters):
        return "a parameter has hooks, which would be called"
    for node in nodes:
        name = name_of(node)
        if name.startswith(_OPAQUE) or not name[-1].isdigit():  # the latter are functions of the user's
            return f"{name} has no second derivative that is known to be safe"
    return ""


def curvature(
    loss: Tensor, parameters: Sequence[Tensor], scale: Sequence[Tensor] | None, seed: int
) -> CurvatureEnds | None:
    """Return the small matrices of the curvature at both ends; None where no parameter has a gradient.

    Args:
        loss: the loss, whose graph is kept.
        parameters: the parameters.
        scale: what the method divides each by, or None.
        seed: of the noise in the first direction, which is drawn aside from the generator of the loop.
    """
    wanted = [index for index, parameter in enumerate(parameters) if parameter.requires_grad]
    reached = [parameters[index] for index in wanted]
    with torch.enable_grad():
        slopes = torch.autograd.grad(loss, reached, create_graph=True, retain_graph=True, allow_unused=True)
    known = [index for index, slope in enumerate(slopes) if slope is not None and slope.requires_grad]
    if not known:
        return None
    parts, slopes = [reached[index] for index in known], [slopes[index] for index in known]
    roots = None if scale is None else [scale[wanted[index]].sqrt() for index in known]
    plain = _lanczos(slopes, parts, None, seed)
    return CurvatureEnds(plain, None if roots is None else _lanczos(slopes, parts, roots, seed))


def ends_of(numbers: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest eigenvalue of a small matrix, from its diagonal and what is beside it.

    >>> ends_of(np.array([[2.0, 2.0], [1.0, 0.0]]))
    (1.0, 3.0)
    """
    diagonal, beside = np.asarray(numbers, float)
    if not np.all(np.isfinite(diagonal)):
        return float("nan"), float("nan")
    # A length of next to nothing ends the space: what is written behind it is rounding.
    small = np.flatnonzero(~(beside > 1e-6 * max(np.abs(diagonal).max(), np.nanmax(beside), 1e-30)))
    count = int(small[0]) + 1 if len(small) else len(diagonal)
    matrix = np.diag(diagonal[:count]) + np.diag(beside[: count - 1], 1) + np.diag(beside[: count - 1], -1)
    try:
        values = np.linalg.eigvalsh(matrix)
    except np.linalg.LinAlgError:  # an overflow that is still finite here
        return float("nan"), float("nan")
    return float(values[0]), float(values[-1])


def noise_scale(inner: Tensor) -> float | None:
    """Return the noise scale tr Σ / ‖G‖² in examples; None for fewer than four of them.

    Off the diagonal the inner products gᵢ·gⱼ of the examples' gradients are ‖G‖² on average, on it tr Σ + ‖G‖². One
    batch tells little of a noise much larger than itself: where ‖G‖² does not stand out of its own error it may be as
    large as that, and the scale is what it is at least.

    Args:
        inner: the products of what each example adds to the gradient of the mean, shape (examples, examples).

    Reference: McCandlish et al., "An empirical model of large-batch training", 2018.
    """
    rows = len(inner)
    if rows < 4:
        return None
    # What an example adds to the gradient of a mean is its own gradient over their number.
    inner = inner.double() * rows * rows
    own = inner.diagonal()
    means = (inner.sum(1) - own) / (rows - 1)
    signal, pairs = means.mean(), rows * (rows - 1)
    squares = (inner.square().sum() - own.square().sum()) / pairs
    error = (4 * means.var() / rows + 2 * squares / pairs).sqrt()
    scale = float((own.mean() - signal) / torch.maximum(signal, 2 * error))
    return scale if math.isfinite(scale) else None


def inner_products(data: Tensor, gradient: Tensor, biased: bool) -> Tensor:
    """Return, of one dense layer, the inner products of the examples' gradients gᵢ, shape (examples, examples).

    gᵢ is the outer product of δᵢ and aᵢ, so that gᵢ·gⱼ = (aᵢ·aⱼ)(δᵢ·δⱼ).
    """
    data, gradient = data.float(), gradient.float()
    inner = data @ data.T + (1.0 if biased else 0.0)
    return inner * (gradient @ gradient.T)


def _lanczos(slopes: Sequence[Tensor], parts: Sequence[Tensor], roots: Sequence[Tensor] | None, seed: int) -> Tensor:
    """Return the diagonal of the small matrix and the lengths beside it, shape (2, products)."""
    vector = _unit(_mixed([slope.detach() for slope in slopes], seed))
    before = [torch.zeros_like(part) for part in vector]
    length = vector[0].new_zeros(())
    diagonal, beside = [], []
    for index in range(_PRODUCTS):
        image = _product(slopes, parts, vector, roots)
        along = _inner(image, vector)
        image = [part - along * v - length * b for part, v, b in zip(image, vector, before, strict=True)]
        length = _inner(image, image).sqrt()
        diagonal.append(along)
        beside.append(length)
        if index + 1 < _PRODUCTS:
            before, vector = vector, [part / length.clamp_min(1e-30) for part in image]
    return torch.stack([torch.stack(diagonal), torch.stack(beside)]).detach()


def _product(
    slopes: Sequence[Tensor], parts: Sequence[Tensor], vector: Sequence[Tensor], roots: Sequence[Tensor] | None
) -> list[Tensor]:
    """Return Hv, or P^(−1/2) H P^(−1/2) v."""
    onto = vector if roots is None else [v / root for v, root in zip(vector, roots, strict=True)]
    onto = [v.to(slope.dtype) for v, slope in zip(onto, slopes, strict=True)]
    images = torch.autograd.grad(slopes, parts, grad_outputs=onto, retain_graph=True, allow_unused=True)
    results = [
        torch.zeros_like(v) if image is None else image.detach() for image, v in zip(images, vector, strict=True)
    ]
    results = [image.to(v.dtype) for image, v in zip(results, vector, strict=True)]
    return results if roots is None else [image / root for image, root in zip(results, roots, strict=True)]


def _mixed(slopes: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Return the gradient and as much noise, drawn by NumPy: a loop's own generators are left as they are."""
    random = np.random.default_rng([seed, 7])
    noise = [
        torch.from_numpy(random.standard_normal(tuple(slope.shape), dtype=np.float32)).to(slope.device)
        for slope in slopes
    ]
    return [a + b for a, b in zip(_unit([s.float() for s in slopes]), _unit(noise), strict=True)]


def _unit(parts: Sequence[Tensor]) -> list[Tensor]:
    """Return parts at length one in all."""
    length = _inner(parts, parts).sqrt().clamp_min(1e-30)
    return [part / length for part in parts]


def _inner(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)]).sum()
