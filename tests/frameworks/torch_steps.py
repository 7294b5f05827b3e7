"""A step of a watched loop of PyTorch."""

from __future__ import annotations

from typing import Any

import downslope as ds


def take_step(watch: ds.Watch, optimizer: Any, loss: Any) -> None:
    """Record a loss, and take the optimizer's step along its gradient."""
    watch.loss(loss)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
