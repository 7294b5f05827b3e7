"""Tasks: a model and its data, made into an objective that can be trained."""
