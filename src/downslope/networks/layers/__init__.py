"""Layers of the built-in network, one type a class; their activations and initial weights."""

from downslope.networks.layers._activations import FLAT, ActivationName, activation, activation_names
from downslope.networks.layers._convolution import Convolution, product_of_windows
from downslope.networks.layers._initialisations import InitialisationName
from downslope.networks.layers._layer import ForwardContext, Layer, from_dict, size_in_words, with_checked_fields
from downslope.networks.layers._network import Network, Passed, layers_in, network, network_from, with_layers
from downslope.networks.layers._shaping import Activate, Dropout, Flatten, MaxPool
from downslope.networks.layers._units import Dense, NormalisationName

__all__ = [
    "FLAT",
    "Activate",
    "ActivationName",
    "Convolution",
    "Dense",
    "Dropout",
    "Flatten",
    "ForwardContext",
    "InitialisationName",
    "Layer",
    "MaxPool",
    "Network",
    "NormalisationName",
    "Passed",
    "activation",
    "activation_names",
    "from_dict",
    "layers_in",
    "network",
    "network_from",
    "product_of_windows",
    "size_in_words",
    "with_checked_fields",
    "with_layers",
]
