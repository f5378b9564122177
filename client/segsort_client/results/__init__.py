"""Typed results: frozen dataclasses with the fields of the service's answers."""
