"""Sample data: five well-known tables that ship as compressed CSV files, and random points in the plane.

`examples/samples/SOURCES.md` says where the tables come from.
"""

from __future__ import annotations

import gzip
import importlib.resources
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from downslope._errors import DataError, nearest

_POINTS = 150  # of each class
_SEED = 1


@dataclass(frozen=True)
class PlanarSample:
    """A set of points in the plane.

    Args:
        draw: from a generator to the points of each class, each of shape (points, 2).
        classes: names of the classes.
        sentence: a description.
    """

    draw: Callable[[np.random.Generator], tuple[np.ndarray, ...]]
    classes: tuple[str, ...]
    sentence: str

    def columns(self) -> dict[str, np.ndarray]:
        """Return the points as columns x, y and class, with the classes in turn."""
        drawn = self.draw(np.random.default_rng(_SEED))
        points = np.stack(drawn, axis=1).reshape(-1, 2)
        names = np.array(self.classes, dtype=object)
        return {"x": points[:, 0], "y": points[:, 1], "class": np.tile(names, len(drawn[0]))}


def _around(centre: np.ndarray, spread: float, generator: np.random.Generator) -> np.ndarray:
    """Return points with normally distributed distances from their centres, shape (points, 2)."""
    return centre + generator.normal(0, spread, (_POINTS, 2))


def _on_circle(radius: np.ndarray | float, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _circles(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    return tuple(
        _around(_on_circle(radius, generator.uniform(0, 2 * np.pi, _POINTS)), 0.08, generator) for radius in (0.4, 1.0)
    )


def _moons(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    above, below = generator.uniform(0, np.pi, (2, _POINTS))
    upper, lower = _on_circle(1.0, above), np.array([1.0, 0.5]) - _on_circle(1.0, below)
    return _around(upper, 0.1, generator), _around(lower, 0.1, generator)


def _spirals(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    along = np.sqrt(generator.uniform(0.02, 1, (2, _POINTS)))  # as dense outside as inside
    return tuple(
        _around(_on_circle(share, 3 * np.pi * share + turn), 0.02, generator)
        for share, turn in zip(along, (0, np.pi), strict=True)
    )


def _blobs(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    # A third of a turn apart, the first at the top.
    centres = _on_circle(1.0, np.array([0.5, 7 / 6, 11 / 6]) * np.pi)
    return tuple(_around(centre, 0.3, generator) for centre in centres)


def _xor(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    first = generator.choice([-1.0, 1.0], (2, _POINTS))
    # A gap around the axes keeps the classes apart.
    away = generator.uniform(0.1, 1, (2, 2, _POINTS))
    return tuple(
        np.stack([sign * far[0], turn * sign * far[1]], axis=1)
        for sign, far, turn in zip(first, away, (1, -1), strict=True)
    )


PLANAR = {
    "circles": PlanarSample(_circles, ("inner", "outer"), "300 points on two circles about one centre"),
    "moons": PlanarSample(_moons, ("upper", "lower"), "300 points on two half circles that reach into each other"),
    "spirals": PlanarSample(_spirals, ("first", "second"), "300 points on two spirals that wind about each other"),
    "blobs": PlanarSample(_blobs, ("up", "left", "right"), "450 points about three centres"),
    "xor": PlanarSample(_xor, ("same", "different"), "300 points, by whether their coordinates have the same sign"),
}


SampleName = Literal[
    "blobs", "breast cancer", "circles", "diabetes", "digits", "iris", "moons", "spirals", "wine", "xor"
]


@dataclass(frozen=True, eq=False)
class Sample:
    """Sample data.

    Args:
        name: the name of the sample.
        data: a mapping of columns, or a pair of images and a mapping to their classes.
        target: the column to predict; None for a pair.
        sentence: a description for the user.
    """

    name: str
    data: Any
    target: str | None
    sentence: str

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}"


@dataclass(frozen=True)
class _SampleFile:
    """The file of a sample, and the names of its columns.

    Args:
        file: a compressed CSV file in `examples/samples/`: columns of numbers without a header, the target last.
        columns: names of the inputs; none for images.
        target: name of the target.
        classes: names of the classes; none for numbers.
        sentence: a description.
    """

    file: str
    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    sentence: str


def sample(name: str) -> Sample:
    """Return a sample.

    Args:
        name: "iris", "wine", "breast cancer", "diabetes" (tables), "digits" (images), or "blobs", "circles", "moons",
            "spirals", "xor" (points in the plane).

    Raises:
        DataError: for a name that is not known.

    >>> print(sample("iris"))
    iris: 150 irises of three species, measured in cm (Fisher, 1936)
    """
    plain = name.strip().lower().replace("_", " ").replace("-", " ")
    if plain in PLANAR:
        points = PLANAR[plain]
        return Sample(plain, points.columns(), "class", points.sentence)
    if plain not in _SOURCES:
        close = nearest(plain, sample_names())
        raise DataError(
            f"there is no sample {name!r}; there are {', '.join(sample_names())}",
            hint=f"did you mean {close!r}?" if close else "or give the path of a table: .csv, .xlsx, .parquet, …",
        )
    source = _SOURCES[plain]
    table = _numbers(source)
    inputs, target = table[:, :-1], table[:, -1]
    if not source.columns:
        side = round(inputs.shape[1] ** 0.5)
        pair = inputs.reshape(-1, side, side).astype(np.float32), {source.target: target}
        return Sample(plain, pair, None, source.sentence)
    columns = dict(zip(source.columns, inputs.T, strict=True))
    classes = np.array(source.classes, dtype=object)
    columns[source.target] = classes[target.astype(int)] if source.classes else target
    return Sample(plain, columns, source.target, source.sentence)


def sample_names() -> tuple[SampleName, ...]:
    """Return the names of the samples.

    >>> sample_names()
    ('blobs', 'breast cancer', 'circles', 'diabetes', 'digits', 'iris', 'moons', 'spirals', 'wine', 'xor')
    """
    return get_args(SampleName)


def _numbers(source: _SampleFile) -> np.ndarray:
    """Return the inputs and, in the last column, the target; shape (rows, columns)."""
    file = importlib.resources.files("downslope") / "examples" / "samples" / source.file
    return np.loadtxt(io.BytesIO(gzip.decompress(file.read_bytes())), delimiter=",")


_NUCLEUS = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)

_SOURCES = {
    "iris": _SampleFile(
        "iris.csv.gz",
        ("sepal length", "sepal width", "petal length", "petal width"),
        "species",
        ("setosa", "versicolor", "virginica"),
        "150 irises of three species, measured in cm (Fisher, 1936)",
    ),
    "wine": _SampleFile(
        "wine.csv.gz",
        (
            "alcohol",
            "malic acid",
            "ash",
            "alcalinity of ash",
            "magnesium",
            "total phenols",
            "flavanoids",
            "nonflavanoid phenols",
            "proanthocyanins",
            "colour intensity",
            "hue",
            "OD280/OD315",
            "proline",
        ),
        "cultivar",
        ("first", "second", "third"),
        "178 wines of three cultivars, by thirteen chemical measurements (Forina, 1988)",
    ),
    "breast cancer": _SampleFile(
        "breast_cancer.csv.gz",
        tuple(f"{which} {what}" for which in ("mean", "standard error of", "worst") for what in _NUCLEUS),
        "diagnosis",
        ("malignant", "benign"),
        "569 tumours, benign or malignant, by thirty measurements of their cells (Wolberg and Street, 1995)",
    ),
    "diabetes": _SampleFile(
        "diabetes.csv.gz",
        (
            "age",
            "sex",
            "body mass index",
            "blood pressure",
            "cholesterol",
            "LDL",
            "HDL",
            "cholesterol ratio",
            "log triglycerides",
            "glucose",
        ),
        "progression",
        (),
        "442 patients and the progression of their diabetes a year later (Efron, Hastie and others, 2004)",
    ),
    "digits": _SampleFile(
        "digits.csv.gz",
        (),
        "digit",
        (),
        "1797 handwritten digits of 8 × 8 pixels, each from 0 to 16 (Alpaydin and Kaynak, 1998)",
    ),
}
