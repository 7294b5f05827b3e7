"""Processes that compute for the lab and can be ended."""
