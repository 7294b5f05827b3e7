"""The activations of a network, and how steep each is.

A unit learns only where its activation has a slope. `Activation.slope` is |φ′(z)| over the largest slope of φ, a
dimensionless number: 1 where the unit is at its most sensitive, 0 where no gradient passes. For activations without a
largest slope (the exponential), the slope at 0 is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from downslope._engine import jax
from downslope._errors import SettingError, nearest

if TYPE_CHECKING:
    from jax import Array

# Below a hundredth of its largest slope a unit passes next to no gradient: a sigmoid beyond ±6, a tanh beyond ±3.
FLAT = 0.01


ActivationName = Literal[
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "linear",
    "exponential",
    "softmax",
]


@dataclass(frozen=True)
class Activation:
    """An activation.

    Args:
        name: the name that a user types.
        function: from an array of pre-activations to an array of the same shape.
        slope: |φ′| relative to its largest value, from pre-activations; None where it is constant.
    """

    name: ActivationName
    function: Callable[[Array], Array]
    slope: Callable[[Array], Array] | None


def activation(name: str) -> Activation:
    """Return an activation by its name.

    Raises:
        SettingError: for a name that is not known.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    plain = {
        "swish": "silu",
        "identity": "linear",
        "none": "linear",
        "exp": "exponential",
        "leakyrelu": "leaky_relu",
    }.get(plain, plain)
    table = _table()
    if plain not in table:
        close = nearest(plain, table)
        raise SettingError(
            f"there is no activation {name!r}; known are {', '.join(table)}",
            hint=f"did you mean {close!r}?" if close else None,
        )
    return table[plain]


def activation_names() -> tuple[ActivationName, ...]:
    """Return the names of the activations."""
    return get_args(ActivationName)


def _table() -> dict[str, Activation]:
    """Return the activations by name."""
    known = (
        Activation("sigmoid", _of("nn.sigmoid"), lambda z: 4 * _sigmoid_slope(z)),
        Activation("tanh", _of("numpy.tanh"), lambda z: 1 - jax().numpy.tanh(z) ** 2),
        Activation("relu", _of("nn.relu"), lambda z: (z > 0).astype(z.dtype)),
        Activation("leaky_relu", _of("nn.leaky_relu"), lambda z: jax().numpy.where(z > 0, 1.0, FLAT)),
        Activation("elu", _of("nn.elu"), lambda z: jax().numpy.exp(jax().numpy.minimum(z, 0))),
        Activation("selu", _of("nn.selu"), lambda z: jax().numpy.exp(jax().numpy.minimum(z, 0))),
        Activation("gelu", _of("nn.gelu"), lambda z: _numeric_slope(jax().nn.gelu, z)),
        Activation("silu", _of("nn.silu"), lambda z: _numeric_slope(jax().nn.silu, z)),
        Activation("softplus", _of("nn.softplus"), lambda z: jax().nn.sigmoid(z)),
        Activation("linear", lambda z: z, None),
        Activation("exponential", _of("numpy.exp"), lambda z: jax().numpy.exp(z)),
        Activation("softmax", _of("nn.softmax"), lambda z: _softmax_slope(z)),
    )
    return {entry.name: entry for entry in known}


def _of(path: str) -> Callable[[Array], Array]:
    """Return a function of JAX by its path, looked up when it is called."""
    module, name = path.split(".")
    return lambda z: getattr(getattr(jax(), module), name)(z)


def _sigmoid_slope(z: Array) -> Array:
    """Return s(1 − s)."""
    return jax().nn.sigmoid(z) * jax().nn.sigmoid(-z)


def _softmax_slope(z: Array) -> Array:
    """Return 4p(1 − p), the slope of each probability along its own input."""
    probabilities = jax().nn.softmax(z)
    return 4 * probabilities * (1 - probabilities)


def _numeric_slope(function: Callable[[Array], Array], z: Array) -> Array:
    """Return |φ′| by forward differentiation; its largest is 1.1 for gelu and silu, close enough to 1."""
    numpy = jax().numpy
    return numpy.abs(jax().jvp(function, (z,), (numpy.ones_like(z),))[1])
