"""The computation graph of a value at a point, gone through forward and then backward by the chain rule."""

from downslope.backpropagation._backprop import backprop
from downslope.backpropagation._result import Backpropagation, Edge, Node

__all__ = ["Backpropagation", "Edge", "Node", "backprop"]
