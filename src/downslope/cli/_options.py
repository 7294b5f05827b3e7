"""The options of the commands, built from the schemas of choices; and errors in terms of the command line.

`takes` marks a command that passes choices on to a verb. `signed` gives it the options of that verb's schema when the
command is built, not before, since a schema loads what it describes.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import downslope as ds
from downslope._choices import our_name
from downslope.cli import _values

Command = Callable[..., Any]
FormulaText = Annotated[
    str, typer.Argument(metavar="FORMULA", help='A formula as written in a book: "f(x) = x² - 4x + 5".')
]
At = Annotated[str | None, typer.Option("--at", metavar="POINT", help="The point: x=3,y=1.")]
Start = Annotated[str | None, typer.Option("--start", metavar="POINT", help="The starting point: x=4,y=3, or 4,3.")]
Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Write a picture: .png, .svg, .pdf, .tif or .gif.")
]
Shown = Annotated[str | None, typer.Option("--bounds", metavar="RANGES", help="The ranges to draw: x=-3..3,y=-1..1.")]
Bounds = Annotated[str | None, typer.Option("--bounds", metavar="RANGES", help="The box to search: x=-3..3,y=0..1.")]
Save = Annotated[Path | None, typer.Option("--save", metavar="DIR", help="Save the result in this folder.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write a report into one HTML file.")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]
Evidence = Annotated[bool, typer.Option("--evidence", help="List the numbers behind each finding.")]
Damaged = Annotated[
    Literal["refuse", "keep"],
    typer.Option("--damaged", help="keep reads the intact part of a damaged run; refuse reports the damage."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--names",
        metavar="ROLE=COLUMN",
        help="The role of a column of a log whose name does not show it: loss=my_total. May be repeated.",
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Exit with code 1 if there is a problem.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=NUMBER", help="A setting of the method or schedule: momentum=0.8. May be repeated."
    ),
]

_TYPES: Mapping[str, Any] = {"whole": int | None, "number": float | None, "rate": float | None, "truth": bool}
_ASSIGNED = re.compile(r"\b([a-z_]+)=(?:\"([^\"]*)\"|'([^']*)'|([\w.]+))?")


# --- from a schema to options ---------------------------------------------------------------------------------------


def takes(
    *verbs: str, only: Collection[str] = (), without: Collection[str] = (), **helps: str
) -> Callable[[Command], Command]:
    """Return a decorator for a command that takes choices of verbs as its last parameter, `**choices`.

    Args:
        *verbs: names of functions of `downslope`; where two have a choice of one name, the first counts.
        only: the choices to take; all of them if empty.
        without: choices to leave out.
        **helps: help sentences in place of the schema's, by choice.
    """

    def marked(command: Command) -> Command:
        def known() -> dict[str, ds.Choice]:
            merged = {n: c for verb in reversed(verbs) for n, c in ds.choices(getattr(ds, verb)).items()}
            return {name: merged[name] for name in merged if (not only or name in only) and name not in without}

        command.__known__ = known  # pyright: ignore[reportFunctionMemberAccess]
        command.__helps__ = helps  # pyright: ignore[reportFunctionMemberAccess]
        return command

    return marked


def signed(command: Command) -> Command:
    """Return a command as Typer calls it: with an option for each choice, whose texts it turns into values."""
    if not hasattr(command, "__known__"):
        return command
    known: dict[str, ds.Choice] = command.__known__()  # pyright: ignore[reportFunctionMemberAccess]
    helps: dict[str, str] = command.__helps__  # pyright: ignore[reportFunctionMemberAccess]
    bare = inspect.signature(command, eval_str=True)
    written = [
        parameter for parameter in bare.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    typed = [choice for choice in known.values() if _has_option(choice) and choice.name not in bare.parameters]
    settings = [choice.name for choice in known.values() if choice.is_setting]
    options = [_parameter("settings", Settings, None)] if settings else []
    options = [
        _parameter(choice.name, _annotation(choice, helps.get(choice.name)), _absent(choice)) for choice in typed
    ] + options

    @functools.wraps(command)
    def called(**arguments: Any) -> Any:
        chosen: dict[str, Any] = {}
        for choice in typed:
            text = arguments.pop(choice.name)
            if text is None or (text is False and choice.default is not None) or text == []:
                continue
            chosen[choice.name] = _truth(choice, text) if choice.kind == "truth" else _value(choice, text)
        chosen |= _settings(arguments.pop("settings", None), known)
        with named_as_options(known, [parameter.name for parameter in written if parameter.name == "target"]):
            return command(**arguments, **chosen)

    positional = [parameter for parameter in written if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    outputs = [parameter for parameter in written if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    signature = inspect.Signature([*positional, *options, *outputs])
    called.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    called.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    del called.__wrapped__
    return called


def _has_option(choice: ds.Choice) -> bool:
    """Tell whether a choice can be typed as an option of its own."""
    return not choice.is_setting and choice.option != "" and choice.kind != "object"


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return an option as a parameter."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _absent(choice: ds.Choice) -> Any:
    """Return the value of an option that was not typed."""
    return False if choice.kind == "truth" and choice.default is not None else None


def _truth(choice: ds.Choice, flag: bool) -> bool:
    """Return the value that a flag stands for: the other one than the default, or its own where there is none."""
    return flag if choice.default is None else not choice.default


def _annotation(choice: ds.Choice, help_text: str | None) -> Any:
    """Return the type of an option for Typer, with its names and its help."""
    option = choice.option or as_option(choice.name)
    usual = _usual(choice) if help_text is None else ""
    sentence = (help_text or choice.typed or choice.help) + (f"  [default: {usual}]" if usual else "")
    metavar = choice.metavar or ("NAME" if choice.kind == "name" else None)
    kind = list[str] | None if choice.kind in ("units", "texts") else _TYPES.get(str(choice.kind), str | None)
    if choice.kind == "truth" and choice.default is None:
        kind, option = bool | None, f"{option}/--no-{option[2:]}"
    names = (lambda: list(choice.names)) if choice.names else None
    letters = (choice.letter,) if choice.letter else ()
    return Annotated[
        kind, typer.Option(option, *letters, metavar=metavar, help=sentence, show_default=False, autocompletion=names)
    ]


def _usual(choice: ds.Choice) -> str:
    """Return the default of a choice as it is typed; "" for one that need not be shown."""
    if choice.kind == "truth" or choice.default in (None, (), "auto", "none"):
        return ""
    default = choice.default
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


# --- from text to values --------------------------------------------------------------------------------------------


def _value(choice: ds.Choice, text: Any) -> Any:
    """Return the value that an option's text stands for."""
    option = choice.option or as_option(choice.name)
    if choice.kind == "sizes":
        return _values.sizes(text, option)
    if choice.kind == "batch":
        return _values.batch(text)
    if choice.kind == "devices":
        return _values.devices(text, option)
    if choice.kind in ("share or file", "column or number"):
        return _values.column_or_number(text)
    if choice.kind == "deviations":
        return _values.deviations(text, option)
    if choice.kind == "pairs":
        return _values.beginning(text)
    if choice.kind == "weights":
        return _values.weights(text, option)
    if choice.kind == "point":
        return _values.point(text, option, ())
    if choice.kind == "ranges":
        return _values.open_ranges(text, option)
    if choice.kind == "texts":
        return tuple(text)
    return _values.pairs(text, option) if choice.kind == "units" else text


def _settings(texts: list[str] | None, known: Mapping[str, ds.Choice]) -> dict[str, float]:
    """Return settings such as `momentum=0.8` as numbers.

    Raises:
        SettingError: for one that has an option of its own.
    """
    values = {
        name: _values.finite_number(number, f"--set {name}") for name, number in _values.pairs(texts, "--set").items()
    }
    for name in values:
        if name in known and _has_option(known[name]):
            option = known[name].option or as_option(name)
            raise ds.SettingError(f"--set does not take {name!r}", hint=f"it has an option: {option}")
        if (
            name not in known
            and name != "learning_rate"
            and not any(name in ds.method(method).settings for method in ds.method_names())
        ):
            settings = ", ".join(choice.name for choice in known.values() if choice.is_setting)
            raise ds.SettingError(f"there is no setting {name!r}", hint=f"settings are {settings}")
    return values


def with_marked_formulas(words: Iterable[str], parameters: Iterable[Any]) -> Iterator[str]:
    """Yield the words of a command; one that begins with a minus sign and is no option gets a space in front of it.

    Click takes such words for options, and a space is nothing to a formula. Behind `--` options are read as well, where
    a formula follows.
    """
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    takes_value = {name for option in options if not option.is_flag for name in option.opts}
    short = {name for option in options for name in option.opts if not name.startswith("--")} | {"-h"}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" and rest and rest[0][:1] == "-" and rest[0][:2] != "--":
            continue
        yield f" {word}" if _is_negative(word, short) else word
        if word == "--":
            yield from rest
            return
        if word in takes_value and rest:
            yield rest.pop(0)


def _is_negative(word: str, short: Iterable[str]) -> bool:
    """Tell whether a word is a formula with a minus sign in front of it rather than an option."""
    if len(word) < 2 or word[0] not in "-−" or word[1] == "-":
        return False
    return word[:2] not in short or re.search(r"[^A-Za-z-]", word[1:]) is not None


# --- errors and notes in the words of the command line ----------------------------------------------------------------


def as_option(name: str) -> str:
    """Return a name of Python as the option that it is at the terminal."""
    return "--" + name.replace("_", "-")


def as_typed(text: str, known: Collection[str] | None = None) -> str:
    """Return a sentence with arguments of Python written as options.

    Args:
        text: the sentence.
        known: names of arguments; None for all that look like one.

    >>> as_typed('missing="mean" fills them in')
    '--missing mean fills them in'
    >>> as_typed('resume=True goes on with it')
    '--resume goes on with it'
    """

    def typed(match: re.Match[str]) -> str:
        name, *values = match.groups()
        if known is not None and name not in known:
            return match[0]
        value = next((value for value in values if value is not None), None)
        return as_option(name) if value in (None, "True") else f"{as_option(name)} {shlex.quote(value)}"

    return _ASSIGNED.sub(typed, text)


_ALIKE = 0.75  # of difflib: less alike, the nearest option is no help


def named_here(error: Exception) -> None:
    """Let the error for an option that does not exist say what it is called here: `--lr` is `--learning-rate`."""
    typed, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if not isinstance(typed, str) or context is None or not hasattr(error, "possibilities"):
        return
    known = [option for parameter in context.command.params for option in parameter.opts if option.startswith("--")]
    ours = our_name(typed.lstrip("-"), [option.lstrip("-").replace("-", "_") for option in known])
    alike = difflib.get_close_matches(typed, known, n=1, cutoff=_ALIKE)
    error.possibilities = [as_option(ours)] if ours is not None else alike  # pyright: ignore[reportAttributeAccessIssue]


@contextlib.contextmanager
def named_as_options(known: Mapping[str, ds.Choice], others: Iterable[str] = ()) -> Iterator[None]:
    """Let errors name options where they name arguments of Python.

    Args:
        known: the choices that have options.
        others: names of further arguments that are options of their own name.
    """
    options = {name: as_option(name) for name in others}
    options |= {n: c.option or as_option(n) for n, c in known.items() if _has_option(c) or c.kind == "object"}
    try:
        yield
    except ds.DownslopeError as error:
        for name, option in options.items():
            if "_" not in name:  # an ordinary word: the argument where the sentence begins with it
                error.message = re.sub(rf"^{name}(?= must be )", option, error.message)
            else:
                error.message = re.sub(rf"(?<![-\w]){name}\b", option, error.message)
        error.hint = error.hint and as_typed(error.hint, options)
        raise
