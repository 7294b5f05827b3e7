"""Layers: what a network of ours is made of."""
