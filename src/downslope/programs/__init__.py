"""Programs: one walker of JAX programs, which names their layers and where a NaN began."""

from downslope.programs._first_not_finite import first_not_finite
from downslope.programs._preactivations import Layer, find_layers, layer_names, skipped_leaves
from downslope.programs._provenance import CALLS, Atom, Constant, Program, Value, evaluate, straighten

__all__ = [
    "CALLS",
    "Atom",
    "Constant",
    "Layer",
    "Program",
    "Value",
    "evaluate",
    "find_layers",
    "first_not_finite",
    "layer_names",
    "skipped_leaves",
    "straighten",
]
