"""Data that a recipe describes in words: a four-point XOR, two moons, a sine with noise, ten inputs that sum up.

Key words decide: what makes the data, how many rows ("200 points", "n=500", "11 rows"), how noisy ("noise 0.1"), how
many classes or features. What the words leave open is what the generators of scikit-learn do, at `random_state` 0.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

Rows: TypeAlias = tuple[np.ndarray, np.ndarray]

_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_GATES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "xnor": lambda bits: 1 - bits.sum(axis=1) % 2,
    "xor": lambda bits: bits.sum(axis=1) % 2,
    "exclusive or": lambda bits: bits.sum(axis=1) % 2,
    "parity": lambda bits: bits.sum(axis=1) % 2,
    "nand": lambda bits: 1 - bits.all(axis=1).astype(int),
    "nor": lambda bits: 1 - bits.any(axis=1).astype(int),
    "and": lambda bits: bits.all(axis=1).astype(int),
    "or": lambda bits: bits.any(axis=1).astype(int),
    "majority": lambda bits: (bits.sum(axis=1) * 2 > bits.shape[1]).astype(int),
}
_FEW = 32  # rows: with more, a gate is a cloud of points and no table


def described(name: str, make: str) -> Rows | None:
    """Return the inputs and targets that words describe; None where no key word is known.

    >>> described("xor", "the four corners of the unit square")[1].tolist()
    [0, 1, 1, 0]
    >>> described("toy", "three-bit parity, inputs -1/+1")[0].min()
    -1.0
    """
    words = _in_digits(f"{name} {make}".lower())
    for key, make_rows in _MAKERS.items():
        if re.search(key, words):
            return make_rows(words)
    return None


def _in_digits(words: str) -> str:
    """Return words with numbers as digits."""
    return re.sub(r"\b(" + "|".join(_NUMBERS) + r")\b", lambda word: str(_NUMBERS[word[1]]), words)


def _rows(words: str, usual: int) -> int:
    """Return how many rows there are."""
    found = re.search(
        r"(\d[\d,_]*)\s*(?:(?:training|random|noisy|hand-?written) )*(?:points?|pts|samples|rows|examples|instances)\b",
        words,
    ) or re.search(r"\bn(?:_samples)?\s*=\s*(\d[\d,_]*)", words)
    return int(re.sub(r"[,_]", "", found.group(1))) if found else usual


def _after(words: str, keys: str, usual: float) -> float:
    """Return the number behind a key word."""
    found = re.search(rf"\b(?:{keys})\s*(?:=|:|of|level|std)?\s*(\d*\.?\d+)", words)
    return float(found.group(1)) if found else usual


def _before(words: str, keys: str, usual: int) -> int:
    """Return the whole number before a key word."""
    found = re.search(rf"(\d+)[-\s]*(?:dimensional |gaussian |input |output )*(?:{keys})", words)
    return int(found.group(1)) if found else usual


def _arrays(inputs: Any, targets: Any) -> Rows:
    return np.asarray(inputs, float), np.asarray(targets)


def _gate(words: str) -> Rows:
    """Return the table of a logical gate, or a cloud of points around its corners, each with its corner's class."""
    key = next(key for key in _GATES if re.search(rf"\b{key}\b", words))
    bits = _before(words, r"bits?\b|inputs?\b|variables\b|d\b", 2)
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=bits)))
    classes = _GATES[key](corners.astype(int))
    if re.search(r"-1\s*(?:/|,|and|or|to)\s*\+?1|±\s*1|\+/-\s*1|bipolar", words):
        corners = 2 * corners - 1
    rows = _rows(words, len(corners))
    if rows <= max(_FEW, len(corners)):
        chosen = np.arange(max(rows, len(corners))) % len(corners)
        return corners[chosen], classes[chosen]
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(corners), rows)
    return corners[chosen] + random.normal(0, _after(words, "noise|std|sigma", 0.1), (rows, bits)), classes[chosen]


def _moons(words: str) -> Rows:
    from sklearn.datasets import make_moons

    return _arrays(*make_moons(_rows(words, 100), noise=_after(words, "noise", 0.1), random_state=0))


def _circles(words: str) -> Rows:
    from sklearn.datasets import make_circles

    noise, factor = _after(words, "noise", 0.05), _after(words, "factor", 0.5)
    return _arrays(*make_circles(_rows(words, 100), noise=noise, factor=factor, random_state=0))


def _blobs(words: str) -> Rows:
    from sklearn.datasets import make_blobs

    centers = _before(words, r"classes|clusters|cent(?:er|re)s|blobs|clouds|gaussians", 3)
    features = _before(words, r"features|dimensions|d\b", 2)
    deviation = _after(words, "std|cluster_std|deviation|noise", 1.0)
    return _arrays(*make_blobs(_rows(words, 300), features, centers=centers, cluster_std=deviation, random_state=0)[:2])


def _spirals(words: str) -> Rows:
    """Return two interleaved spirals, or as many as there are classes."""
    arms, rows, random = _before(words, r"spirals?|arms|classes", 2), _rows(words, 200), np.random.default_rng(0)
    each = max(rows // arms, 2) if not re.search(r"each|per (?:class|spiral|arm)", words) else rows
    turn = np.sqrt(np.linspace(0.02, 1, each)) * 3 * np.pi
    points = []
    for arm in range(arms):
        angle = turn + 2 * np.pi * arm / arms
        points.append(np.column_stack([turn * np.cos(angle), turn * np.sin(angle)]) / (3 * np.pi))
    inputs = np.concatenate(points)
    return inputs + random.normal(0, _after(words, "noise", 0.02), inputs.shape), np.repeat(np.arange(arms), each)


def _boxes(words: str) -> Rows:
    """Return points of a square, in two classes by a line across it."""
    random, rows = np.random.default_rng(0), _rows(words, 200)
    inputs = random.uniform(-1, 1, (rows, _before(words, r"features|dimensions|inputs|d\b", 2)))
    return inputs, (inputs.sum(axis=1) > 0).astype(int)


def _sum(words: str) -> Rows:
    """Return inputs and their sum."""
    random, rows = np.random.default_rng(0), _rows(words, 500)
    inputs = random.uniform(-1, 1, (rows, _before(words, r"features|dimensions|inputs|numbers|d\b", 2)))
    return inputs, inputs.sum(axis=1) + random.normal(0, _after(words, "noise", 0.0), rows)


def _product(words: str) -> Rows:
    inputs, _ = _sum(words)
    return inputs, inputs.prod(axis=1)


def _regression(words: str) -> Rows:
    from sklearn.datasets import make_regression

    features, targets = _before(words, r"features|inputs", 10), _before(words, r"targets|outputs", 1)
    made = make_regression(
        _rows(words, 500), features, n_targets=targets, noise=_after(words, "noise", 1.0), random_state=0
    )
    return _arrays(*made[:2])


def _classification(words: str) -> Rows:
    from sklearn.datasets import make_classification

    classes = _before(words, "classes", 2)
    features = max(_before(words, r"features|inputs", 10), 2 * classes)
    made = make_classification(
        _rows(words, 500), features, n_informative=features // 2, n_classes=classes, random_state=0
    )
    return _arrays(*made)


def _identity(words: str) -> Rows:
    """Return unit vectors that are their own targets."""
    size = _before(words, r"inputs|bits|units|one-?hot|d\b", 8)
    return np.eye(size), np.eye(size)


# In the order in which they are asked for: "two concentric circles of points" has no box in it.
_MAKERS: Mapping[str, Callable[[str], Rows]] = {
    r"\b(xnor|xor|exclusive or|parity|nand|nor|majority)\b|\b(and|or)[- ](gate|function|problem|table)": _gate,
    r"\bspirals?\b": _spirals,
    r"\bmoons?\b|half[- ]circles": _moons,
    r"\bcircles\b|\brings\b|concentric": _circles,
    r"\bblobs?\b|\bclusters\b|\bclouds\b|gaussians\b": _blobs,
    r"\bone-?hot\b.*\b(itself|auto)|\bidentity\b|8-3-8": _identity,
    r"linearly separable|half[- ]planes?": _boxes,
    r"\bproduct of\b|\bmultipl(y|ication)": _product,
    r"\bsum of\b|\badding\b|\baddition\b": _sum,
    r"\brandom regression\b|\blinear regression\b|\bregression problem\b": _regression,
    r"\brandom classification\b|\bclassification problem\b": _classification,
}
