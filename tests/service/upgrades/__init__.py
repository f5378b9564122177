"""Databases of earlier versions, and releases that changed under one name."""
