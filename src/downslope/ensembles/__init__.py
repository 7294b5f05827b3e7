"""Many descents at once: sweeps of rates, races of methods, crowds of starts, the search for the lowest valley."""
