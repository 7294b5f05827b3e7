"""Layers of the built-in network, one type a class; their activations and initial weights."""
