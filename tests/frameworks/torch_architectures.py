"""Networks of PyTorch of many kinds, small ones, with what a watch should read of each.

`ARCHITECTURES` holds by name the function that makes a model, its inputs, its loss, and the layers by name with their
activation; "" for one that cannot be read, and the layers whose activation does not stand right behind them: a norm, a
pooling or a gate comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

ROWS = 12


@dataclass(frozen=True)
class Architecture:
    """What is watched, and what is to be read.

    Args:
        make: makes the model.
        inputs: the shape of one row; None for five tokens.
        layers: the activation of each layer by its name.
        behind: layers whose activation has something before it.
        nested: parts in loops and recurrences.
        unread: parts that no layer can be read from, which the notes name.
        loss: "classes", "numbers", "picture" or "tokens".
        tokens: how many there are, of a network that reads them.
    """

    make: Callable[[], nn.Module]
    inputs: tuple[int, ...] | None
    layers: Mapping[str, str]
    behind: frozenset[str] = frozenset()
    nested: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    loss: str = "classes"
    tokens: int | None = None


class Program(nn.Module):
    """Modules by name, and the function that calls them."""

    def __init__(self, run: Callable[..., Tensor], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


class Doubled(torch.autograd.Function):
    """An activation with a derivative of its own."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return torch.where(x > 0, 2 * x, x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return torch.where(x > 0, 2 * gradients[0], gradients[0])


class Multiplied(torch.autograd.Function):
    """A product with a derivative of its own."""

    @staticmethod
    def forward(context: Any, x: Tensor, kernel: Tensor) -> Tensor:
        context.save_for_backward(x, kernel)
        return x @ kernel

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, kernel = context.saved_tensors
        return gradients[0] @ kernel.T, x.T @ gradients[0]


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) / shape[0] ** 0.5)


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (2, 4)).transpose(1, 2)


def by_hand(net: Any, x: Tensor) -> Tensor:
    query, key, value = net.query(x), net.key(x), net.value(x)
    weights = torch.softmax(query @ key.transpose(1, 2) / 8**0.5, -1)
    return net.last((weights @ value).mean(1))


def fused(net: Any, x: Tensor) -> Tensor:
    query, key, value = (heads(part) for part in net.together(x).chunk(3, -1))
    mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    return net.last(net.out(mixed)[:, -1])


def experts(net: Any, x: Tensor) -> Tensor:
    chances = torch.softmax(net.gate(x), -1)
    best = chances.argmax(-1)
    mixed = torch.zeros_like(x)
    for number, expert in enumerate(net.experts):
        rows = (best == number).nonzero().reshape(-1)
        mixed = mixed.index_add(0, rows, expert(x[rows]) * chances[rows, number : number + 1])
    return net.last(x + mixed)


def cells(net: Any, x: Tensor) -> Tensor:
    hidden = cell = torch.zeros(len(x), 6)
    for step in range(x.shape[1]):
        hidden, cell = net.cell(x[:, step], (hidden, cell))
    return net.last(hidden)


def sequence(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules)


def activated(activation: nn.Module) -> Callable[[], nn.Module]:
    return lambda: sequence(nn.Linear(5, 8), activation, nn.Linear(8, 3))


DENSE = {"0": "relu", "2": "linear"}
ACTIVATIONS: dict[str, tuple[nn.Module, str]] = {
    "relu": (nn.ReLU(), "relu"),
    "tanh": (nn.Tanh(), "tanh"),
    "sigmoid": (nn.Sigmoid(), "sigmoid"),
    "gelu": (nn.GELU(), "gelu"),
    "gelu by tanh": (nn.GELU("tanh"), "gelu"),
    "silu": (nn.SiLU(), "silu"),
    "elu": (nn.ELU(), "elu"),
    "selu": (nn.SELU(), "selu"),
    "leaky": (nn.LeakyReLU(0.1), "leaky_relu"),
    "softplus": (nn.Softplus(), "softplus"),
    "mish": (nn.Mish(), "mish"),
    "hardswish": (nn.Hardswish(), "hardswish"),
    "hardsigmoid": (nn.Hardsigmoid(), "hardsigmoid"),
    "hardtanh": (nn.Hardtanh(), "hardtanh"),
    "relu6": (nn.ReLU6(), "hardtanh"),
    "prelu": (nn.PReLU(), "prelu"),
    "relu in place": (nn.ReLU(inplace=True), "relu"),
    "log sigmoid": (nn.LogSigmoid(), "log_sigmoid"),
    "softsign": (nn.Softsign(), ""),
    "tanhshrink": (nn.Tanhshrink(), ""),
    "celu": (nn.CELU(), ""),
}

ARCHITECTURES: dict[str, Architecture] = {
    **{
        f"dense, {name}": Architecture(
            activated(module),
            (5,),
            {"0": said, "2": "linear"},
            behind=frozenset({"0"} if name == "gelu by tanh" else ()),  # the test has it exactly
        )
        for name, (module, said) in ACTIVATIONS.items()
    },
    "numbers": Architecture(
        lambda: sequence(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)),
        (5,),
        {"0": "tanh", "2": "linear"},
        loss="numbers",
    ),
    "functional activations": Architecture(
        lambda: Program(
            lambda net, x: net.last(functional.silu(net.second(functional.gelu(net.first(x))))),
            first=nn.Linear(5, 8),
            second=nn.Linear(8, 8),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"first": "gelu", "second": "silu", "last": "linear"},
    ),
    "parameters alone": Architecture(
        lambda: Program(
            lambda net, x: torch.tanh(x @ net.first + net.bias) @ net.last,
            first=parameter(5, 8),
            bias=parameter(8),
            last=parameter(8, 3),
        ),
        (5,),
        {"first": "tanh", "last": "linear"},
    ),
    "einsum": Architecture(
        lambda: Program(
            lambda net, x: torch.einsum("bh,hc->bc", torch.relu(torch.einsum("bi,ih->bh", x, net.first)), net.last),
            first=parameter(5, 8),
            last=parameter(8, 3),
        ),
        (5,),
        {"first": "relu", "last": "linear"},
    ),
    "functional call": Architecture(
        lambda: Program(
            lambda net, x: torch.func.functional_call(net.body, dict(net.body.named_parameters()), (x,)),
            body=sequence(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)),
        ),
        (5,),
        {"body/0": "relu", "body/2": "linear"},
    ),
    "dropout": Architecture(
        lambda: sequence(nn.Linear(5, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 3)),
        (5,),
        {"0": "relu", "3": "linear"},
        behind=frozenset({"0"}),
    ),
    "convolutions": Architecture(
        lambda: sequence(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 2),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(32, 3),
        ),
        (1, 8, 8),
        {"0": "relu", "3": "tanh", "6": "linear"},
    ),
    "depthwise": Architecture(
        lambda: sequence(
            nn.Conv2d(4, 4, 3, groups=4),
            nn.ReLU(),
            nn.Conv2d(4, 8, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        ),
        (4, 6, 6),
        {"0": "relu", "2": "relu", "6": "linear"},
    ),
    "transposed convolution": Architecture(
        lambda: sequence(nn.Conv2d(1, 4, 2, 2), nn.ReLU(), nn.ConvTranspose2d(4, 1, 2, 2), nn.Sigmoid()),
        (1, 6, 6),
        {"0": "relu", "2": "sigmoid"},
        loss="picture",
    ),
    "dilated convolution": Architecture(
        lambda: Program(
            lambda net, x: net.last(functional.relu(net.first(functional.pad(x, (2, 0)))).mean(-1)),
            first=nn.Conv1d(3, 8, 2, dilation=2),
            last=nn.Linear(8, 3),
        ),
        (3, 9),
        {"first": "relu", "last": "linear"},
    ),
    "volumes": Architecture(
        lambda: sequence(nn.Conv3d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)),
        (1, 3, 3, 3),
        {"0": "relu", "3": "linear"},
    ),
    "upsampled": Architecture(
        lambda: Program(
            lambda net, x: net.last(
                torch.cat([x, functional.interpolate(torch.relu(net.down(x)), scale_factor=2)], 1)
            ).mean((2, 3)),
            down=nn.Conv2d(1, 4, 2, 2),
            last=nn.Conv2d(5, 3, 3),
        ),
        (1, 6, 6),
        {"down": "relu", "last": "linear"},
        behind=frozenset({"last"}),
    ),
    "recurrent": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.body(x)[0][:, -1]), body=nn.RNN(4, 6, batch_first=True), last=nn.Linear(6, 3)
        ),
        (5, 4),
        {"body/weight_ih_l0": "", "last": "linear"},
        behind=frozenset({"body/weight_ih_l0"}),
        nested=frozenset({"body/weight_hh_l0"}),
    ),
    "lstm": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.body(x)[0][:, -1]), body=nn.LSTM(4, 6, batch_first=True), last=nn.Linear(6, 3)
        ),
        (5, 4),
        {"last": "linear"},
        nested=frozenset({"body/weight_ih_l0", "body/weight_hh_l0"}),
    ),
    "two layers of lstm, both ways": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.body(x)[0][:, -1]),
            body=nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True),
            last=nn.Linear(12, 3),
        ),
        (5, 4),
        {"last": "linear"},
        nested=frozenset(
            f"body/weight_{kind}_l{layer}{way}" for kind in ("ih", "hh") for layer in (0, 1) for way in ("", "_reverse")
        ),
    ),
    "gru": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.body(x)[0][:, -1]), body=nn.GRU(4, 6, batch_first=True), last=nn.Linear(6, 3)
        ),
        (5, 4),
        {"body/weight_ih_l0": "", "last": "linear"},
        behind=frozenset({"body/weight_ih_l0"}),
        nested=frozenset({"body/weight_hh_l0"}),
    ),
    "cells": Architecture(
        lambda: Program(cells, cell=nn.LSTMCell(4, 6), last=nn.Linear(6, 3)),
        (5, 4),
        {"last": "linear"},
        nested=frozenset({"cell/weight_ih", "cell/weight_hh"}),
    ),
    "multi-head attention": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.attention(x, x, x, need_weights=False)[0][:, -1]),
            attention=nn.MultiheadAttention(8, 2, batch_first=True),
            last=nn.Linear(8, 3),
        ),
        (5, 8),
        {"attention/in_proj_weight": "", "attention/out_proj": "linear", "last": "linear"},
    ),
    "fused attention": Architecture(
        lambda: Program(fused, together=nn.Linear(8, 24), out=nn.Linear(8, 8), last=nn.Linear(8, 3)),
        (5, 8),
        {"together": "", "out": "linear", "last": "linear"},
        behind=frozenset({"out"}),  # of the last position, which alone is read
    ),
    "attention by hand": Architecture(
        lambda: Program(
            by_hand, query=nn.Linear(8, 8), key=nn.Linear(8, 8), value=nn.Linear(8, 8), last=nn.Linear(8, 3)
        ),
        (5, 8),
        {"query": "", "key": "", "value": "", "last": "linear"},
    ),
    "transformer": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.body(x).mean(1)),
            body=nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True),
            last=nn.Linear(8, 3),
        ),
        (5, 8),
        {
            "body/self_attn/in_proj_weight": "",
            "body/self_attn/out_proj": "",
            "body/linear1": "relu",
            "body/linear2": "",
            "last": "linear",
        },
    ),
    "transformer, norms first": Architecture(
        lambda: Program(
            lambda net, x: net.last(net.body(x).mean(1)),
            body=nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True),
            last=nn.Linear(8, 3),
        ),
        (5, 8),
        {
            "body/self_attn/in_proj_weight": "",
            "body/self_attn/out_proj": "",
            "body/linear1": "gelu",
            "body/linear2": "",
            "last": "linear",
        },
    ),
    "embedding": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.relu(net.first(net.table(x).mean(1)))),
            table=nn.Embedding(20, 6),
            first=nn.Linear(6, 8),
            last=nn.Linear(8, 3),
        ),
        None,
        {"first": "relu", "last": "linear"},
        tokens=20,
    ),
    "bag of words": Architecture(
        lambda: sequence(nn.EmbeddingBag(20, 6), nn.Linear(6, 3)), None, {"1": "linear"}, tokens=20
    ),
    "tied words": Architecture(
        lambda: Program(
            lambda net, x: functional.linear(torch.tanh(net.first(net.table(x))), net.table.weight),
            table=nn.Embedding(20, 6),
            first=nn.Linear(6, 6),
        ),
        None,
        {"first": "tanh", "table": "linear"},
        loss="tokens",
        tokens=20,
    ),
    "tied autoencoder": Architecture(
        lambda: Program(
            lambda net, x: torch.relu(x @ net.kernel) @ net.kernel.T,
            kernel=parameter(6, 3),
        ),
        (6,),
        {"kernel": "relu", "kernel (2)": "linear"},
        loss="picture",
    ),
    "weight norm": Architecture(
        lambda: sequence(nn.utils.parametrizations.weight_norm(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 3)),
        (5,),
        {"0/parametrizations/weight": "relu", "2": "linear"},
    ),
    "spectral norm": Architecture(
        lambda: sequence(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 3)),
        (5,),
        {"0/parametrizations/weight": "relu", "2": "linear"},
    ),
    "batch norm": Architecture(
        lambda: sequence(nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
        (5,),
        {"0": "relu", "3": "linear"},
        behind=frozenset({"0"}),
    ),
    "layer norm and residuals": Architecture(
        lambda: Program(
            lambda net, x: net.last(x + net.second(torch.relu(net.first(net.norm(x))))),
            norm=nn.LayerNorm(8),
            first=nn.Linear(8, 16),
            second=nn.Linear(16, 8),
            last=nn.Linear(8, 3),
        ),
        (8,),
        {"first": "relu", "second": "linear", "last": "linear"},  # beside it are the data themselves
    ),
    "positions": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.relu(net.first(x * net.scale + net.shift)).mean(1)),
            scale=parameter(5, 1),
            shift=parameter(5, 4),
            first=nn.Linear(4, 8),
            last=nn.Linear(8, 3),
        ),
        (5, 4),
        {"first": "relu", "last": "linear"},
    ),
    "orthogonal": Architecture(
        lambda: sequence(nn.utils.parametrizations.orthogonal(nn.Linear(5, 5)), nn.ReLU(), nn.Linear(5, 3)),
        (5,),
        {"0/parametrizations/weight": "relu", "2": "linear"},
    ),
    "masked": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.relu(functional.linear(x, net.kernel * net.mask))),
            kernel=parameter(8, 5),
            mask=torch.ones(8, 5).tril(),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"kernel": "relu", "last": "linear"},
    ),
    "low rank": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.relu(net.held(x) + x @ net.down @ net.up)),
            held=nn.Linear(5, 8).requires_grad_(False),
            down=parameter(5, 2),
            up=parameter(2, 8),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"down": "linear", "up": "relu", "last": "linear"},
        behind=frozenset({"up"}),
    ),
    "points of an equation": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.tanh(net.first(x.requires_grad_()))),
            first=nn.Linear(5, 8),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"first": "tanh", "last": "linear"},
    ),
    "group norm": Architecture(
        lambda: sequence(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), nn.Linear(64, 3)),
        (1, 6, 6),
        {"0": "silu", "4": "linear"},
        behind=frozenset({"0"}),
    ),
    "instance norm": Architecture(
        lambda: sequence(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
        (1, 6, 6),
        {"0": "relu", "4": "linear"},
        behind=frozenset({"0"}),
    ),
    "rms norm and gates": Architecture(
        lambda: Program(
            lambda net, x: net.last(functional.silu(net.gate(net.norm(x))) * net.up(net.norm(x))),
            norm=nn.RMSNorm(8),
            gate=nn.Linear(8, 16, bias=False),
            up=nn.Linear(8, 16, bias=False),
            last=nn.Linear(16, 3),
        ),
        (8,),
        {"gate": "silu", "up": "", "last": "linear"},
    ),
    "residual convolutions": Architecture(
        lambda: Program(
            lambda net, x: net.last(
                torch.relu(net.short(x) + net.norm(net.second(torch.relu(net.first(x))))).mean((2, 3))
            ),
            first=nn.Conv2d(2, 4, 3, padding=1),
            second=nn.Conv2d(4, 4, 3, padding=1),
            norm=nn.BatchNorm2d(4),
            short=nn.Conv2d(2, 4, 1),
            last=nn.Linear(4, 3),
        ),
        (2, 5, 5),
        {"short": "", "first": "relu", "second": "", "last": "linear"},
    ),
    "dense connections": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.cat([x, torch.relu(net.first(x))], 1)),
            first=nn.Linear(5, 4),
            last=nn.Linear(9, 3),
        ),
        (5,),
        {"first": "relu", "last": "linear"},
    ),
    "experts": Architecture(
        lambda: Program(
            experts,
            gate=nn.Linear(6, 2),
            experts=nn.ModuleList(sequence(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 6)) for _ in range(2)),
            last=nn.Linear(6, 3),
        ),
        (6,),
        {
            "gate": "softmax",
            "experts/0/0": "relu",
            "experts/0/2": "",
            "experts/1/0": "relu",
            "experts/1/2": "",
            "last": "linear",
        },
    ),
    "twins that share": Architecture(
        lambda: Program(
            lambda net, x: net.last((torch.tanh(net.body(x[:, :4])) - torch.tanh(net.body(x[:, 4:]))).abs()),
            body=nn.Linear(4, 6),
            last=nn.Linear(6, 3),
        ),
        (8,),
        {"body": "tanh", "body (2)": "tanh", "last": "linear"},
    ),
    "bilinear": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.relu(net.both(x[:, :3], x[:, 3:]))),
            both=nn.Bilinear(3, 3, 8),
            last=nn.Linear(8, 3),
        ),
        (6,),
        {"last": "linear"},
        unread=frozenset({"both/weight"}),
    ),
    "own activation": Architecture(
        lambda: Program(
            lambda net, x: net.last(Doubled.apply(net.first(x))), first=nn.Linear(5, 8), last=nn.Linear(8, 3)
        ),
        (5,),
        {"first": "", "last": "linear"},
    ),
    "own product": Architecture(
        lambda: Program(
            lambda net, x: net.last(torch.relu(Multiplied.apply(x, net.first))),
            first=parameter(5, 8),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"last": "linear"},
        unread=frozenset({"first"}),
    ),
    "checkpointed": Architecture(
        lambda: Program(
            lambda net, x: net.last(checkpoint(lambda z: torch.relu(net.first(z)), x, use_reentrant=False)),
            first=nn.Linear(5, 8),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"first": "relu", "last": "linear"},
    ),
    "checkpointed, reentrant": Architecture(
        lambda: Program(
            lambda net, x: net.last(
                checkpoint(lambda z: torch.relu(net.first(z)), x.requires_grad_(), use_reentrant=True)
            ),
            first=nn.Linear(5, 8),
            last=nn.Linear(8, 3),
        ),
        (5,),
        {"last": "linear"},
        unread=frozenset({"first/weight"}),
    ),
}
