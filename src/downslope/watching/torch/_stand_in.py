"""Stand-ins for model and optimizer of a library that trains on PyTorch's tensors with optimizers of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from downslope.watching.torch._library import Module, Optimizer, Tensor, torch


def stand_ins(
    kind: str, parameters: Mapping[str, Tensor], group: Mapping[str, Any], step: Callable[..., None]
) -> tuple[Module, Optimizer, Callable[..., None]]:
    """Return a module, an optimizer with PyTorch's hooks around the steps of another, and the function to take one.

    Args:
        kind: the name of the optimizer's class.
        parameters: what it steps, by name; the module has these, and nothing else.
        group: its settings, as those of a group of parameters.
        step: what takes a step.
    """
    module = _module_class()(parameters)

    def take(self: Any, closure: Any = None) -> None:
        self.pending()

    optimizer = type(kind, (torch.optim.Optimizer,), {"step": take})(list(parameters.values()), dict(group))

    def stepped(*arguments: Any, **named: Any) -> None:
        # Not by the arguments of `step`, where a closure would stand.
        optimizer.pending = functools.partial(step, *arguments, **named)
        try:
            optimizer.step()
        finally:
            del optimizer.pending

    return module, optimizer, stepped


@functools.cache
def _module_class() -> type:
    class NamedParameters(torch.nn.Module):
        def __init__(self, named: Mapping[str, Tensor]) -> None:
            torch.nn.Module.__init__(self)
            self._named = dict(named)

        def named_parameters(self, *_: Any, **__: Any) -> Any:
            return iter(self._named.items())

    return NamedParameters
