"""Tasks: a model and its data as an objective that can be trained."""
