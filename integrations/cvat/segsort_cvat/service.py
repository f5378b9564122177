"""The client of the segsort service, by parameters and environment variables."""

from __future__ import annotations

import os

from segsort_client import DEFAULT_ADDRESS, Client


def service(address: str | None = None, key: str | None = None) -> Client:
    """A client.

    Args:
        address: of the service; None: SEGSORT_ADDRESS, or port 8000 of this machine.
        key: of a reader; of a curator to teach. None: SEGSORT_KEY, which keeps the key off the command line.
    """
    return Client(
        address or os.environ.get("SEGSORT_ADDRESS") or DEFAULT_ADDRESS, key or os.environ.get("SEGSORT_KEY") or None
    )
