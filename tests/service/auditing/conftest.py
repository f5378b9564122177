"""The fixtures of editing: a real database, follower and release."""

from tests.service.editing.conftest import editing, predictor

__all__ = ["editing", "predictor"]
