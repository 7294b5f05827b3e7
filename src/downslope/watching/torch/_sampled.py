"""What the first and the last weights of a large model are like, layer by layer, without a copy of them.

A model of more than ten million weights is not kept as it begins and ends. Its checks need little of them: the mean
square of the weights of a layer, and the share of its units that are copies of one another. Both come from a sample
that is taken where the weights are, and fetched with the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from downslope._arrays import share_of_copies
from downslope.watching.torch._graph import GraphLayer
from downslope.watching.torch._library import Tensor, torch

_MOST_UNITS, _MOST_INPUTS = 256, 64
_MOST_NUMBERS = 2**16  # whose mean square is taken: its relative error is 0.6 % for normal weights


class SampledLayer(NamedTuple):
    """A layer whose weights are sampled, and the sample of the first ones.

    Args:
        leaf, bias: its parts.
        input_axes, unit_axes: of the leaf.
        mean_square: of the first weights.
        units: the first weights of some units, shape (units, inputs).
    """

    leaf: str
    bias: str | None
    input_axes: tuple[int, ...]
    unit_axes: tuple[int, ...]
    mean_square: Tensor
    units: Tensor


class SampledWeights:
    """Samples of the weights of the layers, at the first look and at the end.

    Args:
        parts: the parameters by part.
    """

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        self._parts = parts
        self._layers: dict[str, SampledLayer] = {}
        self._begun: dict[str, tuple[float, float]] = {}  # mean square and copies of the first weights

    def begin(self, layers: Sequence[GraphLayer]) -> None:
        """Take samples of the layers that are new, before the first step."""
        with torch.no_grad():
            for layer in layers:
                if layer.name in self._layers or not layer.input_axes or not layer.unit_axes:
                    continue
                flat = self._parts[layer.leaf].detach().reshape(-1)
                square = flat[:: -(-len(flat) // _MOST_NUMBERS)].float().square().mean()
                axes = layer.input_axes, layer.unit_axes
                units = self._units(layer.leaf, layer.bias, *axes)
                self._layers[layer.name] = SampledLayer(layer.leaf, layer.bias, *axes, square, units)

    def _units(self, leaf: str, bias: str | None, input_axes: tuple[int, ...], unit_axes: tuple[int, ...]) -> Tensor:
        """Return the incoming weights of some units, with their biases, shape (units, inputs)."""
        weight = self._parts[leaf].detach().permute(*unit_axes, *input_axes)
        step = -(-weight.shape[0] // _MOST_UNITS)
        some = weight[::step]
        fan_in = int(np.prod(some.shape[len(unit_axes) :]))
        numbers = some.reshape(-1, fan_in)[:_MOST_UNITS]
        numbers = numbers[:, :: -(-fan_in // _MOST_INPUTS)].float()
        own = None if bias is None else self._parts[bias].detach().reshape(-1)
        if own is None or len(unit_axes) > 1 or len(own) != weight.shape[0]:
            return numbers.clone()
        return torch.cat([numbers, own[::step][: len(numbers), None].float()], 1)

    def facts(self, *, is_end: bool) -> dict[str, dict[str, float]]:
        """Return by layer the mean square of the first weights, and the share of copies at the start and at the end.

        Args:
            is_end: whether the weights are the last ones; until then the copies are those of the start.
        """
        for name, layer in self._layers.items():
            if name not in self._begun:
                self._begun[name] = float(layer.mean_square), share_of_copies(layer.units.cpu().numpy().T)
        known = {}
        for name, layer in self._layers.items():
            mean_square, copies = self._begun[name]
            known[name] = {"mean_square": mean_square, "copies_at_start": copies, "copies_at_end": copies}
            if is_end and copies:  # units that differ do not become copies, and only these are asked about
                now = self._units(layer.leaf, layer.bias, layer.input_axes, layer.unit_axes)
                known[name]["copies_at_end"] = share_of_copies(now.cpu().numpy().T)
        return known
