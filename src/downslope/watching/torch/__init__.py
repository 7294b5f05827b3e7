"""PyTorch: what looks into a training by the autograd graph of its loss and by its optimizer's own hooks."""

from downslope.watching.torch._stand_in import stand_ins
from downslope.watching.torch._watch import TorchInstrument

__all__ = ["TorchInstrument", "stand_ins"]
