"""Programs: one walker of JAX programs, which finds their layers and the origin of a NaN."""

from downslope.programs._first_not_finite import first_not_finite, run_once
from downslope.programs._layer_order import DATA, LayerOrder, orders_of
from downslope.programs._preactivations import (
    ProgramLayer,
    find_layers,
    layer_names,
    marked_outputs,
    skipped_leaves,
)
from downslope.programs._provenance import (
    VIEWS,
    Atom,
    Constant,
    Source,
    StraightProgram,
    TracedStep,
    Value,
    straighten,
    viewed_input,
)
from downslope.programs._recurrence import NestedKernels, nested_kernels, scanned
from downslope.programs._traits import follows_batch, penalty, program_traits
from downslope.programs._walk import InnerProgram, Nesting, called, evaluate, inner_programs, nesting_of, walk

__all__ = [
    "DATA",
    "VIEWS",
    "Atom",
    "Constant",
    "InnerProgram",
    "LayerOrder",
    "NestedKernels",
    "Nesting",
    "ProgramLayer",
    "Source",
    "StraightProgram",
    "TracedStep",
    "Value",
    "called",
    "evaluate",
    "find_layers",
    "first_not_finite",
    "follows_batch",
    "inner_programs",
    "layer_names",
    "marked_outputs",
    "nested_kernels",
    "nesting_of",
    "orders_of",
    "penalty",
    "program_traits",
    "run_once",
    "scanned",
    "skipped_leaves",
    "straighten",
    "viewed_input",
    "walk",
]
