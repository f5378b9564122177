"""Answering: from the bytes of an image to its recorded answer."""
