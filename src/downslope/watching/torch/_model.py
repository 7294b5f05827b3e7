"""A model and its optimizer in the terms of a trace: parts of the weights, the method, its settings, its scale."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from downslope.methods import (
    ADAGRAD,
    ADAM,
    ADAMW,
    GRADIENT_DESCENT,
    L_BFGS,
    LION,
    MOMENTUM,
    NESTEROV,
    RMSPROP,
    MethodSpec,
)
from downslope.watching._looks import MOST_WEIGHTS
from downslope.watching.torch._library import Module, Optimizer, Tensor, torch

_SMALL = 2**14  # numbers of a part that is compared whole


def unwrapped(model: Module) -> Module:
    """Return a model without what compiles it or shares its gradients."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DistributedDataParallel", "DataParallel"):
            inner = model.module
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


def rank_and_processes() -> tuple[int, int]:
    """Return the number of this process among those that train together, and how many these are."""
    distributed = torch.distributed
    together = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)


class Parts:
    """The parameters of a model, by part.

    Args:
        model: the model.
        optimizers: what steps them.
    """

    def __init__(self, model: Module, optimizers: Sequence[Optimizer]) -> None:
        # A parameter that is shared is named once; compiled modules inside of others have a name of their own.
        named = {name.replace("_orig_mod.", "").replace(".", "/"): tensor for name, tensor in model.named_parameters()}
        self.labels = tuple(named)
        self.tensors: list[Tensor] = list(named.values())
        self.by_name: Mapping[str, Tensor] = named
        self.names = {id(tensor): name for name, tensor in named.items()}
        self.size = sum(tensor.numel() for tensor in self.tensors)
        index = {id(tensor): number for number, tensor in enumerate(self.tensors)}
        self._of: dict[int, list[int]] = {}
        for optimizer in optimizers:
            own = (index.get(id(tensor)) for group in optimizer.param_groups for tensor in group["params"])
            self._of[id(optimizer)] = [number for number in own if number is not None]
        self._kept: list[Tensor] = []  # the weights before a step; the memory is used again at the next look
        stepped = {number for numbers in self._of.values() for number in numbers}
        self.owned = sorted(stepped)
        self._others = [number for number in range(len(self.tensors)) if number not in stepped]
        self._first = id(optimizers[0])

    @property
    def held(self) -> list[str]:
        """The parts that are set to need no gradient."""
        return [name for name, tensor in self.by_name.items() if not tensor.requires_grad]

    @property
    def not_stepped(self) -> list[str]:
        """The parts that need a gradient and that no optimizer was given."""
        return [self.labels[number] for number in self._others if self.tensors[number].requires_grad]

    def arrays(self, tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
        """Return tensors as arrays by part."""
        return {
            name: (tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()).cpu().numpy().copy()
            for name, tensor in zip(self.labels, tensors, strict=True)
        }

    def norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the norm of each tensor, shape (parts,)."""
        with torch.no_grad():
            return torch.stack(norms_of(tensors))

    def sample(self) -> list[Tensor]:
        """Return a copy of the weights; of more than are kept in memory, every k-th number of the large parts.

        It holds until the next one is taken, or `moves` is called.
        """
        with torch.no_grad():
            now = self._sampled()
            is_alike = [*map(_kind, self._kept)] == [*map(_kind, now)]
            if is_alike and not hasattr(now[0], "to_local"):  # a shard
                torch._foreach_copy_(self._kept, now)
            else:
                self._kept = [tensor.clone() for tensor in now]
        return self._kept

    def _sampled(self) -> list[Tensor]:
        step = -(-self.size // MOST_WEIGHTS)
        return self.tensors if step <= 1 else [_every(tensor.detach(), step) for tensor in self.tensors]

    def moves(self, before: list[Tensor]) -> Tensor:
        """Return how far each part moved since a copy was taken, shape (parts,); of a sample, by what is in it.

        The copy is overwritten.
        """
        with torch.no_grad():
            torch._foreach_sub_(before, self._sampled())
            norms = self.norms(before)
        if self.size <= MOST_WEIGHTS:
            return norms
        shares = [math.sqrt(x.numel() / max(kept.numel(), 1)) for x, kept in zip(self.tensors, before, strict=True)]
        return norms * torch.tensor(shares, dtype=norms.dtype, device=norms.device)

    def gradient_norms(self, optimizer: Optimizer) -> Tensor:
        """Return the norm of the gradient of each part that an optimizer steps, shape (parts,); 0 for those without.

        Those of another optimizer are NaN.
        """
        numbers = self._of.get(id(optimizer), [])
        if id(optimizer) == self._first:
            numbers = [*numbers, *self._others]
        gradients = [self.tensors[number].grad for number in numbers]
        arrived = [gradient for gradient in gradients if gradient is not None]
        if len(arrived) == len(self.tensors) and not self._others:
            norms = torch.stack(norms_of(arrived))
            return norms if numbers == sorted(numbers) else norms[torch.tensor(np.argsort(numbers))]
        like = self.tensors[0]
        each = [torch.full((), math.nan, device=like.device)] * len(self.tensors)
        zero = torch.zeros((), device=like.device)
        known = [(n, gradient) for n, gradient in zip(numbers, gradients, strict=True) if gradient is not None]
        for number in numbers:
            each[number] = zero
        for (number, _), norm in zip(known, norms_of([gradient for _, gradient in known]), strict=True):
            each[number] = norm.to(like.device)
        return torch.stack(each)

    def gradient_versions(self) -> dict[str, int]:
        """Return of a part of each optimizer the version of its gradient, which changes when that is cleared."""
        versions = {}
        for numbers in self._of.values():
            number = next((number for number in numbers if self.tensors[number].grad is not None), None)
            if number is not None:
                versions[self.labels[number]] = self.tensors[number].grad._version  # type: ignore[union-attr]
        return versions

    def rate(self, optimizer: Optimizer) -> Any:
        """Return the learning rate of the group with the most weights."""
        groups = optimizer.param_groups
        if len(groups) == 1:
            return _copied(groups[0]["lr"])
        largest = max(groups, key=lambda group: sum(tensor.numel() for tensor in group["params"]))
        return _copied(largest["lr"])


_kind = operator.attrgetter("shape", "dtype", "device")
_storage = operator.attrgetter("dtype", "device", "layout")


def _every(tensor: Tensor, step: int) -> Tensor:
    """Return every k-th number of a tensor, unless it is small."""
    return tensor if tensor.numel() < _SMALL else tensor.reshape(-1)[::step]


def _copied(rate: Any) -> Any:
    return rate.detach().clone() if isinstance(rate, torch.Tensor) else rate


def norms_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the norm of each tensor, in float32 at least, where it is."""
    if not tensors:
        return []
    first = tensors[0]
    if first.layout == torch.strided and len(set(map(_storage, tensors))) == 1:
        wide = first.dtype if first.dtype in (torch.float32, torch.float64) else torch.float32
        return list(torch._foreach_norm(tensors, 2, dtype=None if wide == first.dtype else wide))
    return [torch.linalg.vector_norm(_dense(tensor), dtype=torch.float32) for tensor in tensors]


def _dense(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor: of a sparse gradient, of a shard."""
    if hasattr(tensor, "to_local"):
        tensor = tensor.to_local()  # type: ignore[operator]
    return tensor.coalesce().values() if tensor.is_sparse else tensor


# --- the optimizer ---------------------------------------------------------------------------------------------------


def plan_of(optimizer: Optimizer) -> dict[str, Any]:
    """Return what a plan says of an optimizer: method, settings, rate; by the names of `methods`."""
    group = max(optimizer.param_groups, key=lambda group: sum(tensor.numel() for tensor in group["params"]))
    kind = type(optimizer).__name__
    name, settings = _METHODS.get(kind, lambda group: (kind.lower(), {}))(group)
    rate = group.get("lr")
    decay = group.get("weight_decay")
    if decay is not None:
        settings = {**settings, "weight_decay": float(decay)}
    return {
        "method": name,
        "settings": {key: float(value) for key, value in settings.items()},
        "learning_rate": None if rate is None else float(rate),
    }


def _of_sgd(group: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    momentum = float(group.get("momentum") or 0.0)
    if not momentum:
        return GRADIENT_DESCENT.name, {}
    if float(group.get("dampening") or 0.0):
        return "dampened momentum", {"momentum": momentum}  # of which no bound is known here
    return (NESTEROV if group.get("nesterov") else MOMENTUM).name, {"momentum": momentum}


def _of_adam(spec: MethodSpec) -> Any:
    def settings(group: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        first, second = group["betas"]
        decoupled = spec is ADAM and group.get("decoupled_weight_decay")
        return (ADAMW if decoupled else spec).name, {"beta1": first, "beta2": second, "epsilon": group.get("eps", 1e-8)}

    return settings


_METHODS: dict[str, Any] = {
    "SGD": _of_sgd,
    "Adam": _of_adam(ADAM),
    "AdamW": _of_adam(ADAMW),
    "RMSprop": lambda group: (
        RMSPROP.name if not group.get("momentum") and not group.get("centered") else "rmsprop with momentum",
        {"decay": group["alpha"], "epsilon": group["eps"]},
    ),
    "Adagrad": lambda group: (
        ADAGRAD.name,
        {"initial": group.get("initial_accumulator_value", 0.0), "epsilon": group["eps"]},
    ),
    "LBFGS": lambda group: (L_BFGS.name, {"memory": group.get("history_size", 100)}),
    "Lion": lambda group: (LION.name, {"beta1": group["betas"][0], "beta2": group["betas"][1]}),
}


def scale_of(optimizers: Sequence[Optimizer], parameters: Sequence[Tensor]) -> list[Tensor] | None:
    """Return what a method divides each parameter's step by, as its state has it; None where it divides by nothing."""
    scales: dict[int, Tensor] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for tensor in group["params"]:
                scale = _scale(optimizer.state.get(tensor) or {}, group, type(optimizer).__name__)
                if scale is not None:
                    scales[id(tensor)] = scale
    # A parameter without a state has not been stepped yet.
    if not scales:
        return None
    return [scales[id(p)] if id(p) in scales else torch.ones_like(p, dtype=torch.float32) for p in parameters]


def _scale(state: Mapping[str, Any], group: Mapping[str, Any], kind: str) -> Tensor | None:
    if kind in ("Adam", "AdamW") and "exp_avg_sq" in state:
        square = state.get("max_exp_avg_sq", state["exp_avg_sq"]) if group.get("amsgrad") else state["exp_avg_sq"]
        steps = state["step"]
        steps = steps.to(square.device) if isinstance(steps, torch.Tensor) else steps
        return (square / (1 - group["betas"][1] ** steps)).sqrt() + group["eps"]
    if kind == "RMSprop" and "square_avg" in state:
        return state["square_avg"].sqrt() + group["eps"]
    if kind == "Adagrad" and "sum" in state:
        return state["sum"].sqrt() + group["eps"]
    return None


def dropouts(model: Module) -> Iterator[float]:
    """Yield the share of units that each dropout module takes."""
    for module in model.modules():
        if type(module).__name__.startswith(("Dropout", "AlphaDropout", "FeatureAlphaDropout")):
            share = float(getattr(module, "p", 0.0))
            if share > 0:
                yield share


# --- what goes into the model ----------------------------------------------------------------------------------------


class InputTap:
    """Sees what a model is called with; a hook of the model, of which copies and pickles see nothing.

    A graph holds what its first layer with a gradient reads. Where a body is held or cut off, these are its features,
    and not the rows; so they are taken where they come in. Calls without a gradient are those of an evaluation.
    """

    def __init__(self) -> None:
        self.is_wanted = False  # whether the next rows are kept
        self.inputs: list[Tensor] = []
        self.rows_without_gradient = 0
        self._hook: Any = None
        self._first_is_training: bool | None = None  # the mode of the first step, and of the last
        self._last_is_training = True
        self._modes: set[bool] = set()  # those of the calls without a gradient since the last step
        self._evaluated: set[bool] = set()  # whether all calls of an evaluation were in training mode

    def begin_step(self) -> None:
        """Forget the calls without a gradient that came before a step."""
        self.rows_without_gradient = 0
        self._modes = set()

    def end_evaluation(self) -> None:
        """Remember in which mode the model was evaluated, if it was called."""
        if self._modes:
            self._evaluated.add(self._modes == {True})
            self._modes = set()

    @property
    def modes(self) -> dict[str, bool | None]:
        """The facts on the modes of evaluations and steps; None for what was not seen."""
        if self._first_is_training is None:
            return {}
        return {
            "evaluated_as_trained": self._evaluated == {True} if self._evaluated else None,
            "trained_as_evaluated": self._first_is_training and not self._last_is_training,
        }

    def attach(self, model: Module) -> None:
        """Begin to see."""
        self._hook = model.register_forward_pre_hook(self, with_kwargs=True)

    def remove(self) -> None:
        """See nothing more."""
        if self._hook is not None:
            self._hook.remove()
        self._hook, self.inputs, self.is_wanted = None, [], False

    def __call__(self, module: Module, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        """Take a call; what it sees is never changed."""
        rows = next((x for x in (*arguments, *named.values()) if isinstance(x, torch.Tensor) and x.dim()), None)
        if rows is None:
            return
        if not torch.is_grad_enabled():
            self.rows_without_gradient += len(rows)
            self._modes.add(module.training)
            return
        self._last_is_training = module.training
        if self._first_is_training is None:
            self._first_is_training = module.training
        if self.is_wanted:
            self.inputs.append(rows.detach())

    def __reduce__(self) -> tuple[type[InputTap], tuple[()]]:
        # A copy of the model is another model, and this hook may not keep it from being saved.
        return InputTap, ()
