"""The noun `Examples`, encoded data for a network, and the verb from data to examples."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypedDict

import numpy as np

from downslope._choices import Choice
from downslope._errors import DataError, SettingError, described
from downslope.networks.data._encoding import Encoding, Reading, encoding_of, reading_of
from downslope.networks.data._target import NUMBERS

Missing = Literal["refuse", "drop", "mean"]
Task = Literal["classes", "numbers"]

_SHARE, _FEW_ROWS = 0.2, 10


class RowChoices(TypedDict, total=False):
    """The choices of how data are read as examples."""

    standardise: Annotated[
        bool,
        Choice(
            True,
            "Whether to scale inputs to mean 0 and standard deviation 1.",
            "rows",
            option="--no-standardise",
            compiles=True,
            typed="Do not scale the inputs.",
        ),
    ]
    scale_targets: Annotated[
        bool,
        Choice(
            True,
            "Whether to scale numeric targets likewise.",
            "rows",
            option="--no-scale-targets",
            compiles=True,
            typed="Do not scale numeric targets.",
        ),
    ]
    missing: Annotated[
        Missing,
        Choice(
            "refuse",
            "How to treat missing cells: refuse them, drop their rows, or fill in the mean.",
            "rows",
            compiles=True,
        ),
    ]
    task: Annotated[
        Task | None,
        Choice(
            None,
            "Whether the target is read as classes or numbers; None decides by its values.",
            "rows",
            compiles=True,
            typed="Read the target as classes or numbers.",
        ),
    ]
    drop: Annotated[
        str | Sequence[str],
        Choice(
            (),
            "Columns to leave out.",
            "rows",
            kind="columns",
            metavar="COLUMNS",
            compiles=True,
            typed="Columns to leave out: id,name.",
        ),
    ]
    table: Annotated[
        Mapping[str, object] | None,
        Choice(
            None,
            'Options for reading a file that override automatic detection: {"decimal": "comma", "sheet": "May"}.',
            "rows",
            kind="units",
            metavar="NAME=VALUE",
            compiles=True,
            typed="An option for reading a file: decimal=comma, sheet=May, missing=-9999, … May be repeated.",
        ),
    ]
    streaming: Annotated[
        bool | None,
        Choice(
            None,
            "Whether to stream the rows of a Parquet file, a row group at a time, so that they need "
            "not fit into memory; None streams files whose numbers need more than a quarter of it.",
            "rows",
            compiles=True,
            typed="Stream the rows of a Parquet file.",
        ),
    ]


@dataclass(frozen=True, eq=False)
class Examples:
    """Encoded inputs and targets for a network.

    Args:
        inputs: float32 (rows, *shape), encoded and standardised.
        targets: float32 (rows, outputs) for numbers; int32 (rows,), the index of each class, for classes.
        encoding: the encoding of inputs, for new rows, and of outputs as predictions.
        notes: sentences on how the data were read.
        positions: positions of the rows in the original data, counted from 0, shape (rows,); None if unknown.
    """

    inputs: np.ndarray
    targets: np.ndarray
    encoding: Encoding
    notes: tuple[str, ...]
    positions: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """The kind of the targets: "numbers", "two classes" or "classes"."""
        return self.encoding.target.kind

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: np.ndarray) -> "Examples":
        """Return some of the rows, by index or by mask."""
        positions = None if self.positions is None else self.positions[rows]
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], positions=positions)

    def split(self, validation: float, seed: int) -> "tuple[Examples, Examples]":
        """Return rows for training and rows for validation, shuffled.

        Means and deviations stay those of all rows; `prepare` measures them on the training rows alone.

        Args:
            validation: the share of the rows for validation, between 0 and 1.
            seed: of the shuffle. Classes are stratified where each has two rows or more.

        Raises:
            SettingError: for a share that is not between 0 and 1.
            DataError: for a single row.
        """
        classes = None if self.kind == NUMBERS else self.targets
        training, held = split_rows(len(self), classes, validation, seed)
        return self.take(training), self.take(held)

    def __str__(self) -> str:
        return "\n".join(self.notes)

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.inputs.shape[1:]))
        return f"<Examples: {len(self)} of {shape} inputs and {self.kind}>"

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)


def examples(
    data: Any,
    target: Any = None,
    *,
    standardise: bool = True,
    scale_targets: bool = True,
    missing: Missing = "refuse",
    task: Task | None = None,
    drop: str | Sequence[str] = (),
    table: Mapping[str, object] | None = None,
) -> Examples:
    """Return data as examples for a network.

    A number becomes one input; a category of n values n inputs of 0 and 1, or one if there are two values. Inputs x
    then become (x − mean) / deviation, each feature by its own mean and deviation, images by those of all their pixels.

    Args:
        data: the path of a file, a frame or a mapping of columns, see `read_table`, with `target`; a pair
            (inputs, targets) of arrays, lists or frames; or the name of a sample, such as "iris" or "digits". An array
            of inputs is (rows,), (rows, features), (rows, height, width) or (rows, height, width, channels).
        target: the column to predict, or several of numbers, separated by commas or in a list; or the targets
            themselves.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do; predictions are scaled back.
        missing: "refuse" raises where a cell is missing, "drop" leaves its row out, "mean" fills in the mean of its
            column, or a category of its own.
        task: "classes" or "numbers"; None reads text, truth values and few whole numbers as classes.
        drop: columns to leave out.
        table: how a file is read, as `read_table` takes it, where it is not as its cells suggest.

    Raises:
        DataError: for data that cannot be used, naming the row and the column.
        SettingError: for a task, or a way to treat missing cells, that is not known.

    >>> print(examples("iris"))
    iris: 150 irises of three species, measured in cm (Fisher, 1936).
    150 rows of 4 columns: sepal length, sepal width, petal length, petal width.
    species: 3 classes (setosa 50, versicolor 50, virginica 50) → softmax cross-entropy.
    Inputs are scaled to mean 0 and deviation 1, measured on 150 rows.
    """
    for name, choice in (("standardise", standardise), ("scale_targets", scale_targets)):
        if not isinstance(choice, bool):
            raise SettingError(f"{name} is true or false, not {described(choice)}")
    reading = reading_of(data, target, missing, task, drop, table)
    return _encoded(reading, np.arange(reading.rows), standardise, scale_targets)


def prepare(
    data: Any,
    target: Any = None,
    *,
    validation: float | None = None,
    seed: int = 0,
    standardise: bool = True,
    scale_targets: bool = True,
    missing: Missing = "refuse",
    task: Task | None = None,
    drop: str | Sequence[str] = (),
    table: Mapping[str, object] | None = None,
) -> tuple[Examples, Examples | None]:
    """Return examples for training and for validation, the latter encoded by means and deviations of the former.

    Args:
        data: see `examples`, also for arguments not described here.
        target: the column to predict.
        validation: the share of the rows for validation, 0 for none; None for a fifth of ten rows or more.
        seed: of the shuffle. Classes are stratified where each has two rows or more.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do.
        missing: the treatment of missing cells; means to fill in are those of the training rows.
        task: "classes" or "numbers".
        drop: columns to leave out.
        table: how a file is read, as `read_table` takes it.

    Returns:
        The examples for training; and those for validation, or None.

    Raises:
        DataError: for data that cannot be used, naming the row and the column.
        SettingError: for a choice out of range.

    >>> training, validation = prepare("iris", validation=0.2)
    >>> len(training), len(validation)
    (120, 30)
    """
    reading = reading_of(data, target, missing, task, drop, table)
    share = share_of(validation, reading.rows)
    if share == 0:
        training_examples = _encoded(reading, np.arange(reading.rows), standardise, scale_targets)
        few = () if validation is not None else (f"{reading.rows} rows are too few to hold any back for validation.",)
        return replace(training_examples, notes=(*training_examples.notes, *few)), None
    training, held = split_rows(reading.rows, reading.classes, share, seed)
    training_examples = _encoded(reading, training, standardise, scale_targets)
    note = f"{len(training)} rows to train on and {len(held)} to validate, drawn by the seed {seed}."
    training_examples = replace(training_examples, notes=(*training_examples.notes, note))
    return training_examples.take(training), training_examples.take(held)


def share_of(validation: float | None, rows: int) -> float:
    """Return the share of rows for validation: by default a fifth if there are ten or more."""
    return (_SHARE if rows >= _FEW_ROWS else 0) if validation is None else validation


def examples_like(like: Examples, data: Any, target: Any = None, *, missing: Missing = "refuse") -> Examples:
    """Return other data as examples with the encoding of earlier ones.

    Args:
        like: the earlier examples.
        data: see `examples`.
        target: the column to predict.
        missing: the treatment of missing cells.

    Raises:
        DataError: for data that cannot be used, or a class that the earlier examples do not have.
    """
    wanted = like.encoding.target
    reading = reading_of(data, target, missing, "numbers" if like.kind == NUMBERS else "classes", ())
    inputs = like.encoding.scaled(like.encoding.raw(reading.inputs))
    if like.kind == NUMBERS:
        return Examples(inputs, wanted.scaled(reading.targets.values), like.encoding, reading.notes)
    indices = {label: index for index, label in enumerate(wanted.categories)}
    labels = [reading.targets.categories[index] for index in reading.targets.values]
    unknown = next((label for label in labels if label not in indices), None)
    if unknown is not None:
        raise DataError(f"the class {unknown!r} is not among those to train on: {', '.join(map(str, indices))}")
    return Examples(inputs, np.array([indices[label] for label in labels], np.int32), like.encoding, reading.notes)


def _encoded(reading: Reading, rows: np.ndarray, standardise: bool, scale_targets: bool) -> Examples:
    """Return all examples, encoded by the means and deviations of some of their rows."""
    encoding, notes = encoding_of(reading, rows, standardise, scale_targets)
    inputs = encoding.scaled(encoding.raw(reading.inputs))
    targets = encoding.target.scaled(reading.targets.values)
    return Examples(inputs, targets, encoding, (*reading.notes, *notes), np.arange(len(inputs)))


def split_rows(rows: int, classes: np.ndarray | None, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of the rows for training and for validation, both shuffled and neither empty.

    Args:
        rows: the number of rows.
        classes: the class of each, shape (rows,); None for numbers.
        validation: the share for validation, between 0 and 1.
        seed: of the shuffle.

    Raises:
        SettingError: for a share that is not between 0 and 1.
        DataError: for a single row.
    """
    if not 0 < validation < 1:
        raise SettingError(f"the share of rows to validate lies between 0 and 1, not at {validation}")
    if rows < 2:
        raise DataError("a single row cannot be split", hint="validation=0 trains on it alone")
    random = np.random.default_rng(seed)
    # One shuffle decides both sets, so that the split depends on the seed and the number of rows alone.
    order = random.permutation(rows)
    # Neither set may be empty, however small the share.
    wanted = min(max(round(validation * rows), 1), rows - 1)
    held = np.zeros(rows, dtype=bool)
    if classes is None or np.min(counts := np.unique(classes, return_counts=True)[1]) < 2:
        held[order[:wanted]] = True
    else:
        # Each class contributes its share, so that a rare class is validated as well.
        for label, share in zip(np.unique(classes), _shares(counts, wanted), strict=True):
            held[order[classes[order] == label][:share]] = True
    return order[~held[order]], order[held[order]]


def _shares(counts: np.ndarray, wanted: int) -> np.ndarray:
    """Return the number of validation rows of each class: in proportion, the largest remainders rounded up."""
    # The method of largest remainders: floors first, then the remaining rows by the size of their remainder.
    exact = counts * wanted / counts.sum()
    shares = np.floor(exact).astype(int)
    for index in np.argsort(shares - exact, kind="stable")[: wanted - shares.sum()]:
        shares[index] += 1
    # At least one row of each class stays for training.
    return np.minimum(shares, counts - 1)
