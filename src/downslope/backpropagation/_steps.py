"""What a program left behind when it was gone through: its values, and the equations that gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.backpropagation._draft import Back


@dataclass(frozen=True, eq=False)
class Known:
    """A value of the program.

    Args:
        value: what it is.
        place: its place among the steps; None if the gradient does not reach the point through it.
    """

    value: Any
    place: int | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """An equation that was computed, or a part of the point.

    Args:
        primitive: the name of the primitive; empty for a part of the point.
        settings: its parameters.
        operands: its inputs.
        value: its result.
        inputs: places of those that the gradient passes to, each once.
        back: what the gradient that arrives becomes at each of them.
    """

    primitive: str
    settings: Mapping[str, Any]
    operands: tuple[Known, ...]
    value: np.ndarray
    inputs: tuple[int, ...] = ()
    back: Back = lambda gradient: ()
