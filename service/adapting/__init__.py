"""Adapting the served release in the background, as a job."""
