"""Uncompiled runs of recorded steps: a compiled step is one node, with nothing to see inside.

What was compiled stays, and is neither compiled again nor left: `torch.compiler.set_stance` holds for one step. It is
of the whole process, so that it is set back as soon as the step was taken, and when the watch ends.
"""

from __future__ import annotations

import weakref

from downslope.watching.torch._library import Module, torch


class Stance:
    """The stance of the compiler: that of the loop, except on steps that are looked at.

    Args:
        model: the model, as it was passed to the watch.
        is_compiled: whether it, or a part of it, is known to be compiled.
    """

    def __init__(self, model: Module) -> None:
        self.is_compiled = any(
            type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None
            for module in model.modules()
        )
        self._forced: list[bool] = []
        self._at_end = weakref.finalize(self, _restore, self._forced)

    def met_compiled(self) -> None:
        """Note that a step was compiled, as of a loss or a loop that were."""
        self.is_compiled = True

    def prepare(self, looks: bool) -> None:
        """Set the stance for the next step.

        Args:
            looks: whether it is looked at.
        """
        if not self.is_compiled or not hasattr(torch.compiler, "set_stance"):
            return
        if looks and not self._forced:
            torch.compiler.set_stance("force_eager")
            self._forced.append(True)
        elif not looks:
            self.restore()

    def restore(self) -> None:
        """Set the stance back."""
        _restore(self._forced)


def _restore(forced: list[bool]) -> None:
    if forced:
        forced.clear()
        torch.compiler.set_stance("default")
