"""Batches: the same descent over batches of examples, chunk by chunk."""
