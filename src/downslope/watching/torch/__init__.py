"""PyTorch: recording of a training through the autograd graph of its loss and its optimizer's hooks."""

from downslope.watching.torch._stand_in import stand_ins
from downslope.watching.torch._watch import TorchInstrument

__all__ = ["TorchInstrument", "stand_ins"]
