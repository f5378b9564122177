"""Edits of exemplars and classes while the service runs."""
