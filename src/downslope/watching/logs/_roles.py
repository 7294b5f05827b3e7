"""The roles of a log's columns: the loss, its evaluations, the rate, the gradient norm, the scores.

A log that has no total has parts, whose sum stands for it; one without a loss has errors, of which the likeliest stands
for it. What is chosen can be said instead, by `names`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from downslope._errors import SettingError, described, nearest
from downslope.tables import listed
from downslope.watching.logs._layouts import of_run
from downslope.watching.logs._log import Log, refusal
from downslope.watching.logs._names import ColumnName, error_rank, is_epoch, is_step, parse

_OF_STEPS = ("step", "loss", "learning_rate", "gradient_norm")
_EPOCH_MEANS = "training_epoch_loss"
_MOST_SCORES = 8  # columns of scores that are kept
_SHOWN = 3  # runs that a message names


@dataclass
class Roles:
    """The columns of a log by what they are.

    Args:
        loss: the columns whose sum is the loss: one, or the parts of a loss without a total.
        parts: the columns of the parts of the loss on the rows trained on, by name.
        evaluations: the columns whose sum is an evaluation, by its name: `validation_loss`, `validation_g0_loss`, ….
        sets: the names of the evaluations of several sets, where none of them is the main one.
        scores: the columns of scores by name: `validation_accuracy`, ….
        rate: the column of the learning rate.
        norm: the column of the gradient's norm.
        step: the column that counts steps, where it was said.
    """

    loss: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    scores: dict[str, str] = field(default_factory=dict)
    rate: str | None = None
    norm: str | None = None
    step: str | None = None


def roles_of(log: Log, name: str, names: Mapping[str, str] | None) -> Roles:
    """Return the columns of a log by what they are.

    Raises:
        SettingError: for a name that the log does not have.
        DataError: for a log without a loss.
    """
    if log.runs and isinstance(names, Mapping) and "loss" in names:
        log = of_run(log, str(names["loss"]))
    elif log.runs:
        column = next((column for column in log.columns if column.startswith(f"{log.runs[0]} - ")), "")
        raise refusal(
            name,
            f"holds columns of {len(log.runs)} runs: {listed(log.runs, most=_SHOWN)}",
            f'say which is the loss: ds.read_log(place, names={{"loss": "{column}"}})',
        )
    words = {column: parse(column) for column in log.columns if not is_step(column) and not is_epoch(column)}
    roles = Roles()
    kind = _training(log, words, roles)
    _validation(log, words, roles, kind)
    _others(log, words, roles)
    _as_said(log, roles, names)
    if not roles.loss:
        # A log of evaluations alone shows a course as well.
        main = roles.evaluations.get("validation_loss")
        lone = _named_by_file(log, name)
        if main is None and lone is not None:
            main = (lone,)
        if main is None:
            raise refusal(
                name,
                "holds no loss" + (f": its columns are {', '.join(list(log.columns)[:12])}" if log.columns else ""),
                'say which it is: ds.read_log(place, names={"loss": COLUMN})',
            )
        roles.loss = main
    return roles


def _named_by_file(log: Log, name: str) -> str | None:
    """Return the column of values whose name is that of the file, as TensorBoard and Neptune export one; else None.

    `run_1-tag-train_loss.csv` has columns of times, steps and values.
    """
    values = [column for column in log.columns if column.lower() == "value"]
    stem = name.rpartition(".")[0]
    measured = parse(stem.rpartition("-tag-")[2]).quantity in ("loss", "error")
    return values[0] if measured and len(values) == 1 else None


def _rows(log: Log, columns: Iterable[str]) -> int:
    return min(len(log.columns[column].rows) for column in columns)


def _training(log: Log, words: Mapping[str, ColumnName], roles: Roles) -> tuple[str, str]:
    """Choose the loss of the rows trained on; return its quantity and word, which its evaluations share."""
    ours = {column: said for column, said in words.items() if said.rows in ("training", "")}
    losses = {column: said for column, said in ours.items() if said.quantity == "loss"}
    if not losses:
        errors = sorted(
            (column for column, said in ours.items() if said.quantity == "error" and not said.part),
            key=lambda column: (error_rank(ours[column].word), -_rows(log, [column])),
        )
        if errors:
            word = ours[errors[0]].word
            losses = {column: said for column, said in ours.items() if said.word == word and not said.part}
    if not losses:
        losses = {column: said for column, said in ours.items() if said.rows and not said.quantity and not said.part}
    if not losses:
        return "loss", "loss"
    totals = [column for column, said in losses.items() if not said.part]
    if totals:
        # The finest cadence is the course; of two of one cadence, the one that says that it is of training.
        totals.sort(
            key=lambda column: (
                losses[column].word not in ("loss", ""),
                losses[column].per == "epoch",
                -_rows(log, [column]),
                losses[column].rows != "training",
            )
        )
        finest = max(totals, key=lambda column: _rows(log, [column]))
        first = finest if _rows(log, [finest]) > 2 * _rows(log, totals[:1]) else totals[0]
        roles.loss = (first,)
        means = [column for column in totals if 2 * _rows(log, [column]) <= _rows(log, [first])]
        if means:
            roles.evaluations[_EPOCH_MEANS] = (max(means, key=lambda column: _rows(log, [column])),)
    parts = _parts(log, {column: said for column, said in losses.items() if said.part})
    if not totals:
        roles.loss = tuple(parts.values())
    roles.parts = parts if len(parts) > 1 else {}
    said = losses[roles.loss[0]]
    return said.quantity, said.word


def _parts(log: Log, losses: Mapping[str, ColumnName]) -> dict[str, str]:
    """Return the parts of a loss that are measured together, by name."""
    if not losses:
        return {}
    most = max(_rows(log, [column]) for column in losses)
    by_name: dict[str, str] = {}
    for column, said in losses.items():
        if _rows(log, [column]) == most:
            by_name.setdefault(said.part, column)
    return by_name


def _validation(log: Log, words: Mapping[str, ColumnName], roles: Roles, kind: tuple[str, str]) -> None:
    """Choose the evaluations of the loss on rows held back."""
    quantity, word = kind
    held: dict[tuple[str, str], str] = {}
    for column, said in words.items():
        if said.rows not in ("validation", "test") or said.quantity != quantity:
            continue
        if quantity != "loss" and said.word != word:
            continue
        key = (said.rows, said.part)
        if key not in held or _rows(log, [column]) > _rows(log, [held[key]]):
            held[key] = column
    if not held:
        return
    mains = [held[key] for key in (("validation", ""), ("test", "")) if key in held]
    parts = {part: column for (rows, part), column in held.items() if part in roles.parts and rows == "validation"}
    sets = {
        f"validation_{part or rows}_loss": column
        for (rows, part), column in held.items()
        if column not in mains[:1] and part not in roles.parts and (part or rows != "validation")
    }
    if mains:
        roles.evaluations["validation_loss"] = (mains[0],)
    elif parts and set(parts) == set(roles.parts):
        roles.evaluations["validation_loss"] = tuple(parts.values())
    elif len(sets) == 1:
        roles.evaluations["validation_loss"] = (next(iter(sets.values())),)
        sets = {}
    elif sets:
        roles.sets = tuple(sets)
    elif parts:
        roles.evaluations["validation_loss"] = tuple(parts.values())
    roles.evaluations |= {key: (column,) for key, column in sets.items()}
    # One of several parts may rise though their sum falls.
    if len(parts) > 1:
        roles.evaluations |= {f"validation_{part}_loss": (column,) for part, column in parts.items()}


def _others(log: Log, words: Mapping[str, ColumnName], roles: Roles) -> None:
    """Choose rate, norm and scores."""
    rates = [column for column, said in words.items() if said.quantity == "learning_rate"]
    roles.rate = max(rates, key=lambda column: _rows(log, [column]), default=None)
    norms = [column for column, said in words.items() if said.quantity == "gradient_norm"]
    # Of norms by layer and in all, the one in all has the fewest words.
    roles.norm = min(
        norms, key=lambda column: (-_rows(log, [column]), len(words[column].part.replace("total", ""))), default=None
    )
    taken = {column for columns in roles.evaluations.values() for column in columns} | set(roles.loss)
    for column, said in words.items():
        if column in taken or said.part or said.quantity not in ("accuracy", "r2", "score", "error"):
            continue
        rows = {"": "training", "test": "validation"}.get(said.rows, said.rows)
        if said.quantity in ("score", "error") and rows == "training":
            continue
        what = said.quantity if said.quantity in ("accuracy", "r2") else said.word
        if len(roles.scores) < _MOST_SCORES:
            roles.scores.setdefault(f"{rows}_{what}", column)


def _as_said(log: Log, roles: Roles, names: Mapping[str, str] | None) -> None:
    """Take the columns that were said to be something."""
    if names is None:
        return
    if not isinstance(names, Mapping):
        raise SettingError(
            f"names must be a mapping from roles to columns, not {described(names)}", hint='names={"loss": "my loss"}'
        )
    for role, column in names.items():
        if column not in log.columns:
            close = nearest(str(column), log.columns)
            known = ", ".join(list(log.columns)[:12])
            raise SettingError(
                f"the log has no column {column!r}",
                hint=f"did you mean {close!r}?" if close else f"its columns are {known}",
            )
        if role not in _OF_STEPS and not role.startswith(("validation_", "training_")):
            raise SettingError(
                f"{role!r} is not a role of a column",
                hint=f"it is {', '.join(_OF_STEPS)}, or an evaluation such as validation_loss or training_accuracy",
            )
        if role == "loss":
            roles.loss, roles.parts = (column,), {}
            roles.evaluations.pop(_EPOCH_MEANS, None)
        elif role == "step":
            roles.step = column
        elif role == "learning_rate":
            roles.rate = column
        elif role == "gradient_norm":
            roles.norm = column
        elif role.endswith("_loss"):
            roles.evaluations[role] = (column,)
        else:
            roles.scores[role] = column
