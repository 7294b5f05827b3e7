"""The interface of a layer, and how any layer is checked, changed, saved and loaded.

A layer is frozen data. It computes the shape of its outputs, draws its weights and maps a batch:

    Layer ─▶ output_shape(inputs)                     the shape of its outputs
          ─▶ initialise(inputs, random)               weights at step 0; None for a layer that learns nothing
          ─▶ memory(weights)                          the state carried from batch to batch, such as running means
          ─▶ forward(weights, values, context)        its outputs for a batch

Everything else follows from its fields: the functions of this module compare, replace, save and print them. So a new
layer is one class in one file; the rest of the package never asks of which class a layer is.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError, TraceError, described, nearest, whole
from downslope._types import Plain
from downslope.networks.layers._activations import activation
from downslope.networks.layers._initialisations import checked as checked_initialisation

if TYPE_CHECKING:
    from jax import Array

Shape: TypeAlias = tuple[int, ...]
Check: TypeAlias = Callable[["Layer", str, Any], Any]

_UNSAVED = "unsaved"  # names the fields of a saved layer that no file holds


class ForwardContext:
    """A layer's context in a forward pass: randomness, memory, and the record of its activation.

    Args:
        training: whether units drop out and batches are normalised by their own mean.
        key: a random key of this layer and step; None if nothing is random.
        memory: this layer's own memory, by name; a layer that updates it assigns to its entries.
        nudge: zeros added to the pre-activation, so that its gradient can be computed; None for nothing.
    """

    def __init__(
        self, *, training: bool, key: Array | None, memory: Mapping[str, Any], nudge: Array | None = None
    ) -> None:
        self.training = training
        self.key = key
        self.memory = dict(memory)
        self._nudge = nudge
        self.before: Array | None = None
        self.after: Array | None = None

    def activated(self, values: Array, name: str) -> Array:
        """Return the activation of pre-activations, and record both.

        A layer with weights and a field `activation` calls this once in `forward`: the statistics of layers during
        training (dead and saturated units, gradients by layer) are measured here.

        Args:
            values: the pre-activations, shape (batch, …, units).
            name: the activation.
        """
        self.before = values if self._nudge is None else values + self._nudge
        self.after = activation(name).function(self.before)
        return self.after

    def dropped(self, values: Array, share: float) -> Array:
        """Return the values; in training, with a share of them set to 0 and the others scaled up to keep the mean."""
        if share == 0 or self.key is None:
            return values
        # Dividing by the share that is kept leaves the mean as it is at rest.
        kept = jax().random.bernoulli(self.key, 1 - share, values.shape)
        return jax().numpy.where(kept, values / (1 - share), 0)


class Layer(ABC):
    """A layer of a network. Derive a frozen dataclass from it to train a layer of your own.

    The fields of the dataclass are numbers, text, true or false, or tuples of these, so that a run can be saved.
    Fields named as in other layers mean the same: `units`, `activation`, `initialisation`, `bias`,
    `normalisation`, `skip`, `dropout`. Remedies change them.

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import downslope as ds
    >>> @dataclass(frozen=True)
    ... class Scale(ds.Layer):
    ...     begin: float = 1.0
    ...
    ...     def output_shape(self, inputs):
    ...         return inputs
    ...
    ...     def initialise(self, inputs, random):
    ...         return {"factor": np.full(inputs, self.begin, np.float32)}
    ...
    ...     def memory(self, weights):
    ...         return {}
    ...
    ...     def forward(self, weights, values, context):
    ...         return values * weights["factor"]
    >>> ds.network(2, [Scale(3.0)])(np.array([1.0, 2.0])).tolist()
    [3.0, 6.0]
    """

    @abstractmethod
    def output_shape(self, inputs: Shape) -> Shape:
        """Return the shape of the outputs for one example.

        Raises:
            SettingError: for an example that the layer cannot take.
        """

    @abstractmethod
    def initialise(self, inputs: Shape, random: np.random.Generator) -> Any:
        """Return the weights at step 0, a tree of float32 arrays; None for a layer that learns nothing.

        The checks read a kernel called "weight", shape (…, inputs, units), and a "bias", shape (units,).

        Args:
            inputs: the shape of one example as it reaches the layer.
            random: where all random numbers come from.
        """

    @abstractmethod
    def memory(self, weights: Any) -> dict[str, np.ndarray]:
        """Return the state that is carried from batch to batch, such as running means, at step 0; {} for none."""

    @abstractmethod
    def forward(self, weights: Any, values: Array, context: ForwardContext) -> Array:
        """Return the outputs for a batch, computed by JAX.

        Args:
            weights: a tree as `initialise` returns it.
            values: shape (batch, *inputs).
            context: randomness, memory, and `activated`; see `ForwardContext`.
        """

    @property
    @final
    def kind(self) -> str:
        """The name under which it is saved: "dense" for `Dense`, "module.Class" for a class of your own."""
        return _kind_of(type(self))

    @final
    def as_dict(self) -> Plain:
        """Return the layer as plain data, from which `from_dict` makes it again."""
        entries = {field.name: getattr(self, field.name) for field in _fields(self)}
        unsaved = [name for name, entry in entries.items() if not _is_plain(entry)]
        saved = {name: entry for name, entry in entries.items() if name not in unsaved}
        return {"kind": self.kind, **saved, **({_UNSAVED: unsaved} if unsaved else {})}

    @final
    def as_python(self) -> str:
        """Return the layer as it is written in Python, without fields that have their defaults."""
        entries = [(field, getattr(self, field.name)) for field in _fields(self)]
        written = [
            repr(entry) if field.default is dataclasses.MISSING else f"{field.name}={entry!r}"
            for field, entry in entries
            if field.default is dataclasses.MISSING or entry != field.default
        ]
        module = "ds." if _is_built_in(type(self)) else ""
        return f"{module}{type(self).__name__}({', '.join(written)})"

    @final
    def changed(self, **changes: Any) -> Layer:
        """Return the layer with other values in those of the fields that it has."""
        names = {field.name for field in _fields(self)}
        return dataclasses.replace(self, **{name: entry for name, entry in changes.items() if name in names})  # type: ignore[type-var]  # `checked_layer` holds that it is a dataclass


def from_dict(entries: Plain) -> Layer:
    """Return the layer that `Layer.as_dict` describes.

    No module is imported and no code is run: the class must be defined already.

    Raises:
        TraceError: for a class that is not defined here, or fields that no file holds.
    """
    kind = str(entries["kind"])
    # The last definition counts: running a notebook cell again defines the class anew.
    layer_class = next(
        (candidate for candidate in reversed(list(_derived(Layer))) if _kind_of(candidate) == kind), None
    )
    if layer_class is None:
        module = kind.rpartition(".")[0]
        raise TraceError(
            f"the run has a layer of the class {kind}, which is not defined here",
            hint=f"import {module or 'the module that defines it'} before, or give the network with model=[…]",
        )
    if entries.get(_UNSAVED):
        raise TraceError(
            f"the run has a layer {kind} whose {', '.join(entries[_UNSAVED])} could not be saved",
            hint="give the network with model=[…]",
        )
    fields = {name: _hashable(entry) for name, entry in entries.items() if name not in ("kind", _UNSAVED)}
    try:
        return layer_class(**fields)
    except TypeError as error:
        raise TraceError(
            f"the run has a layer {kind} with other fields than the class has now: {error}",
            hint="give the network with model=[…]",
        ) from None


def size_in_words(entries: Plain) -> str | None:
    """Return how a saved layer's size reads, such as "64" or "conv 8"; its class for one of your own, else None."""
    if "units" in entries:
        return str(entries["units"])
    if "channels" in entries:
        return f"conv {entries['channels']}"
    _, module, name = str(entries["kind"]).rpartition(".")
    return name if module else None


def checked_layer(layer: Any, number: int) -> Layer:
    """Return a layer with checked fields and names as the tables spell them.

    Args:
        layer: the layer.
        number: which of the network, counted from 1.

    Raises:
        SettingError: for a number out of range or a name that is not known, saying which layer.
    """
    if not isinstance(layer, Layer):
        raise SettingError(
            f"layer {number} is a {type(layer).__name__}",
            hint=f"layers are {', '.join(built_in())}, or a class derived from ds.Layer",
        )
    if not dataclasses.is_dataclass(layer) or not _is_hashable(layer):
        raise SettingError(
            f"layer {number}: a {type(layer).__name__} cannot be compared and hashed",
            hint="write @dataclass(frozen=True) above its class, and tuples in place of lists",
        )
    return located(number, lambda: with_checked_fields(layer))


def with_checked_fields(layer: Layer) -> Layer:
    """Return a layer with checked fields and names as the tables spell them.

    Raises:
        SettingError: for a number out of range or a name that is not known.
    """
    for field in _fields(layer):
        check: Check | None = field.metadata.get("check")
        if check is not None:
            layer = layer.changed(**{field.name: check(layer, field.name, getattr(layer, field.name))})
    return layer


def located(number: int, compute: Callable[[], Any]) -> Any:
    """Call a function; a `SettingError` from it names the layer by its number."""
    try:
        return compute()
    except SettingError as error:
        raise SettingError(f"layer {number}: {error.message}", hint=error.hint) from None


# Checks of fields, which stand in the fields' metadata: from the layer, the field's name and its value to the value.


def is_size(layer: Layer, name: str, value: Any) -> int:
    """Return a whole number from 1 up."""
    return whole(name, value)


def is_share(layer: Layer, name: str, value: Any) -> float:
    """Return a share in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise SettingError(f"{name} must be at least 0 and below 1, not {described(value)}")
    return value


def is_activation(layer: Layer, name: str, value: Any) -> str:
    """Return the name of an activation as the table spells it."""
    return activation(value).name


def is_initialisation(layer: Layer, name: str, value: Any) -> str:
    """Return the name of an initialisation, "auto" replaced by what suits the layer's activation."""
    return checked_initialisation(value, activation(getattr(layer, "activation", "linear")).name)


def is_choice(*names: str) -> Check:
    """Return the check of a field that takes one of several names."""

    def check(layer: Layer, name: str, value: Any) -> str:
        if value not in names:
            close = nearest(str(value), names)
            raise SettingError(
                f"{name} is {', '.join(map(repr, names[:-1]))} or {names[-1]!r}, not {described(value)}",
                hint=f"did you mean {close!r}?" if close else None,
            )
        return value

    return check


def _fields(layer: Layer) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(layer)  # type: ignore[arg-type]  # `checked_layer` holds that it is a dataclass


def _derived(base: type[Layer]) -> Iterator[type[Layer]]:
    """Yield the classes derived from a class, in the order of their definition."""
    for derived in base.__subclasses__():
        yield derived
        yield from _derived(derived)


def _is_built_in(layer_class: type) -> bool:
    return layer_class.__module__.partition(".")[0] == "downslope"


def built_in() -> list[str]:
    """Return the names of the built-in layers."""
    return sorted(c.__name__ for c in _derived(Layer) if _is_built_in(c) and not inspect.isabstract(c))


def _kind_of(layer_class: type) -> str:
    """Return the name under which layers of a class are saved."""
    # Built-in layers keep short names, so that saved runs survive a move of their module.
    if _is_built_in(layer_class):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", layer_class.__name__).lower()
    return f"{layer_class.__module__}.{layer_class.__qualname__}"


def _is_plain(entry: Any) -> bool:
    """Tell whether JSON holds a field's value."""
    if isinstance(entry, tuple | list):
        return all(map(_is_plain, entry))
    return entry is None or isinstance(entry, str | int) or (isinstance(entry, float) and math.isfinite(entry))


def _is_hashable(layer: Layer) -> bool:
    try:
        hash(layer)
    except TypeError:
        return False
    return True


def _hashable(entry: Any) -> Any:
    """Return tuples for lists, which JSON has in their stead."""
    return tuple(map(_hashable, entry)) if isinstance(entry, list) else entry
