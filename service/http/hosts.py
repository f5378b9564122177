"""Host names by which callers may reach the service, against DNS rebinding.

A page of another site can let its own host name point to this machine. A browser then takes the service for a part of
that site. The header Host shows the name that the browser used.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from service.http.keys import Access, is_loopback
from service.http.origins import ANY, Origins
from service.settings import Settings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[\w.~%-]+)?\]|[\w.~%!$&'()*+;=-]+)(?::\d*)?", re.ASCII)
_ENTRY = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)
_LOCAL = ("localhost", ".localhost")
_MAX_LENGTH = 300  # of a host with its port; DNS names have at most 253 characters


@dataclass(frozen=True)
class AllowedHosts:
    """Which host names are allowed.

    - Addresses are always allowed: a browser connects to the address that it names, so no other site can use it.
    - `localhost` and names that end with `.localhost` are always allowed: they are names of the caller's own machine.
    - With `any_name`, every name is allowed.
    - With `near`, names without a dot and names that end with `.local` are allowed. They have a meaning in the local
      network only, such as names of containers.

    Attributes:
        names: further allowed names, in lower case.
        suffixes: ends of further allowed names, such as `.example.com`.
        any_name: whether every name is allowed.
        near: whether names of the local network are allowed.
    """

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    any_name: bool = False
    near: bool = False

    @classmethod
    def of(cls, settings: Settings, access: Access, origins: Origins) -> "AllowedHosts":
        """Read the settings.

        Without the setting `allowed_hosts`, every name is allowed if keys are set: a page that uses its own name for
        this service has no key and no cookie. Without keys, names of the local network are allowed if other machines
        of this network can reach the service.

        Raises:
            ValueError: naming the setting, the entry and what is allowed.
        """
        entries = [entry.strip().lower() for entry in settings.allowed_hosts.split(",") if entry.strip()]
        if ANY in entries or (not entries and access.asked):
            return cls(any_name=True)
        entries = [_without_port(entry) for entry in entries]
        own = {settings.host.lower(), socket.gethostname().lower()}
        trusted = {urlsplit(origin).hostname or "" for origin in origins.trusted}
        return cls(
            frozenset(entry for entry in entries if not entry.startswith("*.")) | own | trusted,
            tuple(entry[1:] for entry in entries if entry.startswith("*.")),
            near=not is_loopback(settings.host) and not entries,
        )

    def allows(self, name: str) -> bool:
        """Whether a name is allowed. name: of `host_name`."""
        if self.any_name or name in self.names or name == _LOCAL[0] or name.endswith((_LOCAL[1], *self.suffixes)):
            return True
        if self.near and ("." not in name or name.endswith(".local")):
            return True
        return _is_address(name)


@lru_cache(maxsize=256)
def host_name(host: bytes) -> str | None:
    """The name of a header Host, in lower case, without the port and the last dot; None: the header is not valid."""
    if len(host) > _MAX_LENGTH:
        return None
    found = _HOST.fullmatch(host.decode("latin-1").strip(" \t"))
    if found is None:
        return None
    name = found.group(1).lower()
    return name[1:-1] if name.startswith("[") else name.removesuffix(".") or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.replace("%25", "%", 1))
    except ValueError:
        return False
    return True


def _without_port(entry: str) -> str:
    name = re.sub(r":\d+$", "", entry)
    name = name if name.startswith("*") else name.removesuffix(".")
    if not _ENTRY.fullmatch(name) and not _is_address(name.strip("[]")):
        raise ValueError(
            f"SEGSORT_ALLOWED_HOSTS: {entry!r} is not the name of a host; allowed: names such as gpu.example.com, "
            "*.example.com for all names below it, or * for any, separated by commas"
        )
    return name.strip("[]")
