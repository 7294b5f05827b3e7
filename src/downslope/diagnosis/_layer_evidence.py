"""Quantities on layers that the checks share: kernels, widths, depth, and factors from layer to layer.

Kernels are read by the axes that the facts record, and by nothing else: no name of a leaf says which of its axes are
inputs. Layers of one depth are taken together. Those that a path without a layer passes, as around a residual branch,
have no part in a factor per layer: the product along that path has a factor of 1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from downslope._types import Columns, Plain
from downslope.trace import Trace, median_over_looks

# The last quarter of the looks stands for the end, the first tenth for the beginning.
_LATE, _EARLY = 4, 10
_FEWEST = 3  # depths through which a factor per layer is fitted
_LEAST = 1e-37  # keeps what underflows in float32 finite


class LayerEvidence:
    """The quantities of the layers that the checks use.

    Args:
        trace: the trace to be judged.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.names = trace.layer_names
        self._facts: Plain = trace.facts.get("network") or {}

    # --- what was recorded ---------------------------------------------------------------------------------------

    def of(self, name: str) -> np.ndarray:
        """Return a quantity of the layers, shape (looks, layers); no looks where it was not recorded."""
        return np.asarray(self.trace.layer_columns.get(name, np.zeros((0, len(self.names)))), dtype=float)

    def first(self, name: str) -> np.ndarray:
        """Return a quantity of the layers at the first look, shape (layers,); NaN where it was not recorded."""
        looks = self.of(name)
        return looks[0] if len(looks) else np.full(len(self.names), np.nan)

    def early(self, name: str) -> np.ndarray:
        """Return a quantity of the layers at the first looks, shape (layers,): the median."""
        looks = self.of(name)
        return median_over_looks(looks[: max(1, len(looks) // _EARLY)])

    def late(self, name: str) -> np.ndarray:
        """Return a quantity of the layers at the last looks, shape (layers,): the median."""
        looks = self.of(name)
        return median_over_looks(looks[-max(1, len(looks) // _LATE) :])

    # --- how they lie --------------------------------------------------------------------------------------------

    @functools.cached_property
    def activations(self) -> tuple[str, ...]:
        """The activation of each layer; "" where it is not known."""
        names = self._facts.get("activations") or []
        return tuple(str(name or "") for name in names) if len(names) == len(self.names) else ("",) * len(self.names)

    @functools.cached_property
    def kernels(self) -> tuple[Plain, ...]:
        """The axes of each layer's kernel; empty mappings where they are unknown."""
        known = {kernel.get("layer"): kernel for kernel in self._facts.get("kernels") or []}
        return tuple(known.get(name) or {} for name in self.names)

    @functools.cached_property
    def nested(self) -> tuple[Plain, ...]:
        """The kernels inside loops, branches and functions with a rule of their own."""
        return tuple(self._facts.get("nested") or ())

    def recurrence(self, *, fading: bool) -> Plain | None:
        """Return the loop whose gradient by the state fades, or grows, most towards its first step; or None."""
        known = [entry for entry in self.nested if entry.get("per_step") and entry.get("in_all") is not None]
        return min(known, key=lambda entry: entry["in_all"] * (1 if fading else -1), default=None)

    @property
    def unseen(self) -> str:
        """A sentence on the kernels inside loops and branches, for which there are no layers; empty for none."""
        return _unseen(self.nested)

    @property
    def unfollowed(self) -> str:
        """The same on those among them whose gradient was not followed from step to step either."""
        return _unseen([entry for entry in self.nested if not entry.get("per_step")])

    @functools.cached_property
    def hidden(self) -> np.ndarray:
        """The indices of the hidden layers: those that another follows."""
        last = len(self.names) - 1
        heights = [_level(kernel, "height", last - index) for index, kernel in enumerate(self.kernels)]
        return np.flatnonzero(np.asarray(heights, dtype=int) > 0)

    @functools.cached_property
    def output(self) -> int | None:
        """The index of the output layer; None where there is none, or several."""
        ends = sorted(set(range(len(self.names))) - set(self.hidden.tolist()))
        return ends[0] if len(ends) == 1 else None

    @functools.cached_property
    def is_chain(self) -> np.ndarray:
        """Whether each layer is known to lie on every path, shape (layers,): those with a factor per layer."""
        return np.array([kernel.get("bypassed") is False for kernel in self.kernels], dtype=bool)

    # --- kernels -------------------------------------------------------------------------------------------------

    def weight(self, index: int, when: Columns) -> np.ndarray | None:
        """Return the weights of a layer, shape (inputs, units), at the start or the end; None where not known."""
        kernel = self.kernels[index]
        inputs, ranges = kernel.get("input_axes"), kernel.get("ranges")
        leaf = when.get(str(kernel.get("leaf")))
        if leaf is None or inputs is None or ranges is None or np.ndim(leaf) != len(ranges):
            return None
        array = np.asarray(leaf, dtype=float)[tuple(slice(first, last) for first, last in ranges)]
        others = [axis for axis in range(array.ndim) if axis not in inputs]
        fan_in = math.prod(array.shape[axis] for axis in inputs)
        return array.transpose(*inputs, *others).reshape(fan_in, -1) if array.size else None

    def sampled(self, index: int) -> Mapping[str, float]:
        """Return what is known of a sample of a layer's weights: `mean_square`, `copies_at_start`, `copies_at_end`."""
        return (self._facts.get("weights") or {}).get(self.names[index]) or {}

    def first_mean_square(self, index: int) -> float | None:
        """Return the mean square of a layer's first weights; None where it is not known."""
        weight = self.weight(index, self.trace.start)
        return self.sampled(index).get("mean_square") if weight is None else float(np.mean(weight**2))

    def bias(self, index: int, when: Columns) -> np.ndarray | None:
        """Return the biases of a layer, shape (units,); None where it has none, or not one for each unit."""
        leaf = when.get(str(self.kernels[index].get("bias")))
        if leaf is None or np.size(leaf) != self.widths[index]:
            return None
        return np.asarray(leaf, dtype=float).reshape(-1)

    @functools.cached_property
    def widths(self) -> np.ndarray:
        """The units of each layer; NaN where they are not known."""
        return np.array([self._count(kernel, "unit_axes") for kernel in self.kernels], dtype=float)

    @functools.cached_property
    def inputs(self) -> np.ndarray:
        """The number of inputs that a unit of each layer sums over; NaN where unknown."""
        return np.array([self._count(kernel, "input_axes") for kernel in self.kernels], dtype=float)

    @property
    def numbers(self) -> np.ndarray:
        """The outputs of each layer for an example: its units, at each position; NaN where unknown."""
        positions = [kernel.get("positions") or math.nan for kernel in self.kernels]
        return self.widths * np.array(positions, dtype=float)

    @property
    def output_width(self) -> float:
        """The units of the output layer; NaN where they are not known."""
        return math.nan if self.output is None else float(self.widths[self.output])

    @staticmethod
    def _count(kernel: Mapping[str, Any], axes: str) -> float:
        """Return the product of the sides of a kernel along some of its axes."""
        if kernel.get(axes) is None or kernel.get("ranges") is None:
            return math.nan
        return math.prod(kernel["ranges"][axis][1] - kernel["ranges"][axis][0] for axis in kernel[axes])

    # --- from layer to layer -------------------------------------------------------------------------------------

    @functools.cached_property
    def gradient_levels(self) -> dict[int, float]:
        """The gradient of a unit at the first look, by the number of layers behind it on the way to the loss.

        From the norm of the gradient by each layer's pre-activations over the root of its units, since wide layers
        have longer gradients at the same strength. Where the loss has no derivative nothing fades: the way is cut.
        """
        cut = {str(name) for name in self._facts.get("cut_off") or ()}
        with np.errstate(all="ignore"):
            per_unit = np.maximum(self.first("activation_gradient_norm"), _LEAST) / np.sqrt(self.widths)
        per_unit[[kernel.get("leaf") in cut for kernel in self.kernels]] = math.nan
        return self._by_level(per_unit, "height")

    @functools.cached_property
    def gradient_rate(self) -> tuple[float, float] | None:
        """The factor by which a unit's gradient changes per layer towards the input, and in all, at the first look.

        Its logarithm is fitted by a line over depth. Glorot and Bengio (2010): with weights that suit the activation it
        is 1.
        """
        return _factors(self.gradient_levels)

    @functools.cached_property
    def signal_rate(self) -> tuple[float, float] | None:
        """The factor by which what tells examples apart changes per layer, and in all, at the first look."""
        return _factors(self._by_level(np.maximum(self.first("activation_variation"), _LEAST), "depth"))

    def _by_level(self, sizes: np.ndarray, level: str) -> dict[int, float]:
        """Return the root mean square of a quantity over the layers of each level, without those that are bypassed."""
        levels: dict[int, list[float]] = {}
        for index in np.flatnonzero(self.is_chain & np.isfinite(sizes)):
            levels.setdefault(_level(self.kernels[index], level, int(index)), []).append(float(sizes[index]))
        # Of paths side by side the strongest decides what gets through, so squares are averaged, not logarithms.
        return {key: float(np.sqrt(np.mean(np.square(levels[key])))) for key in sorted(levels)}


def _level(kernel: Plain, name: str, otherwise: int) -> int:
    """Return the depth or height of a layer, or what it is in a chain where that is not known."""
    level = kernel.get(name)
    return otherwise if level is None else int(level)


def _unseen(nested: Sequence[Plain]) -> str:
    """Return a sentence on kernels inside other programs; empty for none."""
    leaves = list(dict.fromkeys(str(leaf) for entry in nested for leaf in entry.get("leaves") or ()))
    where = " and ".join(dict.fromkeys(f"inside a {entry.get('inside')}" for entry in nested))
    return (
        f"{', '.join(leaves)} {'is' if len(leaves) == 1 else 'are'} used {where}, where layers are not recorded"
        if leaves
        else ""
    )


def _factors(levels: Mapping[int, float]) -> tuple[float, float] | None:
    """Return the factor from one level to the next and over all of them; None for fewer than three.

    >>> tuple(round(factor, 6) for factor in _factors({0: 1.0, 2: 0.5, 3: 0.25}))
    (0.5, 0.25)
    """
    if len(levels) < _FEWEST:
        return None
    # Levels that are left out hold bypassed layers alone, which count nothing.
    slope = float(np.polyfit(np.arange(len(levels)), np.log(list(levels.values())), 1)[0])
    return math.exp(slope), math.exp(slope * (len(levels) - 1))
