"""The pages of the API reference: every public name, grouped by what people want to do.

The docstrings are the text; this module decides only where a name stands. `pages` raises for a public name that stands
nowhere, and for one that is no longer public.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass

from tables import summary, table

import downslope

_BY_DS = ("downslope", "downslope.draw", "downslope.lab")  # modules whose names are read from `ds`


class IncompleteReferenceError(Exception):
    """The reference and the public names differ."""


@dataclass(frozen=True)
class Group:
    """One page of the reference.

    Args:
        page: its file name, without `.md`.
        title: its heading.
        sentence: what the names on it do.
        names: the public names, in the order in which a reader wants them.
        module: where they are; `downslope`, or a public module of it.
    """

    page: str
    title: str
    sentence: str
    names: tuple[str, ...]
    module: str = "downslope"

    def row(self, name: str) -> list[str]:
        """Return a name, linked, and the first sentence of its docstring."""
        prefix = "ds" + self.module.removeprefix("downslope") if self.module in _BY_DS else self.module
        text = inspect.getdoc(_value(self.module, name)) or ""
        return [f"[`{prefix}.{name}`][{self.module}.{name}]", summary(text)]


def _value(module: str, name: str) -> object:
    """Return what is under a name of a module, which may begin with the name of a module in it."""
    folder, _, last = f"{module}.{name}".rpartition(".")
    return getattr(importlib.import_module(folder), last)


def _is_layer(value: object) -> bool:
    """Return whether a public name is a layer that can stand in a network."""
    return isinstance(value, type) and issubclass(value, downslope.Layer) and not inspect.isabstract(value)


GROUPS = (
    Group(
        "formulas",
        "Read and differentiate formulas",
        "From textbook notation to exact derivatives and critical points.",
        (
            "formula",
            "derive",
            "chain",
            "critical_points",
            "Formula",
            "Derivation",
            "Chain",
            "CriticalPoint",
            "CriticalPoints",
        ),
    ),
    Group(
        "slope",
        "Look at one point",
        "Value, gradient, curvature and the kind of a point; a forward and a backward pass with every number.",
        ("slope", "backprop", "Slope", "Backpropagation", "Node", "Edge"),
    ),
    Group(
        "descend",
        "Descend",
        "From an objective and a start to a trace: what every step left behind.",
        (
            "descend",
            "plan",
            "objective",
            "method",
            "method_names",
            "schedule",
            "Objective",
            "Plan",
            "Method",
            "MethodSpec",
            "Setting",
            "Theory",
            "NoTheory",
            "Schedule",
            "Record",
            "Batches",
            "Beginning",
            "clear_caches",
        ),
    ),
    Group(
        "trace",
        "Keep and read traces",
        "The record of a run, in memory and on disk.",
        (
            "Trace",
            "Outcome",
            "Spectrum",
            "trace_from",
            "TracePlan",
            "TraceFacts",
            "save",
            "load",
            "load_trace",
            "export",
        ),
    ),
    Group(
        "tables",
        "Read and write tables",
        "Columns of numbers, text, truth values and dates, from files, mappings and frames.",
        ("read_table", "read_cells", "write_table", "table_suffixes", "Table", "TableColumn"),
    ),
    Group(
        "diagnose",
        "Diagnose",
        "What a trace shows, with the numbers behind it.",
        ("diagnose", "symptoms", "Diagnosis", "Finding", "Severity", "NotRun", "Symptom"),
    ),
    Group(
        "mend",
        "Choose a learning rate, mend a run",
        "Remedies are tried beside the unchanged run, and reported with their measured effect.",
        (
            "find_learning_rate",
            "prescribe",
            "RateFinding",
            "RateCheck",
            "Prescription",
            "Remedy",
            "Trial",
            "Effect",
        ),
    ),
    Group(
        "fit",
        "Fit curves",
        "The parameters of an equation over a table, with errors, intervals and units.",
        (
            "fit",
            "Fit",
            "Parameter",
            "Prediction",
            "EquationModel",
            "FitProblem",
            "FitArguments",
            "Uncertainty",
            "equation",
            "compare_fits",
            "FitComparison",
            "GroupedFit",
            "models",
            "NamedModel",
            "Interval",
            "Profile",
            "ConfidenceRegion",
            "Derived",
            "Bootstrap",
            "ResidualTests",
        ),
    ),
    Group(
        "ensembles",
        "Compare, sweep and search",
        "Many descents at once: over learning rates, over methods, over starts.",
        (
            "sweep",
            "compare",
            "multistart",
            "search",
            "Sweep",
            "Entry",
            "Race",
            "Multistart",
            "Space",
            "Basin",
            "Search",
        ),
    ),
    Group(
        "train",
        "Train networks",
        "Networks of a few kinds of layers, Equinox and Flax models, plain pytrees.",
        (
            "train",
            "join_hosts",
            "predict",
            "network",
            "examples",
            "activation_names",
            "loss_names",
            "sample_names",
            "Training",
            "ClassScores",
            "Replicates",
            "SeedScore",
            "Setup",
            "Network",
            "Layer",
            "ForwardContext",
            *(name for name in downslope.__all__ if _is_layer(getattr(downslope, name))),
            "Examples",
            "Encoding",
            "UnitPass",
            "unit_pass",
        ),
    ),
    Group(
        "watch",
        "Watch trainings of your own",
        "Trainings that other loops run: rows and looks while they run, and the logs of those that are over.",
        ("watch", "Watch", "recorded", "recorded_rows", "RecordedRows", "read_log", "send"),
    ),
    Group(
        "callbacks",
        "Callbacks",
        "One for each framework, imported by the name of its module; [how they are used](../watch.md).",
        ("lightning.WatchCallback", "hugging_face.WatchCallback", "keras.WatchCallback"),
        "downslope.watching",
    ),
    Group(
        "reports",
        "Report a run",
        "A run in words and tables, as one HTML file, or as the command to type.",
        ("summary", "report", "as_command", "Summary"),
    ),
    Group(
        "choices",
        "Choices",
        "Every choice of a descent and a training is written once: its default, range, help and option. "
        "[All choices](../choices.md) shows them as tables.",
        ("choices", "Choice"),
    ),
    Group(
        "errors",
        "Errors",
        "What a wrong argument raises: one tree, whose messages say what came, what was needed and what to type.",
        (
            "DownslopeError",
            "FormulaError",
            "UnitError",
            "DataError",
            "ObjectiveError",
            "PointError",
            "SettingError",
            "TraceError",
            "MissingExtraError",
            "ExecutorError",
        ),
    ),
    Group(
        "draw",
        "Draw",
        "Matplotlib functions that take and return axes. The [gallery](../gallery.md) shows each of them.",
        tuple(downslope.draw.__all__),
        "downslope.draw",
    ),
    Group(
        "lab", "The lab", "The local page, [described here](../lab.md).", tuple(downslope.lab.__all__), "downslope.lab"
    ),
)
_MODULES = {"draw", "lab"}  # public names that are modules, with a page each


def check() -> None:
    """Raise unless every public name stands in exactly one group.

    Raises:
        IncompleteReferenceError: otherwise, with the names.
    """
    named = [name for group in GROUPS if group.module == "downslope" for name in group.names]
    public = set(downslope.__all__) - _MODULES
    missing, unknown = sorted(public - set(named)), sorted(set(named) - public)
    twice = sorted({name for name in named if named.count(name) > 1})
    faults = [("not in any group", missing), ("not public", unknown), ("in two groups", twice)]
    words = [f"{what}: {', '.join(names)}" for what, names in faults if names]
    if words:
        raise IncompleteReferenceError("; ".join(words) + " (GROUPS in website/reference.py)")


def _block(group: Group, name: str) -> str:
    """Return the directive for a name; what a class has from a base without an entry of its own is listed with it."""
    value = _value(group.module, name)
    bases = value.__mro__[1:] if isinstance(value, type) else ()
    hidden = [
        base for base in bases if base.__module__.startswith("downslope.") and not hasattr(downslope, base.__name__)
    ]
    inherited = [member for base in hidden for member in vars(base) if not member.startswith("_")]
    if not inherited:
        return f"::: {group.module}.{name}"
    return f"::: {group.module}.{name}\n    options:\n      inherited_members: [{', '.join(inherited)}]"


def pages() -> dict[str, str]:
    """Return the pages' Markdown by path.

    Raises:
        IncompleteReferenceError: if a public name stands in no group.
    """
    check()
    parts = ["# Reference", "`import downslope as ds` gives all of these names."]
    texts = {}
    for group in GROUPS:
        blocks = [_block(group, name) for name in group.names]
        texts[f"reference/{group.page}.md"] = "\n\n".join([f"# {group.title}", group.sentence, *blocks]) + "\n"
        parts += [
            f"## [{group.title}]({group.page}.md)",
            group.sentence,
            table(["name", ""], map(group.row, group.names)),
        ]
    texts["reference/index.md"] = "\n\n".join(parts) + "\n"
    return texts
