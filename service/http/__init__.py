"""What stands around every request: frames, limits, access, health and metrics."""
