"""Callers: who they are, their sessions, what they may still ask for, and the record of what they did."""
