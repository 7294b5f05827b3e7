"""A network built from its sizes: its choices, its layers, its loss and its output."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypedDict, get_args

from downslope._choices import Choice
from downslope._errors import SettingError
from downslope.networks._losses import Loss, LossName, loss, suited_loss
from downslope.networks.data import NUMBERS
from downslope.networks.layers import (
    ActivationName,
    Convolution,
    Dense,
    Flatten,
    InitialisationName,
    Layer,
    MaxPool,
    Network,
    NormalisationName,
    activation,
    network,
    with_checked_fields,
)


class LayerChoices(TypedDict, total=False):
    """The choices of the hidden layers and the output, also for an existing network."""

    activation: Annotated[
        ActivationName,
        Choice(
            "relu",
            "The activation of the hidden layers.",
            "network",
            compiles=True,
            in_layers=True,
            typed="Activation of the hidden layers: relu, tanh, gelu, …",
        ),
    ]
    initialisation: Annotated[
        InitialisationName | str,
        Choice(
            "auto",
            "The distribution of the initial weights; auto chooses by the activation.",
            "network",
            names=get_args(InitialisationName),
            compiles=True,
            in_layers=True,
        ),
    ]
    normalisation: Annotated[
        NormalisationName,
        Choice(
            "none",
            "The normalisation of the hidden layers.",
            "network",
            compiles=True,
            in_layers=True,
            typed="Normalisation of the hidden layers: batch or layer.",
        ),
    ]
    skip: Annotated[
        bool,
        Choice(
            False, "Add skip connections between hidden layers of equal size.", "network", compiles=True, in_layers=True
        ),
    ]
    dropout: Annotated[
        float,
        Choice(
            0.0,
            "The share of hidden units dropped at each training step.",
            "network",
            least=0,
            below=1,
            compiles=True,
            in_layers=True,
        ),
    ]
    output_activation: Annotated[
        ActivationName | Literal["auto"],
        Choice(
            "auto",
            "The activation of the output; auto chooses by the loss.",
            "network",
            compiles=True,
            in_layers=True,
        ),
    ]


class NetworkChoices(LayerChoices, total=False):
    """The choices of a network that is built from its sizes."""

    hidden: Annotated[
        int | Sequence[int],
        Choice((64, 64), "Units of the hidden layers.", "network", kind="sizes", metavar="SIZES", compiles=True),
    ]
    convolutions: Annotated[
        int | Sequence[int],
        Choice(
            (),
            "Channels of convolutions with pooling before the hidden layers, for images.",
            "network",
            kind="sizes",
            metavar="SIZES",
            compiles=True,
            typed="Channels of convolutions before the hidden layers: 16,32.",
        ),
    ]
    loss: Annotated[
        LossName | Callable[[Any, Any], Any] | None,
        Choice(
            None,
            "The loss: a name, or a function of (outputs, targets); None chooses by the targets.",
            "network",
            compiles=True,
            typed="mse, mae, huber, cross-entropy, …; chosen by the target if not given.",
        ),
    ]
    from_logits: Annotated[
        bool | None,
        Choice(
            None,
            "Whether cross-entropies take logits; None for yes unless an output activation is chosen.",
            "network",
            compiles=True,
            typed="Whether cross-entropies take logits; yes unless an output activation is chosen.",
        ),
    ]


def loss_of(choices: NetworkChoices, kind: str) -> Loss:
    """Return the loss that was chosen, or the one that suits the targets.

    Raises:
        SettingError: for a cross-entropy of numbers.
    """
    logits = choices["output_activation"] == "auto" if choices["from_logits"] is None else choices["from_logits"]
    chosen = loss(suited_loss(kind) if choices["loss"] is None else choices["loss"], from_logits=logits)
    if chosen.needs_classes and kind == NUMBERS:
        raise SettingError(
            f"{chosen.name} needs classes, and the targets are numbers", hint='task="classes" reads them as classes'
        )
    return chosen


def built(choices: NetworkChoices, shape: tuple[int, ...], outputs: int, seed: int) -> Network:
    """Return a network of the chosen sizes.

    Args:
        choices: the sizes and the kind of the hidden layers.
        shape: the shape of one example.
        outputs: the number of outputs.
        seed: seed of the weights.

    Raises:
        SettingError: for a choice of the hidden layers that is not known, or convolutions of what is no image.
    """
    layers: list[Layer] = []
    common: dict[str, Any] = {
        "activation": choices["activation"],
        "initialisation": choices["initialisation"],
        "normalisation": choices["normalisation"],
        "dropout": choices["dropout"],
    }
    # Checked before there are layers: an error that numbers one would name what nobody wrote.
    with_checked_fields(Dense(1, **common))
    if _several(choices["convolutions"]) and len(shape) not in (2, 3):
        raise SettingError(
            f"convolutions need images, and the examples have the shape {shape}", hint="leave convolutions out"
        )
    for channels in _several(choices["convolutions"]):
        layers += [Convolution(channels, padding="same", **common), MaxPool(2)]
    if len(shape) > 1:
        layers.append(Flatten())
    sizes = _several(choices["hidden"])
    for index, units in enumerate(sizes):
        layers.append(Dense(units, skip=choices["skip"] and index > 0 and sizes[index - 1] == units, **common))
    # The output begins with small weights whatever its activation, so that the first loss is that of a guess.
    layers.append(Dense(outputs, output_of(choices), "glorot_uniform"))
    return network(shape, layers, seed=seed)


def _several(sizes: int | Sequence[int]) -> Sequence[int]:
    """Return one size or several as a sequence."""
    return (sizes,) if isinstance(sizes, int) else sizes


def output_of(choices: NetworkChoices) -> ActivationName:
    """Return the activation of the output; "auto" is linear, since losses take logits and numbers."""
    return "linear" if choices["output_activation"] == "auto" else activation(choices["output_activation"]).name


def outputs_of(choices: NetworkChoices, loss: Loss, wanted: int, classes: int) -> int:
    """Return the number of outputs of a network: two for a softmax of two classes, one for a binary cross-entropy."""
    if loss.name == "softmax cross-entropy" or choices["output_activation"] == "softmax":
        return max(wanted, classes)
    return wanted
