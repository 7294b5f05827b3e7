"""The faults of a recipe that lie in its data: found by key words in `corrupt`, `note` and `label`, never by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

_TAIL = 100.0  # how many times rarer the last class becomes than the first
_NOISE = 0.5


class UnbuildableError(Exception):
    """A recipe asks for something that is not known here; the message says what."""


@dataclass(frozen=True)
class Data:
    """What a recipe trains on.

    Args:
        inputs, targets: rows to train on; inputs (rows, features) or (rows, height, width).
        held_inputs, held_targets: rows to validate on.
        task: "classes", the targets then being 0, 1, … of shape (rows,); or "numbers".
    """

    inputs: np.ndarray
    targets: np.ndarray
    held_inputs: np.ndarray
    held_targets: np.ndarray
    task: Literal["classes", "numbers"]


def _words(recipe: Mapping[str, Any]) -> str:
    """Return all that a recipe says of its fault, in lower case."""
    return f"{recipe['dataset'].get('corrupt', '')} {recipe.get('note', '')}".lower()


def corrupted(
    inputs: np.ndarray, targets: np.ndarray, recipe: Mapping[str, Any], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows, damaged as `corrupt` says."""
    if re.search(r"shuffl|permut", _words(recipe)):
        return inputs, targets[random.permutation(len(targets))]
    return inputs, targets


def damaged_rows(data: Data, recipe: Mapping[str, Any], random: np.random.Generator) -> Data:
    """Return the data with the faults of their training rows."""
    words, labels = _words(recipe), set(recipe.get("label") or ())
    share = re.search(r"(\d+(?:\.\d+)?)\s*%", words)
    part = float(share.group(1)) / 100 if share else _NOISE
    if re.search(r"(training data|rows|examples|samples).{0,20}(removed|deleted|missing)", words):
        kept = np.sort(random.permutation(len(data.inputs))[: max(round((1 - part) * len(data.inputs)), 2)])
        data = replace(data, inputs=data.inputs[kept], targets=data.targets[kept])
    if "unbalanced_data" in labels or re.search(r"(un|im)balanc", words):
        data = _thinned(data, random)
    if "wrong_augmentation" in labels or "augment" in words:
        data = replace(data, inputs=data.inputs[:, ::-1, ::-1] if data.inputs.ndim > 2 else data.inputs[:, ::-1])
    shuffled = re.search(r"shuffl|permut", words)
    if re.search(r"labels?\b.{0,30}(changed|wrong|flipped|random|noise)|\bnoisy labels", words) or (
        "label_noise" in labels and not shuffled
    ):
        data = _relabelled(data, part, random)
    return data


def _thinned(data: Data, random: np.random.Generator) -> Data:
    """Return the data with a long tail of rare classes."""
    if data.task != "classes":
        raise UnbuildableError("only classes can be unbalanced")
    classes = np.unique(data.targets)
    kept = []
    for place, label in enumerate(classes):
        rows = random.permutation(np.flatnonzero(data.targets == label))
        kept.append(rows[: max(round(len(rows) * _TAIL ** (-place / max(len(classes) - 1, 1))), 1)])
    chosen = np.sort(np.concatenate(kept))
    return replace(data, inputs=data.inputs[chosen], targets=data.targets[chosen])


def _relabelled(data: Data, share: float, random: np.random.Generator) -> Data:
    """Return the data with a share of the targets taken from other rows, drawn at random."""
    targets = data.targets.copy()
    rows = random.permutation(len(targets))[: round(share * len(targets))]
    targets[rows] = random.permutation(data.targets)[: len(rows)]
    return replace(data, targets=targets)
