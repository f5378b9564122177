"""Compiled loops and their counterparts on a device."""
