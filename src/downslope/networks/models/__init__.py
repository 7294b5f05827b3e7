"""Models: built-in networks and those of Equinox and Flax NNX behind one interface."""
