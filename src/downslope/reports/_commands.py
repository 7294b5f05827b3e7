"""A run or a call as the command to type: the one writer of option text.

What `as_command` writes, the command line reads back to the same value (`cli/_options`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._choices import Choice, choices, refuse_unknown
from downslope._errors import SettingError
from downslope.descent import Plan, Record, descend, settings_of_own
from downslope.methods import Method, MethodSpec, Schedule, is_known

if TYPE_CHECKING:
    from downslope.networks import Replicates, Setup, Training
    from downslope.remedies import Prescription

# The positional arguments of each verb: which are typed plainly, and which as an option.
_POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "descend": ("objective", "start"),
    "sweep": ("objective", "start", "learning_rates"),
    "compare": ("objective", "start", "methods"),
    "multistart": ("objective", "bounds"),
    "search": ("objective", "bounds"),
    "fit": ("equation", "data"),
    "train": ("model", "data", "target"),
    "find_learning_rate": ("run", "start"),
    "prescribe": ("run",),
}
_PLAIN = ("objective", "equation", "run")  # these and, for `fit` and `train`, `data` are typed without an option
_NAMES = {"find_learning_rate": "find-rate"}


class _UntypableError(Exception):
    """A value that cannot be typed."""


def as_command(
    run: Plan | Setup | Training | Replicates | Prescription | str | os.PathLike[str] | Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> str | None:
    """Return the equivalent command; None if a value cannot be typed, such as a function or an array.

    Args:
        run: a plan, a setup, a training, or several with their seeds, a prescription, whose mended run is meant, the
            folder of a saved run, or a verb: `descend`, `sweep`, `compare`, `multistart`, `search`, `fit`, `train`,
            `find_learning_rate`.
        *arguments: of a verb, as it takes them.
        **options: of a verb, as it takes them.

    Raises:
        SettingError: for something that is no run.

    >>> import downslope as ds
    >>> ds.as_command(ds.plan("x²", {"x": 4}, method="momentum", momentum=0.5, learning_rate=0.1))
    "downslope descend 'x²' --start x=4.0 --method momentum --learning-rate 0.1 --steps 100 --set momentum=0.5"
    >>> ds.as_command(ds.fit, "y = a×x", "table.csv", loss="huber")
    "downslope fit 'y = a×x' table.csv --loss huber"
    """
    try:
        return shlex.join(["downslope", *_words(run, arguments, options)])
    except _UntypableError:
        return None


def _words(run: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> list[str]:
    """Return the words of the command."""
    if run is None:
        raise _UntypableError
    if getattr(run, "__name__", None) not in _POSITIONAL and (arguments or options):
        raise SettingError("only a verb takes arguments", hint="for example ds.as_command(ds.descend, 'x²', {'x': 1})")
    if isinstance(run, Plan):
        return _of_plan(run)
    if isinstance(run, str | os.PathLike):
        return ["diagnose", os.fspath(run)]
    if getattr(run, "__name__", None) in _POSITIONAL:
        return _of_call(run, arguments, options)
    # Loaded here, as a report on a descent needs neither.
    from downslope.networks import Replicates, Setup, Training, train
    from downslope.remedies import Prescription

    if isinstance(run, Setup):
        return _of_call(train, (run.model, run.data, run.target), run.explicit_choices)
    if isinstance(run, Replicates):
        setup, seeds = run.setup, {"seeds": run.seeds_argument}
        return _of_call(train, (setup.model, setup.data, setup.target), {**setup.explicit_choices, **seeds})
    if isinstance(run, Training | Prescription):
        return _words(run.setup if isinstance(run, Training) else run.mended, (), {})
    raise SettingError(
        f"a command is of a plan, a setup, a training or a verb, not of {type(run).__name__}",
        hint="for example ds.as_command(ds.plan('x²', {'x': 1}))",
    )


def _of_plan(plan: Plan) -> list[str]:
    """Return the words of a descent on a formula."""
    if plan.objective.formula is None or plan.batches is not None:
        raise _UntypableError
    return _of_call(descend, (plan.objective.read_as, plan.start), plan.explicit_choices)


def _of_call(verb: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> list[str]:
    """Return the words of a call: what is typed plainly first, then its options in the order of the schema."""
    name, known = verb.__name__, choices(verb)
    if len(arguments) > len(_POSITIONAL[name]):
        raise SettingError(f"{name} takes {len(_POSITIONAL[name])} arguments by position, not {len(arguments)}")
    by_name = {argument: options[argument] for argument in _POSITIONAL[name] if argument in options}
    passed = {**by_name, **dict(zip(_POSITIONAL[name], arguments, strict=False))}
    options = {option: value for option, value in options.items() if option not in by_name}
    refuse_unknown(options, (*_POSITIONAL[name], *known), settings_of_own(options))
    # Layers and models are objects: the command line builds a network from its choices alone.
    if name == "train" and passed.pop("model", None) is not None:
        raise _UntypableError
    if _POSITIONAL[name][0] not in passed and name != "train":
        raise SettingError(f"{name} needs its {_POSITIONAL[name][0]}", hint=f"pass it behind ds.{name}")
    of_file = ("data",) if name in ("fit", "train") else ()
    plain = [argument for argument in _POSITIONAL[name] if argument in passed and argument in (*_PLAIN, *of_file)]
    texts = [_text(passed[argument]) for argument in plain]
    words = []
    for argument in _POSITIONAL[name]:
        if argument not in plain and passed.get(argument) is not None:
            words += _argument(argument, passed[argument])
    choices_by_name = {**_parts_of(passed.get(_POSITIONAL[name][0])), **_by_name(options)}
    # Names that the schema lacks are settings of a method of the caller's own; they come last.
    for option in [*known, *(option for option in choices_by_name if option not in known)]:
        if option in choices_by_name:
            words += option_words(known.get(option) or Choice(None, "", "method", name=option), choices_by_name[option])
    command = _NAMES.get(name, name)
    # "-x²" would be read as an option, unless it stands behind "--".
    if any(text.startswith("-") for text in texts):
        return [command, *words, "--", *texts]
    return [command, *texts, *words]


def _parts_of(source: Any) -> dict[str, Any]:
    """Return the choices that are part of a formula or an objective: its data, how they are read, and units."""
    units, file, table = (getattr(source, name, None) for name in ("units", "file", "table"))
    parts = {"units": dict(units) if units else None, "data": file, "table": dict(table) if table else None}
    return {name: part for name, part in parts.items() if part}


def _by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with methods and schedules as their names and settings."""
    named: dict[str, Any] = {}
    for option, value in options.items():
        named |= {option: value.name, **value.settings} if _is_named(value) else {option: value}
    return named


def _is_named(value: Any) -> bool:
    """Tell whether a method or schedule is one that a name and settings describe."""
    if isinstance(value, Method):
        return value.transformation is None and is_known(value.spec)
    return isinstance(value, Schedule) and value.function is None


def _argument(name: str, value: Any) -> list[str]:
    """Return a positional argument of a verb as the option that it is on the command line."""
    if name == "methods":
        names = [value] if isinstance(value, str) else list(value)
        return [word for method in names for word in ("--method", _text(method))]
    if name == "learning_rates":
        return ["--learning-rates", ",".join(_number(rate) for rate in value)]
    option = f"--{name.replace('_', '-')}"
    if name == "bounds":
        return [option, _ranges(value)]
    return [option, _point(value) if name == "start" else _listed(value)]


def option_words(choice: Choice, value: Any) -> list[str]:
    """Return a choice as it is typed: an option and its value; nothing for a default.

    Raises:
        _UntypableError: for a value that cannot be typed.
    """
    option = choice.option or f"--{choice.name.replace('_', '-')}"
    if value is None and choice.default is None:
        return []
    if choice.is_setting:
        return ["--set", f"{choice.name}={_number(value)}"]
    if choice.kind == "batch" and value is None:
        return [option, "all"]
    if value is None or choice.option == "" or choice.kind == "object":
        if value == choice.default:
            return []
        raise _UntypableError
    if choice.kind == "truth":
        if choice.default is None:
            return [option if value else f"--no-{option[2:]}"]
        return [option] if value != choice.default else []
    if choice.kind == "texts":
        entries = value if isinstance(value, list | tuple) else [value]
        return [word for entry in entries for word in (option, str(entry))]
    if choice.kind == "units":
        return [word for name, text in value.items() for word in (option, f"{name}={text}")]
    return [option, _value(choice, value)]


def _value(choice: Choice, value: Any) -> str:
    """Return the value of an option as text."""
    if isinstance(value, Record):
        if value != Record(value.every):
            raise _UntypableError
        return _number(value.every)
    if choice.kind in ("whole", "number", "rate"):
        return _number(value)
    if choice.kind == "batch":
        return _number(value)
    if choice.kind == "sizes":
        return ",".join(map(_number, value)) or "none" if isinstance(value, Sequence) else _number(value)
    if choice.kind in ("share or file", "column or number"):
        return _number(value) if isinstance(value, int | float | np.number) else _name_of_no_number(value)
    if choice.kind == "point":
        return _point(value)
    if choice.kind == "ranges":
        return _ranges(value)
    if choice.kind == "deviations":
        parts = value if isinstance(value, Mapping) else {"": value}
        texts = {
            n: _number(v) if isinstance(v, int | float | np.number) else _name_of_no_number(v) for n, v in parts.items()
        }
        return ",".join(f"{name}={text}" if name else text for name, text in texts.items())
    if choice.kind == "weights" and not isinstance(value, str):
        if isinstance(value, Mapping):
            return ",".join(f"{_label(name)}={_number(weight)}" for name, weight in value.items())
        return ",".join(map(_number, value))
    if choice.kind == "pairs" and isinstance(value, Mapping):
        return ",".join(f"{name}={_constant(part)}" for name, part in _by_name(value).items())
    return _listed(value)


def _label(value: Any) -> str:
    """Return the label of a class as it is typed before a weight."""
    text = str(value)
    if not text or "=" in text or "," in text:
        raise _UntypableError
    return text


def _constant(value: Any) -> str:
    """Return a value of a choice within a choice."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return _name_of_no_number(value) if isinstance(value, str) else _number(value)


def _text(value: Any) -> str:
    """Return text or a file's path."""
    read_as = getattr(value, "read_as", None)
    # The columns of a table that was no file are in no text; an objective that is a function is no formula.
    if isinstance(read_as, str) and getattr(value, "formula", value) is not None:
        if getattr(value, "data", None) and not getattr(value, "file", None):
            raise _UntypableError
        return read_as
    if isinstance(value, MethodSpec) and is_known(value):
        return value.name
    name = value.name if isinstance(value, Method) and not value.settings and is_known(value.spec) else value
    if isinstance(name, str | os.PathLike):
        return os.fspath(name)
    raise _UntypableError


def _name_of_no_number(value: Any) -> str:
    """Return text that is read back as text: no number, and no word that stands for a constant."""
    text = _text(value)
    try:
        float(text)
    except ValueError:
        if text.lower() not in ("none", "true", "false"):
            return text
    raise _UntypableError


def _listed(value: Any) -> str:
    """Return text, or several texts with commas between them, where none has a comma of its own."""
    if not isinstance(value, list | tuple):
        return _text(value)
    texts = [_text(part) for part in value]
    if any("," in text or text != text.strip() or not text for text in texts):
        raise _UntypableError
    return ",".join(texts)


def _number(value: Any) -> str:
    """Return a number with as many digits as read back to it."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise _UntypableError
    return str(int(value)) if isinstance(value, int | np.integer) else repr(float(value))


def _point(point: Any) -> str:
    """Return a point of named numbers."""
    if not isinstance(point, Mapping) or not point:
        raise _UntypableError
    return ",".join(f"{name}={_coordinate(value)}" for name, value in point.items())


def _coordinate(value: Any) -> str:
    """Return a coordinate, which is one number."""
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        raise _UntypableError from None


def _ranges(ranges: Any) -> str:
    """Return ranges by name, an open end left out."""
    if not isinstance(ranges, Mapping):
        raise _UntypableError
    return ",".join(f"{name}={_range(ends)}" for name, ends in ranges.items())


def _range(ends: Any) -> str:
    """Return a range, an open end left out."""
    if np.ndim(np.asarray(ends, dtype=object)) != 1 or len(ends) != 2:
        raise _UntypableError
    return "..".join("" if end is None else _coordinate(end) for end in ends)
