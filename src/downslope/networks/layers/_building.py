"""The network that is asked for by its sizes: hidden layers of one kind, and an output that suits the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from downslope._errors import SettingError
from downslope.networks._losses import Loss, loss, suited_loss
from downslope.networks.data._target import NUMBERS
from downslope.networks.layers._activations import activation as activation_of
from downslope.networks.layers._convolution import Convolution
from downslope.networks.layers._layer import Layer
from downslope.networks.layers._network import Network, network
from downslope.networks.layers._shaping import Flatten, MaxPool
from downslope.networks.layers._units import Dense


@dataclass(frozen=True)
class Choices:
    """What is asked for of a network.

    Args:
        hidden: units of the hidden layers.
        convolutions: channels of convolutions with pooling before them, for images.
        activation, initialisation, normalisation, dropout: of each hidden layer, as for `Dense`.
        skip: whether hidden layers of one size are skipped.
        output_activation: "auto" for what suits the loss, computed from logits; else one by name.
        loss: a loss by name, a function of (outputs, targets), or None for what suits the targets.
        from_logits: whether cross-entropies take logits; None for yes with "auto", no with an activation by name.
    """

    hidden: Sequence[int] = (64, 64)
    convolutions: Sequence[int] = ()
    activation: str = "relu"
    initialisation: str = "auto"
    normalisation: str = "none"
    skip: bool = False
    dropout: float = 0.0
    output_activation: str = "auto"
    loss: Any = None
    from_logits: bool | None = None


def loss_of(choices: Choices, kind: str) -> Loss:
    """Return the loss that was asked for, or the one that suits the targets.

    Raises:
        SettingError: for a cross-entropy of numbers.
    """
    logits = choices.output_activation == "auto" if choices.from_logits is None else choices.from_logits
    found = loss(choices.loss or suited_loss(kind), from_logits=logits)
    if found.needs_classes and kind == NUMBERS:
        raise SettingError(
            f"{found.name} needs classes, and the targets are numbers", hint='task="classes" reads them as classes'
        )
    return found


def built(choices: Choices, shape: tuple[int, ...], outputs: int, seed: int) -> Network:
    """Return a network of the sizes that were asked for.

    Args:
        choices: what was asked for.
        shape: the shape of one example.
        outputs: the numbers that come out.
        seed: seed of the weights.
    """
    layers: list[Layer] = []
    common: dict[str, Any] = {
        "activation": choices.activation,
        "initialisation": choices.initialisation,
        "normalisation": choices.normalisation,
        "dropout": choices.dropout,
    }
    for channels in choices.convolutions:
        layers += [Convolution(channels, padding="same", **common), MaxPool(2)]
    if len(shape) > 1:
        layers.append(Flatten())
    sizes = list(choices.hidden)
    for place, units in enumerate(sizes):
        layers.append(Dense(units, skip=choices.skip and place > 0 and sizes[place - 1] == units, **common))
    layers.append(Dense(outputs, output_of(choices), "glorot_uniform"))
    return network(shape, layers, seed=seed)


def output_of(choices: Choices) -> str:
    """Return the activation of the output: linear where the loss takes logits or numbers and none was named."""
    return "linear" if choices.output_activation == "auto" else activation_of(choices.output_activation).name


def outputs_of(choices: Choices, made: Loss, wanted: int, classes: int) -> int:
    """Return how many outputs a network needs: a softmax of two classes has two, a binary cross-entropy one."""
    if made.name == "softmax cross-entropy" or choices.output_activation == "softmax":
        return max(wanted, classes)
    return wanted
