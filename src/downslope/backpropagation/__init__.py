"""Backpropagation: the computation graph of a value at a point, with the gradient of every node."""

from downslope.backpropagation._backprop import backprop
from downslope.backpropagation._graph import Edge, Node
from downslope.backpropagation._result import Backpropagation

__all__ = ["Backpropagation", "Edge", "Node", "backprop"]
