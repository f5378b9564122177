"""Verification and recovery of a database: what is wrong with it, and a new one from what is sound."""
