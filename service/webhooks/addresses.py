"""Which addresses webhooks may be sent to.

Addresses of private networks are allowed by default: the receivers of a self-hosted service are its neighbours. Some
addresses are never allowed, because nothing that receives webhooks has them: those of a link, where clouds hand out
credentials, and those of groups. An address is checked after its name was resolved, and the connection is made to the
address that was checked.
"""

import ipaddress
import socket
import time
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from service.problems import Problem, printable

Targets = Literal["any", "public", "none"]
LONGEST_URL = 2000  # characters
_PORTS = {"http": 80, "https": 443}
_METADATA = frozenset(  # where clouds hand out credentials, beside the addresses of a link
    ipaddress.ip_address(one) for one in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)
_TRANSLATED = tuple(  # IPv4 addresses as IPv6 ones: of translators, and those that are no longer in use
    ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)
_ALLOWED = "an absolute http or https URL such as https://example.com/segsort"
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedAddress(ConnectionError):
    """The settings do not allow an address."""


class Target(NamedTuple):
    """Where a message is sent. path: with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Host and port for the header Host; the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port, which the log may show; a path may hold a token."""
        return f"{self.scheme}://{self.netloc}"


def parse_url(url: str) -> Target:
    """The parts of a URL.

    Raises:
        Problem: 422 if it is not an absolute http or https URL, or has a password or a fragment.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise _refused(url, f"The URL cannot be read: {error}.") from error
    if parts.scheme not in _PORTS or not host or port == 0:
        raise _refused(url, "The URL has no scheme http or https, no host, or port 0.")
    if parts.username is not None or parts.password is not None:
        raise _refused(None, "The URL has a user name or a password, which would be shown in lists.")
    if parts.fragment or len(url) > LONGEST_URL or not _is_printable_ascii(url):
        raise _refused(url[:100], "The URL has a fragment, or characters other than printable ASCII, or is too long.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def check_literal(target: Target, targets: Targets) -> None:
    """Refuse a host that is written as an address and is not allowed. Names are resolved when something is sent.

    Raises:
        Problem: 422.
    """
    try:
        address = ipaddress.ip_address(target.host)
    except ValueError:
        return
    why = why_refused(address, targets)
    if why is not None:
        raise _refused(target.host, f"Webhooks are not sent to this address: {why}.")


def why_refused(address: _Address, targets: Targets) -> str | None:
    """Why nothing is sent to an address; None: it is allowed."""
    address = _embedded(address)
    if address.is_link_local or address in _METADATA:
        return "it is an address of a link, or of the metadata of a cloud"
    if address.is_multicast or address.is_unspecified or (address.is_reserved and address.version == 4):
        return "it is not the address of a single machine"
    if targets == "public" and not address.is_global:
        return "it is private, and SEGSORT_WEBHOOK_TARGETS=public"
    return None


def connect(target: Target, targets: Targets, deadline: float) -> socket.socket:
    """Connect to a target.

    Args:
        target: where.
        targets: what the settings allow.
        deadline: time.monotonic() at which the attempt ends.

    Raises:
        RefusedAddress: if no address of the host is allowed.
        OSError: if the connection cannot be made.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    refused, failed = None, None
    for family, kind, protocol, _, address in found:
        refused = why_refused(ipaddress.ip_address(str(address[0]).partition("%")[0]), targets)
        if refused is not None:
            continue
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            connection.close()
            failed = error
    if failed is not None:
        raise failed
    raise RefusedAddress(f"nothing is sent to the address of {target.host}: {refused or 'it has none'}")


def _embedded(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address stands for; other addresses as they are."""
    if address.version == 4:
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    is_own = address.is_loopback or address.is_unspecified
    if not is_own and any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_printable_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _refused(received: str | None, detail: str) -> Problem:
    shown = None if received is None else printable(received[:200])
    return Problem(422, detail, received=shown, allowed=_ALLOWED, fix="Give the URL of the receiver.")
