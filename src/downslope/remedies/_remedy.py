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
        parts: the remedies that it is made of; none of a single one.
    """

    name: str
    why: str
    changes: Mapping[str, Any]
    moves: str
    symptom: str = ""
    parts: tuple[Remedy, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"

    def with_other(self, other: Remedy) -> Remedy | None:
        """Return both at once; None where they change the same thing to different ends, or one is part of the other."""
        if any(name in self.changes and not same(self.changes[name], told) for name, told in other.changes.items()):
            return None
        both = self.then(other)
        return None if len(both.changes) in (len(self.changes), len(other.changes)) else both

    def then(self, other: Remedy) -> Remedy:
        """Return both at once, the other's changes where they differ; what it replaces whole is named no more."""
        kept = [part for part in self.parts or (self,) if not part.changes.keys() <= other.changes.keys()]
        parts = (*kept, *(other.parts or (other,)))
        return Remedy(
            name=" + ".join(part.name for part in parts),
            why=" ".join(part.why for part in parts),
            changes={**self.changes, **other.changes},
            moves=self.moves if kept else other.moves,
            symptom=self.symptom,
            parts=parts,
        )


def two_digits(value: float) -> float:
    """Return a number with two digits, as a person would type it."""
    return float(f"{value:.2g}")


def same(one: Any, other: Any) -> bool:
    """Tell whether two changes are equal; starts may hold arrays."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return bool(one == other)
