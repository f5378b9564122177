"""Addresses of callers, and what stands for all addresses of one subscriber."""

import ipaddress

from starlette.types import Scope

_NETWORK = 64  # bits; a subscriber has all IPv6 addresses of such a network


def subscriber(address: str) -> str:
    """What stands for all addresses of one subscriber: an IPv4 address, or the /64 network of an IPv6 address.

    Args:
        address: of a client. What is no IP address stands for itself, at most 100 characters of it.
    """
    if ":" not in address:
        return address[:100]
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, _NETWORK), strict=False))


def client_address(scope: Scope) -> str:
    """The address of the client, as `service.http.proxied` found it; "" where there is none, as of a Unix socket."""
    client = scope.get("client")
    return client[0] if client else ""
