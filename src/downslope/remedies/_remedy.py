"""A remedy: what changes, why, and which quantity it is to move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Remedy:
    """A change of a plan or of a training, as data.

    Args:
        name: what it is called: "relu in the hidden layers".
        why: the theory, in a sentence, with its source.
        changes: arguments of `train`, or of `plan`, that become others.
        moves: the name of the quantity that it is to move, one of `quantity_names`.
        symptom: the finding that it is for.
    """

    name: str
    why: str
    changes: Mapping[str, Any]
    moves: str
    symptom: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"

    def with_other(self, other: Remedy) -> Remedy | None:
        """Return both at once; None where they change the same thing to different ends."""
        if any(name in self.changes and not same(self.changes[name], told) for name, told in other.changes.items()):
            return None
        both = {**self.changes, **other.changes}
        if len(both) in (len(self.changes), len(other.changes)):
            return None
        return Remedy(f"{self.name} + {other.name}", f"{self.why} {other.why}", both, self.moves, self.symptom)


def same(one: Any, other: Any) -> bool:
    """Tell whether two changes are equal; starts may hold arrays."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return bool(one == other)
