"""Webhooks: edits and ended jobs are sent to other programs, signed, in order, and again until they are answered."""
