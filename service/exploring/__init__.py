"""Exploring recent images: which of them to label next, and what their unknown segments have in common."""
