"""Origins of web pages, and proxies, as settings list them."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from service.settings import Settings

_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
ANY = "*"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Origins:
    """How the service is reached through proxies, and from pages of other sites.

    Attributes:
        root_path: path below which a proxy publishes the service; "" or as "/sub".
        proxies: networks of the proxies whose X-Forwarded headers count.
        trusted: origins of pages that may edit, beside the service's own page.
        readers: origins of pages that may read answers (CORS); "*": any.
    """

    root_path: str
    proxies: tuple[Network, ...]
    trusted: frozenset[str]
    readers: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Origins":
        """Read the settings.

        Raises:
            ValueError: naming the setting, the entry and what is allowed.
        """
        trusted = [_origin(one, "SEGSORT_TRUSTED_ORIGINS") for one in _entries(settings.trusted_origins)]
        readers = _entries(settings.cors_origins)
        if ANY in readers and len(readers) > 1:
            raise ValueError(
                f"SEGSORT_CORS_ORIGINS={settings.cors_origins!r} lists * and others; allowed: * alone, or origins"
            )
        if readers != [ANY]:
            readers = [_origin(one, "SEGSORT_CORS_ORIGINS") for one in readers]
        proxies = tuple(_network(one) for one in _entries(settings.trusted_proxies))
        return cls(_checked_root_path(settings.root_path), proxies, frozenset(trusted), tuple(readers))

    def trusts(self, client: str | None) -> bool:
        """Whether a connection comes from one of the proxies. client: address of the other end."""
        if not self.proxies or client is None:
            return False
        try:
            address = ipaddress.ip_address(client)
        except ValueError:  # not an IP address, as of a Unix socket
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.proxies)


def is_own(origin: str, host: str | None) -> bool:
    """Whether an origin is that of the host to which a request was sent. The default port may be written or not."""
    try:
        parts = urlsplit(origin)
        return bool(parts.hostname and host) and _address(parts) == _address(urlsplit(f"{parts.scheme}://{host}"))
    except ValueError:  # not a valid address, so not this service's
        return False


def _address(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _entries(setting: str) -> list[str]:
    return [entry.strip() for entry in setting.split(",") if entry.strip()]


def _origin(entry: str, setting: str) -> str:
    """An origin as browsers send it: in lower case, without the default port."""
    try:
        parts = urlsplit(entry.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not bare:
        allowed = "https://host or http://host:port, separated by commas"
        raise ValueError(
            f"{setting}: {entry!r} is not the origin of a page; allowed: {allowed}"
            + (", or * for any page" if setting == "SEGSORT_CORS_ORIGINS" else "")
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = port is not None and port != _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}:{port}" if shown else f"{parts.scheme}://{host}"


def _network(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError as error:
        raise ValueError(
            f"SEGSORT_TRUSTED_PROXIES: {entry!r} is not an IP address or network ({error}); allowed: addresses such as "
            "127.0.0.1 and networks such as 10.0.0.0/8, separated by commas"
        ) from error


def _checked_root_path(given: str) -> str:
    path = given.rstrip("/")
    if not _ROOT_PATH.fullmatch(path) or "/.." in path or "/./" in f"{path}/":
        raise ValueError(
            f"SEGSORT_ROOT_PATH={given!r} is not a path; allowed: a path such as /segsort, of letters, digits and ._~-"
        )
    return path
