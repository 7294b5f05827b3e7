"""Networks, losses and optimizers of recipes in PyTorch, as a user of it would write them.

A network of the library becomes a module with the same weights and the names of its parts. Kernels lie as (units,
inputs) there and images as (channels, height, width), so that weights are turned when they are copied, and nothing is
turned in a forward pass. Cross-entropies of probabilities cut them to [1e-7, 1 − 1e-7] as Keras does, since a logarithm
of 0 would be another fault than that of the recipe; an L2 penalty is the `weight_decay` of the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # `make test-frameworks` installs it
from sick_faults import Data, UnbuildableError
from sick_losses import ALONG_THE_BATCH, BROADCAST, HALF_SQUARES, SMALLEST, loss_of, spelled_loss
from sick_networks import KERAS_EPSILON, decays_of, named_method
from sick_recipes import number_in
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

import downslope as ds

Loss = Callable[[Any, Any], Any]
_STEADINESS, _LEAST_VARIANCE = 0.99, 1e-5  # of batch normalisation, as the library has them
_ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": lambda z: functional.gelu(z, approximate="tanh"),
    "silu": functional.silu,
    "softplus": functional.softplus,
    "linear": lambda z: z,
    "exponential": torch.exp,
}


# --- networks --------------------------------------------------------------------------------------------------------


class TorchNetwork(nn.Module):
    """A network of the library as a module: the same layers, weights and names.

    Args:
        network: the network.

    Raises:
        UnbuildableError: for a layer that has no equal here.
    """

    def __init__(self, network: ds.Network) -> None:
        super().__init__()
        self.plan = network.plan
        self.is_image = len(network.inputs) > 1
        self.layers, self.norms = nn.ModuleDict(), nn.ModuleDict()
        self._turned: dict[str, int] = {}  # by dense layer behind an image, the channels of it
        shape, channels = network.inputs, 0
        for index, (layer, weights) in enumerate(zip(network.plan, network.layers, strict=True)):
            if isinstance(layer, ds.Flatten):
                channels = shape[2] if len(shape) == 3 else 0
            if weights is not None:
                self._add(str(index), layer, weights, shape, channels)
                channels = 0
            shape = layer.output_shape(shape)

    def _add(self, name: str, layer: Any, weights: Any, shape: tuple[int, ...], channels: int) -> None:
        """Add a layer with its weights."""
        kernel = np.asarray(weights.weight)
        if isinstance(layer, ds.Dense):
            turned = kernel
            if channels:  # rows that came as (height, width, channels) come as (channels, height, width)
                turned = kernel.reshape(-1, channels, kernel.shape[-1]).swapaxes(0, 1).reshape(kernel.shape)
                self._turned[name] = channels
            module, turned = nn.Linear(*kernel.shape), turned.T
        elif isinstance(layer, ds.Convolution):
            if layer.padding == "same" and layer.stride != 1:
                raise UnbuildableError("a convolution of PyTorch with a stride has no padding 'same'")
            padding = "same" if layer.padding == "same" else 0
            module = nn.Conv2d(*kernel.shape[2:], layer.kernel, stride=layer.stride, padding=padding)
            turned = kernel.transpose(3, 2, 0, 1)
        else:
            raise UnbuildableError(f"{type(layer).__name__} has no equal in PyTorch here")
        if layer.activation not in (*_ACTIVATIONS, "softmax"):
            raise UnbuildableError(f"the activation {layer.activation} has no equal in PyTorch here")
        with torch.no_grad():
            module.weight.copy_(torch.tensor(np.ascontiguousarray(turned)))
            module.bias.copy_(torch.tensor(np.asarray(weights.bias)))
        self.layers[name] = module
        units = kernel.shape[-1]
        if layer.normalisation == "batch":
            kind = nn.BatchNorm2d if isinstance(layer, ds.Convolution) else nn.BatchNorm1d
            self.norms[name] = kind(units, _LEAST_VARIANCE, 1 - _STEADINESS)
        elif layer.normalisation == "layer":
            if isinstance(layer, ds.Convolution):
                raise UnbuildableError("a norm over the channels of a pixel has no module in PyTorch")
            self.norms[name] = nn.LayerNorm(units, _LEAST_VARIANCE)

    def forward(self, x: Any) -> Any:
        """Return the outputs of a batch, (rows, features) or (rows, height, width)."""
        if self.is_image and x.dim() == 3:
            x = x.unsqueeze(1)
        for index, layer in enumerate(self.plan):
            x = self._layer(str(index), layer, x)
        return x

    def _layer(self, name: str, layer: Any, x: Any) -> Any:
        if isinstance(layer, ds.MaxPool):
            return functional.max_pool2d(x, layer.size)
        if isinstance(layer, ds.Flatten):
            return x.flatten(1)
        if isinstance(layer, ds.Dropout):
            return functional.dropout(x, layer.share, self.training)
        if isinstance(layer, ds.Activate):
            return _activated(x, layer.activation)
        z = self.layers[name](x)
        z = self.norms[name](z) if name in self.norms else z
        z = functional.dropout(_activated(z, layer.activation), layer.dropout, self.training)
        return x + z if layer.skip else z

    def as_kernel(self, name: str, weight: np.ndarray) -> np.ndarray:
        """Return a weight of a layer as the library has it, units last."""
        if weight.ndim == 4:
            return weight.transpose(2, 3, 1, 0)
        kernel = weight.T
        channels = self._turned.get(name)
        return (
            kernel.reshape(channels, -1, kernel.shape[-1]).swapaxes(0, 1).reshape(kernel.shape) if channels else kernel
        )


def _activated(z: Any, name: str) -> Any:
    # Units of an image are its channels.
    return torch.softmax(z, 1 if z.dim() == 4 else -1) if name == "softmax" else _ACTIVATIONS[name](z)


# --- losses ----------------------------------------------------------------------------------------------------------


def torch_loss(recipe: Mapping[str, Any], data: Data, outputs: tuple[int, ...]) -> Loss:
    """Return the loss of a recipe, of outputs (rows, …) and targets: classes (rows,), or numbers (rows, columns).

    Args:
        recipe: an entry of the file.
        data: its data.
        outputs: the shape of the network's outputs for one example.

    Raises:
        UnbuildableError: for a loss that is not known, or that PyTorch refuses.
    """
    loss_of(recipe, data.task)  # raises for a loss without a meaning
    name, logits = spelled_loss(recipe)
    width = math.prod(outputs)
    if name.startswith(BROADCAST):
        distance = functional.l1_loss if name.endswith("mae") else functional.mse_loss
        return lambda o, t: distance(o.flatten(1)[:, :1], t.float().flatten())
    if name == ALONG_THE_BATCH:
        return lambda o, t: -(_numbers(o, t) * _sure(_shares(o)).log()).sum(0).mean()
    if name == HALF_SQUARES:
        return lambda o, t: ((o - _numbers(o, t)) ** 2).sum() / (2 * len(o))
    if name == "categorical crossentropy":
        # Classes that have an output each are told to PyTorch as they are.
        by_class = data.task == "classes" and width > int(max(data.targets.max(), data.held_targets.max()))
        return _categorical(logits, by_class and len(outputs) == 1)
    if name == "binary crossentropy":
        return _binary(logits)
    if name not in _OF_NUMBERS:
        raise UnbuildableError(f"the loss {recipe.get('loss')!r} has no equal in PyTorch here")
    return lambda o, t: _OF_NUMBERS[name](o, _numbers(o, t))


def _categorical(logits: bool, by_class: bool) -> Loss:
    if logits and by_class:
        return functional.cross_entropy
    if logits:
        return lambda o, t: functional.cross_entropy(o, _numbers(o, t))
    if by_class:
        return lambda o, t: functional.nll_loss(_sure(_shares(o)).log(), t)
    return lambda o, t: -(_numbers(o, t) * _sure(_shares(o)).log()).sum(-1).mean()


def _binary(logits: bool) -> Loss:
    if logits:
        return lambda o, t: functional.binary_cross_entropy_with_logits(o, _numbers(o, t))
    return lambda o, t: _two_logarithms(_sure(o), _numbers(o, t))


def _two_logarithms(p: Any, t: Any) -> Any:
    """Return the binary cross-entropy, which of PyTorch's own stops at a NaN."""
    return -(t * p.log() + (1 - t) * (1 - p).log()).mean()


def _sure(probabilities: Any) -> Any:
    return probabilities.clamp(SMALLEST, 1 - SMALLEST)


def _shares(outputs: Any) -> Any:
    return outputs / outputs.sum(-1, keepdim=True)


def _numbers(outputs: Any, targets: Any) -> Any:
    """Return targets in the shape of the outputs: a class becomes 1 at its index and 0 elsewhere."""
    if targets.dim() < outputs.dim() and outputs.shape[-1] > 1:
        if int(targets.max()) >= outputs.shape[-1]:  # classes without an output are 0 in all, as in the library
            wide = functional.one_hot(targets, int(targets.max()) + 1)
            return wide[:, : outputs.shape[-1]].to(outputs.dtype)
        return functional.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
    return targets.reshape(len(targets), -1).to(outputs.dtype).expand_as(outputs)


def _logarithms(o: Any, t: Any) -> Any:
    return ((o.clamp(min=SMALLEST)).log1p() - (t.clamp(min=SMALLEST)).log1p()).square().mean()


_OF_NUMBERS: Mapping[str, Loss] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
    "hinge": lambda o, t: (1 - (2 * t - 1) * o).clamp(min=0).mean(),
    "squared hinge": lambda o, t: (1 - (2 * t - 1) * o).clamp(min=0).square().mean(),
    "log cosh": lambda o, t: (torch.logaddexp(o - t, t - o) - math.log(2.0)).mean(),
    "poisson": lambda o, t: functional.poisson_nll_loss(o, t, log_input=False, eps=SMALLEST),
    "mean squared logarithmic error": _logarithms,
    "mean absolute percentage error": lambda o, t: 100 * ((o - t).abs() / t.abs().clamp(min=SMALLEST)).mean(),
    "cosine similarity": lambda o, t: -functional.cosine_similarity(o, t, eps=SMALLEST).mean(),
    "cosine proximity": lambda o, t: -functional.cosine_similarity(o, t, eps=SMALLEST).mean(),
    "kullback leibler divergence": lambda o, t: functional.kl_div(_sure(o).log(), _sure(t), reduction="batchmean"),
    "sum of squares": lambda o, t: functional.mse_loss(o, t, reduction="sum"),
    "rmse": lambda o, t: (functional.mse_loss(o, t) + SMALLEST**2).sqrt(),
}


# --- optimizers ------------------------------------------------------------------------------------------------------


def torch_optimizer(recipe: Mapping[str, Any], model: nn.Module) -> tuple[Any, Callable[[], None]]:
    """Return the optimizer of a recipe, and what clips gradients before a step.

    Raises:
        UnbuildableError: for an optimizer that PyTorch has not.
    """
    name, rate, words = named_method(recipe)
    decays = decays_of(recipe)
    kinds = {"sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop",
             "adagrad": "Adagrad", "adadelta": "Adadelta", "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam",
             "rprop": "Rprop", "amsgrad": "Adam"}  # fmt: skip
    kind = kinds.get(name)
    if kind is None:
        raise UnbuildableError(f"PyTorch has no optimizer {name!r}")
    if decays.get("weight_decay") and kind == "Adam":
        kind = "AdamW"  # whose decay is the decoupled one
    settings: dict[str, Any] = {"lr": rate}
    if kind == "SGD":
        momentum = number_in(words.get("momentum") or (0.9 if name in ("momentum", "nesterov") else 0.0), "momentum")
        settings |= {"momentum": momentum, "nesterov": bool(momentum and (words.get("nesterov") or name == "nesterov"))}
    elif kind != "Rprop":
        settings["eps"] = number_in(words.get("eps", KERAS_EPSILON), "epsilon")
    if kind in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax"):
        settings["betas"] = tuple(number_in(words.get(f"b{i}", usual), "beta") for i, usual in ((1, 0.9), (2, 0.999)))
    if name == "amsgrad":
        settings["amsgrad"] = True
    if kind == "RMSprop":
        settings["alpha"] = number_in(words.get("rho", words.get("decay", 0.9)), "rho")
    if kind == "Adagrad":
        settings["initial_accumulator_value"] = number_in(words.get("initial", 0.1), "the first accumulator")
    if "flipped_gradient_sign" in (recipe.get("label") or ()):
        settings["maximize"] = True
    kernels = [tensor for tensor in model.parameters() if tensor.dim() > 1]
    others = [tensor for tensor in model.parameters() if tensor.dim() <= 1]
    decay = decays.get("weight_decay", 0.0)
    # The derivative of λ‖w‖² is 2λw.
    groups = [{"params": kernels, "weight_decay": decay + 2 * decays.get("l2", 0.0)}]
    groups += [{"params": others, "weight_decay": decay}] if others else []
    if not any(group["weight_decay"] for group in groups) or kind == "Rprop":
        groups = [{"params": list(model.parameters())}]
    optimizer = getattr(torch.optim, kind)(groups, **settings)
    return optimizer, _clip(words, list(model.parameters()))


def _clip(words: Mapping[str, Any], parameters: list[Any]) -> Callable[[], None]:
    """Return what clips the gradients."""

    def clip() -> None:
        if words.get("clip_norm"):
            nn.utils.clip_grad_norm_(parameters, number_in(words["clip_norm"], "clip_norm"))
        if words.get("clip_value"):
            nn.utils.clip_grad_value_(parameters, number_in(words["clip_value"], "clip_value"))

    return clip
