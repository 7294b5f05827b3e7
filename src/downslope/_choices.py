"""The schema of choices: every choice of a descent, a training or a fit, written once.

A choice is the metadata of a key in a TypedDict, beside its type:

    class PlanChoices(TypedDict, total=False):
        steps: Annotated[int, Choice(100, "The most steps to take.", least=0)]

    @door(PlanChoices)
    def plan(objective, start=None, **choices: Unpack[PlanChoices]) -> Plan: ...

Type checkers and editors read the TypedDict. `door` gives the function the signature and the docstring that the schema
describes; `checked` refuses unknown names and values out of range. Command-line options, the lab's controls,
`as_python`, the command to type and the changes that a remedy may make are read from the same record (`choices`).
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import textwrap
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from downslope._errors import SettingError, described, nearest, whole

Kind = Literal[
    "whole",  # a whole number
    "number",
    "rate",  # a number, or a function from step to rate
    "truth",
    "name",  # one of `names`; the noun's own function checks it, as it knows other spellings
    "text",
    "sizes",  # whole numbers: 64,64
    "batch",  # a whole number, or all
    "devices",  # likewise, where all is a word
    "share or file",
    "column or number",
    "deviations",  # a column or number, or several by name: x=s_x,z=0.1
    "pairs",  # choices by name: steps=100,learning_rate=1
    "weights",  # numbers by label, numbers in order, or balanced: no=1,yes=20
    "columns",  # names of columns: id,name
    "point",  # numbers by name: x=4,y=3
    "ranges",  # ranges by name: x=-3..3
    "units",  # text by name, an option each: --unit t=hour
    "texts",  # texts, an option each: --missing -9999
    "file",
    "object",  # anything else; it has no option on the command line
]
Function = TypeVar("Function", bound=Callable[..., Any])

# Compiled programs count steps in 32-bit integers and make random keys from 32 bits.
LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**32 - 1

# Names of other tools for choices that are called otherwise here. Where the meaning of a wrong name is known, the right
# one is suggested: the nearest spelling may mean something else.
_OUR_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lr", "lrate", "rate", "alpha", "eta", "eta0", "step_size", "stepsize"), ("learning_rate",)),
    **dict.fromkeys(
        ("max_iter", "maxiter", "max_iterations", "n_iter", "niter", "iter", "iters", "iterations", "num_steps"),
        ("steps",),
    ),
    **dict.fromkeys(("n_steps", "nsteps", "max_steps", "maxsteps", "max_nfev", "maxfev"), ("steps", "evaluations")),
    **dict.fromkeys(("epochs", "n_epochs", "num_epochs"), ("epochs", "steps")),
    **dict.fromkeys(("optimizer", "optimiser", "optim", "opt", "algorithm", "algo", "solver"), ("method", "methods")),
    **dict.fromkeys(("x0", "p0", "init", "initial", "guess", "initial_guess", "start_point", "from"), ("start",)),
    **dict.fromkeys(("tol", "gtol", "ftol", "xtol", "atol", "rtol", "precision_goal"), ("tolerance",)),
    **dict.fromkeys(("beta", "mu"), ("momentum",)),
    **dict.fromkeys(("wd", "l2", "weight_decay_rate"), ("weight_decay",)),
    **dict.fromkeys(("class_weight", "pos_weight", "sample_weight"), ("class_weights",)),
    **dict.fromkeys(("random_state", "random_seed", "rng", "key"), ("seed",)),
    **dict.fromkeys(("batch_size", "batchsize", "bs"), ("batch", "batches")),
    **dict.fromkeys(("limits", "limit", "range", "ranges", "box", "domain", "xlim"), ("bounds", "within")),
    **dict.fromkeys(("point", "where", "x"), ("at", "start")),
    **dict.fromkeys(("fig", "figure", "image", "png", "picture", "draw"), ("plot",)),
    **dict.fromkeys(("grad_clip", "clip", "max_norm", "clip_grad", "clipnorm", "max_grad_norm"), ("clip_norm",)),
    **dict.fromkeys(("clipvalue", "grad_clip_value"), ("clip_value",)),
    **dict.fromkeys(("scheduler", "lr_scheduler", "decay_schedule"), ("schedule",)),
    **dict.fromkeys(("restarts", "n_starts", "num_starts", "n_restarts", "popsize"), ("starts",)),
    **dict.fromkeys(("max_time", "timeout", "time_limit"), ("seconds",)),
    **dict.fromkeys(("hidden_layer_sizes", "layers", "hidden_layers"), ("hidden",)),
    **dict.fromkeys(("lrs", "rates", "learning_rate_grid"), ("learning_rates",)),
    **dict.fromkeys(("nesterov_momentum",), ("momentum",)),
}


@dataclass(frozen=True)
class Choice:
    """One choice of a descent, a training or a fit.

    Args:
        default: its value if it is not passed.
        help: its description, shared by the command line and the docstring.
        noun: what it belongs to: "descent", "step", "method", "schedule", "network", "rows", "batches", "run", …
        kind: how its value is checked, typed on the command line and shown in the lab; None to follow its type.
        least: the smallest number allowed.
        most: the largest whole number allowed.
        above: a bound that a number must exceed.
        below: a bound that a number must stay under.
        names: the names allowed, for a kind "name".
        compiles: whether another value needs another compiled program.
        in_layers: whether it can also be changed inside a list of layers or a `Network`.
        option: its name on the command line, with dashes; "" for none, None for its own name.
        letter: a short option: "-n".
        metavar: the placeholder of its value in the command's help.
        checks: whether the schema checks the value; False where the noun's own function does.
        typed: a help sentence that replaces `help` on the command line.
        name: its name, filled in from the schema.
        type: its type, filled in from the schema.
    """

    default: Any
    help: str
    noun: str = "descent"
    kind: Kind | None = None
    least: float | None = None
    most: int | None = None
    above: float | None = None
    below: float | None = None
    names: tuple[str, ...] = ()
    compiles: bool = False
    in_layers: bool = False
    option: str | None = None
    letter: str = ""
    metavar: str = ""
    checks: bool = True
    typed: str = ""
    name: str = ""
    type: Any = None

    @property
    def is_setting(self) -> bool:
        """Whether it is a setting of a method or schedule, on which its default depends; its option is `--set`."""
        return self.noun in ("method", "schedule")

    @property
    def _is_name_only(self) -> bool:
        """Whether its type allows names and no objects besides."""
        return all(_literals(part) or part in (str, type(None)) for part in _alternatives(self.type))

    def checked(self, value: Any) -> Any:
        """Return a value of this choice.

        Raises:
            SettingError: for one of another type or out of range.
        """
        if not self.checks or (value is None and (self.default is None or self.is_setting or _takes_none(self.type))):
            return value
        if self.kind == "devices" and isinstance(value, str):
            if value != "all":
                raise SettingError(f'{self.name} is a whole number of at least 1, or "all", not {described(value)}')
            return value
        if self.kind in ("whole", "batch", "devices"):
            return whole(self.name, value, 0 if self.least == 0 else int(self.least or 1), self.most)
        if self.kind == "number" or (self.kind == "rate" and not callable(value)):
            return number(self.name, value, least=self.least, above=self.above, below=self.below)
        if self.kind == "name" and self._is_name_only and not isinstance(value, str):
            raise SettingError(f"{self.name} is a name, not {described(value)}", hint=f"names: {', '.join(self.names)}")
        if self.kind == "sizes":
            return _sizes(self.name, value)
        if self.kind == "truth" and type(value).__name__ not in ("bool", "bool_"):
            raise SettingError(f"{self.name} is true or false, not {described(value)}")
        if self.kind == "text" and set(_alternatives(self.type)) <= {str, type(None)} and not isinstance(value, str):
            raise SettingError(f"{self.name} must be a text, not {described(value)}")
        return bool(value) if self.kind == "truth" else value


def _sizes(name: str, value: Any) -> tuple[int, ...]:
    """Return one size or several as a tuple."""
    several = value if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1 else (value,)
    try:
        return tuple(whole(name, size) for size in several)
    except SettingError:
        raise SettingError(
            f"{name} must be whole numbers of at least 1, not {described(value)}", hint=f"for example {name}=(64, 64)"
        ) from None


def number(
    name: str, value: Any, *, least: float | None = None, above: float | None = None, below: float | None = None
) -> float:
    """Return a finite number within bounds.

    Raises:
        SettingError: for anything else.

    >>> number("tolerance", 0, least=0)
    0.0
    """
    from downslope._numbers import real  # loads NumPy, which `--help` does without

    try:
        numeric = math.nan if isinstance(value, str | bytes) else real(value)
    except (TypeError, ValueError, OverflowError):
        numeric = math.nan
    if isinstance(value, str | bytes) or (math.isnan(numeric) and not isinstance(value, float)):
        raise SettingError(f"{name} must be a number, not {described(value)}")
    if above is not None and not (above < numeric < math.inf):
        hint = "the step already goes against the gradient; to climb, descend the negative of the objective"
        climbs = name == "learning_rate" and numeric < 0
        raise SettingError(f"{name} must be above {above:g}, not {value}", hint=hint if climbs else None)
    if least is not None and not (least <= numeric < math.inf):
        raise SettingError(f"{name} must be {least:g} or more, not {value}")
    if not math.isfinite(numeric):
        raise SettingError(f"{name} must be a finite number, not {value}")
    if below is not None and not numeric < below:
        raise SettingError(f"{name} must be below {below:g}, not {value}")
    return numeric


@functools.cache
def schema(kind: type) -> Mapping[str, Choice]:
    """Return the choices of a TypedDict by name: those of its bases first, settings of methods and schedules last."""
    known = [_choice(name, annotation) for name, annotation in kind.__annotations__.items()]
    return types.MappingProxyType(
        {choice.name: choice for choice in sorted(known, key=lambda choice: choice.is_setting)}
    )


def _choice(name: str, annotation: Any) -> Choice:
    """Return the choice in an annotation, with its name, type and kind."""
    if get_origin(annotation) is not Annotated:
        raise TypeError(f"{name} has no Choice; a schema's module must not import annotations from __future__")
    hint, choice = get_args(annotation)[:2]
    hint = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
    names = choice.names or tuple(name for part in _alternatives(hint) for name in _literals(part))
    return replace(choice, name=name, type=hint, names=names, kind=choice.kind or _kind(hint, names))


def _kind(hint: Any, names: Collection[str]) -> Kind:
    """Return the kind of choice that a type stands for."""
    if names:
        return "name"
    plain: dict[Any, Kind] = {bool: "truth", int: "whole", float: "number", str: "text"}
    for part in _alternatives(hint):
        if part in plain:
            return plain[part]
    return "object"


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types that a union consists of."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _literals(hint: Any) -> tuple[str, ...]:
    """Return the names of a `Literal`."""
    return get_args(hint) if get_origin(hint) is Literal else ()


def _takes_none(hint: Any) -> bool:
    """Tell whether a type allows None."""
    return type(None) in _alternatives(hint) or (isinstance(hint, str) and "None" in hint)


def defaults(kind: type, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the defaults of a schema by name, but for settings and for choices of some nouns.

    Args:
        kind: the schema.
        without: nouns to leave out.
    """
    known = schema(kind).values()
    return {c.name: c.default for c in known if not c.is_setting and c.noun not in without}


def checked(
    kind: type, choices: Mapping[str, Any], *, also: Iterable[str] = (), settings: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the choices that were passed, checked; settings that are None count as not passed.

    Args:
        kind: their schema.
        choices: by name.
        also: names of further arguments of the door, to suggest where a name is misspelt.
        settings: names of settings that a method of the caller's own has.

    Raises:
        SettingError: for a name that the schema lacks, or a value out of range.
    """
    known = schema(kind)
    refuse_unknown(choices, (*also, *known), settings)
    passed = {name: known[name].checked(value) if name in known else value for name, value in choices.items()}
    return {n: value for n, value in passed.items() if value is not None or (n in known and not known[n].is_setting)}


def refuse_unknown(names: Iterable[str], known: Iterable[str], further: Iterable[str] = ()) -> None:
    """Raise for a name that is not known, with the nearest that is.

    >>> refuse_unknown(["learning_rat"], ["learning_rate", "steps"])
    Traceback (most recent call last):
    downslope.SettingError: unknown argument 'learning_rat'; did you mean learning_rate?
    """
    known, further = tuple(known), tuple(further)
    for name in names:
        if name not in known and name not in further:
            ours = our_name(name, (*known, *further)) if isinstance(name, str) else None
            if ours is not None:
                raise SettingError(f"unknown argument {name!r}", hint=f"it is called {ours} here")
            close = nearest(name, (*known, *further))
            if close is not None:
                raise SettingError(f"unknown argument {name!r}; did you mean {close}?")
            raise SettingError(f"unknown argument {name!r}", hint=f"known are {', '.join(known)}")


def door(kind: type, *, without: Collection[str] = ()) -> Callable[[Function], Function]:
    """Return a decorator that writes a schema's choices into the signature and docstring of a function.

    The function takes them as its last parameter, `**choices: Unpack[kind]`. In its docstring the entry of `Args` that
    begins with `**choices` is replaced by one entry for each choice.

    Args:
        kind: the schema.
        without: names of choices that this door does not take.
    """
    known = {name: choice for name, choice in schema(kind).items() if name not in without}

    def written_out(function: Function) -> Function:
        bare = inspect.signature(function)
        parameters = [p for p in bare.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        written = {parameter.name for parameter in parameters}
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=choice.default, annotation=choice.type)
            for name, choice in known.items()
            if name not in written
        ]
        function.__signature__ = bare.replace(parameters=parameters)  # pyright: ignore[reportFunctionMemberAccess]
        function.__choices__ = types.MappingProxyType(known)  # pyright: ignore[reportFunctionMemberAccess]
        if function.__doc__:
            function.__doc__ = _described(function.__doc__, known.values())
        return function

    return written_out


def choices(function: Callable[..., Any]) -> Mapping[str, Choice]:
    """Return the choices that a function takes, by name: what each does, its default, range and names.

    Args:
        function: one that takes choices: `descend`, `plan`, `sweep`, `compare`, `multistart`, `fit`, `train`, …

    Raises:
        SettingError: for a function that takes none.

    >>> import downslope as ds
    >>> ds.choices(ds.train)["steps"].default
    2000
    """
    known = getattr(function, "__choices__", None)
    if known is None:
        name = getattr(function, "__name__", type(function).__name__)
        raise SettingError(f"{name} takes no choices", hint="for example ds.choices(ds.train)")
    return known


def _described(text: str, known: Iterable[Choice]) -> str:
    """Return a docstring with an entry for each choice in place of the one on `**choices`."""
    entries = "\n".join(_entry(choice) for choice in known)
    return re.sub(r"^ {8}\*\*choices:.*(?:\n {12}.*)*", lambda _match: entries, text, count=1, flags=re.MULTILINE)


def _entry(choice: Choice) -> str:
    """Return the entry of a docstring on a choice."""
    usual = "" if choice.default is None or choice.default == () else f" Default {choice.default!r}."
    return textwrap.fill(
        f"{choice.name}: {choice.help}{usual}", 120, initial_indent=" " * 8, subsequent_indent=" " * 12
    )


def our_name(name: str, known: Iterable[str]) -> str | None:
    """Return what a name of another tool is called here, if that is among the known names.

    >>> our_name("lr", ["steps", "learning_rate"]), our_name("max-iter", ["steps"]), our_name("colour", ["steps"])
    ('learning_rate', 'steps', None)
    """
    names = set(known)
    return next((ours for ours in _OUR_NAMES.get(name.lower().replace("-", "_"), ()) if ours in names), None)
