"""Programs: one walker of JAX programs, which names their layers and where a NaN began."""

from downslope.programs._first_not_finite import first_not_finite
from downslope.programs._preactivations import ProgramLayer, find_layers, layer_names, skipped_leaves
from downslope.programs._provenance import Atom, Constant, StraightProgram, Value, straighten
from downslope.programs._walk import InnerProgram, Nesting, called, evaluate, inner_programs, nesting_of, walk

__all__ = [
    "Atom",
    "Constant",
    "InnerProgram",
    "Nesting",
    "ProgramLayer",
    "StraightProgram",
    "Value",
    "called",
    "evaluate",
    "find_layers",
    "first_not_finite",
    "inner_programs",
    "layer_names",
    "nesting_of",
    "skipped_leaves",
    "straighten",
    "walk",
]
