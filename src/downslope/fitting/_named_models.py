"""Named models: `gaussian(x) + linear(x)` is written out as a formula, with its own parameters for each name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from downslope._errors import FormulaError
from downslope._types import Columns
from downslope.formulas import VOIGT, Call, Equation, equation, formula, names_in, with_trees


@dataclass(frozen=True)
class NamedModel:
    """A model that can be used by name in an equation.

    Args:
        name: its name, with underscores; hyphens are read as well.
        parameters: the names of its parameters.
        text: its formula, of `x` and the parameters.
        meaning: a description in a few words.
    """

    name: str
    parameters: tuple[str, ...]
    text: str
    meaning: str

    @property
    def formula(self) -> str:
        """The formula in book notation."""
        return f"{self.name}(x) = {self.text.replace('×', '·')}"


def _model(name: str, parameters: str, text: str, meaning: str) -> NamedModel:
    return NamedModel(name, tuple(parameters.split()), text, meaning)


MODELS: Mapping[str, NamedModel] = {
    model.name: model
    for model in (
        _model("arrhenius", "prefactor energy", "prefactor×e^(-energy/(8.314462618×x))", "rate over temperature in K"),
        _model("constant", "level", "level + 0×x", "a level"),
        _model(
            "damped_sine",
            "amplitude decay period phase",
            "amplitude×e^(-decay×x)×sin(2π×x/period + phase)",
            "a decaying wave",
        ),
        _model("exponential", "amplitude rate", "amplitude×e^(-rate×x)", "decay; growth where the rate is negative"),
        _model("gaussian", "height center width", "height×e^(-(x - center)²/(2×width²))", "a peak; width is σ"),
        _model("gompertz", "top delay rate", "top×e^(-e^(-rate×(x - delay)))", "lopsided growth"),
        _model("hill", "top half steepness", "top×(x/half)^steepness/(1 + (x/half)^steepness)", "cooperative binding"),
        _model("langmuir", "capacity affinity", "capacity×affinity×x/(1 + affinity×x)", "adsorption"),
        _model("linear", "slope intercept", "slope×x + intercept", "a straight line"),
        _model("logistic", "top midpoint scale", "top/(1 + e^(-(x - midpoint)/scale))", "growth to a level"),
        _model("lognormal", "height mode spread", "height×e^(-(ln(x/mode))²/(2×spread²))", "a lopsided peak"),
        _model(
            "lorentzian",
            "height center width",
            "height/(1 + ((x - center)/width)²)",
            "a peak; width is half that at half height",
        ),
        _model("michaelis_menten", "Vm Km", "Vm×x/(Km + x)", "enzyme kinetics"),
        _model("power", "factor exponent", "factor×x^exponent", "a power law"),
        _model(
            "pseudo_voigt",
            "height center width share",
            "height×(share/(1 + ((x - center)/width)²) + (1 - share)×2^(-((x - center)/width)²))",
            "a mixture of Lorentz's and Gauss's peaks",
        ),
        _model("quadratic", "curvature slope intercept", "curvature×x² + slope×x + intercept", "a parabola"),
        _model("sine", "amplitude period phase", "amplitude×sin(2π×x/period + phase)", "a wave"),
        _model(
            "stretched_exponential", "amplitude lifetime stretch", "amplitude×e^(-(x/lifetime)^stretch)", "relaxation"
        ),
        _model(
            "voigt",
            "area center sigma gamma",
            "area×voigt(x - center, sigma, gamma)",
            "a peak with the widths of Gauss and Lorentz, and its area",
        ),
        _model("weibull", "top lifetime shape", "top×(1 - e^(-(x/lifetime)^shape))", "release, failure"),
    )
}


def models() -> Mapping[str, NamedModel]:
    """Return the models that can be used by name in an equation.

    >>> models()["gaussian"].parameters
    ('height', 'center', 'width')
    """
    return MODELS


_NAME = re.compile(r"(?<![A-Za-z0-9_.])[A-Za-zα-ωΑ-Ω][A-Za-z0-9_α-ωΑ-Ω]*")
_CALL = re.compile(
    r"(?<![\w.`])(" + "|".join(name.replace("_", "[-_]") for name in sorted(MODELS, key=len, reverse=True)) + r")\s*\("
)


@dataclass(frozen=True)
class _Named:
    """A call of a model in a text.

    Args:
        model: the model.
        begin: the position of its name.
        end: the position after its closing parenthesis.
        arguments: the texts of its arguments.
    """

    model: NamedModel
    begin: int
    end: int
    arguments: tuple[str, ...]


def equation_with_models(text: str, columns: Columns) -> Equation:
    """Read an equation in which models may be named.

    Args:
        text: the equation.
        columns: the table's columns; a column of a model's name stays a column.

    Raises:
        FormulaError: for text that cannot be read.
    """
    if not isinstance(text, str) or not _CALL.search(text):
        return equation(text, columns)
    written, notes = _written_out(text, columns)
    plain, profiles = _without_profiles(written, columns)
    read = equation(plain, columns)
    trees = {}
    for name, arguments in profiles.items():
        trees[name] = Call(VOIGT, tuple(formula(argument, columns=columns).body for argument in arguments))
    body = with_trees(read.right.body, trees)
    names = names_in(body)
    variables = tuple(name for name in names if name not in columns)
    used = tuple(name for name in columns if name in names)
    ours = {*profiles, *(name for model in MODELS.values() for name in model.parameters)}
    kept = [note for note in read.right.notes if re.sub(r"_\d+$", "", note.partition(" ")[0]) not in {*ours, "profile"}]
    right = replace(read.right, body=body, variables=variables, columns=used, notes=(*kept, *notes))
    return Equation(read.left, right, text)


def _calls(text: str, columns: Collection[str]) -> list[_Named]:
    """Return the calls of models in a text, in order; those within others are found when these are written out."""
    calls, position = [], 0
    while match := _CALL.search(text, position):
        position = match.end()
        name = match[1].replace("-", "_")
        arguments, end = _arguments(text, match.end())
        if name not in columns:
            calls.append(_Named(MODELS[name], match.start(), end, arguments))
            position = end
    return calls


def _arguments(text: str, begin: int) -> tuple[tuple[str, ...], int]:
    """Return the texts between commas up to the closing parenthesis, and the position after it.

    Raises:
        FormulaError: if there is none.
    """
    depth, parts, first = 0, [], begin
    for position in range(begin, len(text)):
        letter = text[position]
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            if depth == 0:
                return (*parts, text[first:position].strip()), position + 1
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[first:position].strip())
            first = position + 1
    raise FormulaError("a parenthesis is not closed", text=text, position=begin - 1, width=1)


def _written_out(text: str, columns: Collection[str]) -> tuple[str, list[str]]:
    """Return a text with its models as formulas, and a note on each."""
    calls = [call for call in _calls(text, columns) if not (call.model.name == "voigt" and len(call.arguments) == 3)]
    for call in calls:
        if len(call.arguments) != 1 or not call.arguments[0]:
            raise FormulaError(
                f"{call.model.name} takes one argument, as {call.model.name}({next(iter(columns))})",
                text=text,
                position=call.begin,
                width=len(call.model.name),
                hint=f"it is {call.model.formula}, with {', '.join(call.model.parameters)} as parameters",
            )
    wanted = [name for call in calls for name in call.model.parameters]
    begins, ends = [*(call.begin for call in calls), len(text)], [0, *(call.end for call in calls)]
    outside = " ".join(text[end:begin] for end, begin in zip(ends, begins, strict=True))
    taken = {*columns, *_NAME.findall(outside)}
    pieces, notes, position = [], [], 0
    for number, call in enumerate(calls, start=1):
        names = {}
        for name in call.model.parameters:
            names[name] = f"{name}_{number}" if wanted.count(name) > 1 or name in taken else name
        inner, _ = _written_out(call.arguments[0], columns)
        replaced = _NAME.sub(lambda match, own=names: own.get(match[0], match[0]), call.model.text)
        argument = inner if re.fullmatch(r"\w+|`[^`]+`", inner) else f"({inner})"
        replaced = _NAME.sub(lambda match, own=argument: own if match[0] == "x" else match[0], replaced)
        pieces += [text[position : call.begin], f"({replaced})"]
        position = call.end
        notes.append(f"{call.model.name}({call.arguments[0]}) is {replaced.replace('×', '·')}")
    return "".join([*pieces, text[position:]]), notes


def _without_profiles(text: str, columns: Collection[str]) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return a text with a name in place of each Voigt profile, and the arguments of each."""
    profiles: dict[str, tuple[str, ...]] = {}
    pieces, position = [], 0
    for number, call in enumerate(call for call in _calls(text, columns) if call.model.name == "voigt"):
        name = f"profile_{number + 1}"
        profiles[name] = call.arguments
        pieces += [text[position : call.begin], name]
        position = call.end
    return "".join([*pieces, text[position:]]), profiles
