"""Models: built-in networks and those of Equinox and Flax NNX behind one interface."""

from downslope.networks.models._fast_convolutions import rewritten, with_fast_convolutions
from downslope.networks.models._inferred import Walk, look_through, statistics, walked
from downslope.networks.models._layer_facts import facts_of_layers, facts_of_walk
from downslope.networks.models._model import Model, model_of, outline, packed, unpacked
from downslope.networks.models._outputs import LossTail, OutputForm, loss_tail, output_form, output_form_and_shape

__all__ = [
    "LossTail",
    "Model",
    "OutputForm",
    "Walk",
    "facts_of_layers",
    "facts_of_walk",
    "look_through",
    "loss_tail",
    "model_of",
    "outline",
    "output_form",
    "output_form_and_shape",
    "packed",
    "rewritten",
    "statistics",
    "unpacked",
    "walked",
    "with_fast_convolutions",
]
