"""Tables that are generated from the code.

A page asks for one by `<!-- table: NAME -->`, which the build replaces; a name that is not known fails the build.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import downslope as ds
from downslope.diagnosis import DESCENT_SYMPTOMS, TRAINING_SYMPTOMS, Symptom, quantity
from downslope.diagnosis.checks import TRAINING_CHECKS
from downslope.formulas.expressions import FUNCTION_RULES, FUNCTIONS
from downslope.formulas.reading._foreign import SAME
from downslope.lab._lessons import lessons, texts
from downslope.methods import METHODS, Theory
from downslope.remedies import _descent_remedies, _training_remedies
from downslope.trace import TraceFacts, TracePlan, known_keys

ROOT = Path(__file__).resolve().parents[1]
_MARKER = re.compile(r"<!-- table: ([\w ]+) -->")
_SEVERITY = {"good": "healthy", "note": "worth knowing", "problem": "a problem"}


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(heads)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(cell: str) -> str:
    """Return a cell whose bars end no column; inside of code they do not anyway."""
    return "".join(part if part.startswith("`") else part.replace("|", "\\|") for part in re.split("(`[^`]*`)", cell))


def summary(text: str) -> str:
    """Return a docstring's first paragraph, on one line."""
    return re.sub(r"\s+", " ", text.split("\n\n", 1)[0])


def filled(text: str) -> str:
    """Return a page's text with its tables.

    Raises:
        KeyError: for a table that does not exist.
    """
    return _MARKER.sub(lambda marker: TABLES[marker[1]](), text)


def _methods() -> str:
    rows = []
    for spec in METHODS:
        names = ", ".join([f"**`{spec.name}`**", *(f"`{alias}`" for alias in spec.aliases)])
        settings = ", ".join(f"`{setting.name}={setting.default:g}`" for setting in spec.settings)
        rows.append([names, spec.help, settings, spec.reference])
    return table(["method", "how it steps", "settings", "published"], rows)


def _named_models() -> str:
    rows = [[f"`{model.name}`", f"`{model.text}`", model.meaning] for model in ds.models().values()]
    return table(["model", "formula", "what it describes"], rows)


def _rates() -> str:
    rows = []
    for spec in METHODS:
        if isinstance(spec.theory, Theory):
            bound = f"αλ < {spec.theory.bound_text}" + (", λ of P⁻¹H" if spec.scale is not None else "")
        else:
            bound = spec.theory.reason
        rows.append([f"`{spec.name}`", _rate(spec.default_rate), _rate(spec.network_rate), bound])
    return table(["method", "rate of a descent", "rate of a training", "stable while"], rows)


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:g}"


def _symptoms(symptoms: Iterable[Symptom]) -> str:
    ordered = sorted(symptoms, key=lambda symptom: symptom.order)
    return table(
        ["symptom", "", "it means", "what shows it"],
        (
            [f"`{s.key}`", _SEVERITY[s.severity.value], s.meaning, quantity(s.quantity).words if s.quantity else ""]
            for s in ordered
        ),
    )


def _thresholds() -> str:
    rows = []
    for check in TRAINING_CHECKS:
        parts = dict(
            re.findall(
                r"(Quantity|Theory|Threshold): (.+?\.)(?= (?:Quantity|Theory|Threshold): |$)", _paragraphs(check.find)
            )
        )
        if "Threshold" in parts:
            cells = [parts.get(part, "").rstrip(".") for part in ("Quantity", "Threshold", "Theory")]
            rows.append([f"`{check.symptom.key}`", *cells])
    return table(["symptom", "quantity", "threshold", "theory"], rows)


def _paragraphs(check: Callable[..., object]) -> str:
    """Return a check's docstring after its first line, on one line."""
    return re.sub(r"\s+", " ", (inspect.getdoc(check) or "").partition("\n\n")[2])


def _remedies(symptoms: Mapping[str, Symptom], makers: Callable[[str], Iterable[Callable[..., object]]]) -> str:
    ordered = sorted(symptoms.values(), key=lambda symptom: symptom.order)
    helps: dict[Callable[..., object], list[str]] = {}
    for symptom in ordered:
        for maker in makers(symptom.key):
            helps.setdefault(maker, []).append(f"`{symptom.key}`")
    return table(["remedy", "for"], ([_help(maker), ", ".join(keys)] for maker, keys in helps.items()))


def _help(maker: Callable[..., object]) -> str:
    """Return what a remedy is: the maker's docstring."""
    return summary(inspect.getdoc(maker) or "").rstrip(".")


def _choices(function: Callable[..., object]) -> str:
    rows = []
    for name, choice in ds.choices(function).items():
        default = "" if choice.is_setting else f"`{choice.default!r}`"
        rows.append([f"`{name}`", default, _option(choice), described(choice)])
    return table(["argument", "default", "command line", "what it does"], rows)


def _option(choice: ds.Choice) -> str:
    """Return how a choice is typed on the command line."""
    if choice.is_setting:
        return f"`--set {choice.name}=…`"
    option = f"--{choice.name.replace('_', '-')}" if choice.option is None else choice.option
    return f"`{option}`" if option else ""


def described(choice: ds.Choice) -> str:
    """Return what a choice does, and the values it takes where they are few."""
    if not 0 < len(choice.names) <= 12 or all(name in choice.help for name in choice.names):
        return choice.help
    return f"{choice.help} One of {', '.join(f'`{name}`' for name in choice.names)}."


def _functions() -> str:
    rows = []
    for name, function in FUNCTIONS.items():
        others = [*function.spellings, *(word for word, same in SAME.items() if same == name)]
        law = FUNCTION_RULES[name][1] if name in FUNCTION_RULES else ""
        rows.append([f"`{name}`", ", ".join(f"`{other}`" for other in others), law])
    return table(["function", "also written", "derivative"], rows)


def _floors() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floors, *_) = project["tool"]["importlinter"]["contracts"]
    rows = []
    for number, floor in reversed(list(enumerate(reversed(floors["layers"]), 1))):
        for module in re.split(r"\s*[|:]\s*", floor):
            text = inspect.getdoc(importlib.import_module(module)) or ""
            rows.append([f"`{module.removeprefix('downslope.')}`", str(number), summary(text)])
    return table(["", "floor", ""], rows)


def _keys(of: type) -> str:
    return table(["key", "what it says"], ([f"`{name}`", meaning] for name, meaning in known_keys(of).items()))


def _needs() -> str:
    """Return what each check of a training looks at, where it says NotRun without it."""
    by_symptom: dict[str, dict[str, None]] = {}
    for check in TRAINING_CHECKS:
        needs = (need.replace("?", "").replace("|", "` or `") for need in (*check.needs, *check.reads))
        by_symptom.setdefault(check.symptom.key, {}).update(dict.fromkeys(f"`{need}`" for need in needs))
    return table(
        ["symptom", "looks at"], ([f"`{key}`", ", ".join(needs)] for key, needs in by_symptom.items() if needs)
    )


def _exported_lessons() -> str:
    titles = {chapter: words["title"] for chapter, words in texts()["en"]["chapters"].items()}
    rows = [[f"{index} {titles[lesson['id']]}", _file_of(lesson["id"])] for index, lesson in enumerate(lessons(), 1)]
    return table(["chapter", "file"], [*rows, ["all of them", _file_of("course")]])


def _file_of(name: str) -> str:
    """Return a link to an exported lesson, which `build.py` writes."""
    return f"[{name}.html](lessons/{name}.html)"


TABLES: dict[str, Callable[[], str]] = {
    "exported lessons": _exported_lessons,
    "facts of traces": lambda: _keys(TraceFacts),
    "floors": _floors,
    "functions of formulas": _functions,
    "methods": _methods,
    "named models": _named_models,
    "needs of checks": _needs,
    "plans of traces": lambda: _keys(TracePlan),
    "rates of methods": _rates,
    "remedies of descents": lambda: _remedies(DESCENT_SYMPTOMS, _descent_remedies.descent_makers),
    "remedies of trainings": lambda: _remedies(TRAINING_SYMPTOMS, _training_remedies.training_makers),
    "choices of descents": lambda: _choices(ds.descend),
    "choices of trainings": lambda: _choices(ds.train),
    "symptoms of descents": lambda: _symptoms(DESCENT_SYMPTOMS.values()),
    "symptoms of trainings": lambda: _symptoms(TRAINING_SYMPTOMS.values()),
    "thresholds of trainings": _thresholds,
}
