"""Models: ours, and those of Equinox and Flax NNX, behind one interface."""
