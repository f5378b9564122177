"""Measurements: each module prints a table and writes JSON with the commit, the machine and the threads it ran with."""
