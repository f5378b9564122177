"""Keys of callers. Each has a name and a role; only its SHA-256 is stored."""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from service.settings import Settings

Role = Literal["reader", "curator"]
ROLES: tuple[Role, ...] = get_args(Role)
_NAME = re.compile(r"[\w.@+-]{1,60}")
_PREFIX = "segsort_"  # lets a person or a secret scanner recognise a leaked key
_PARTS = 3  # of a line: name, role, digest


@dataclass(frozen=True)
class Caller:
    """Who sends a request. A reader may read; a curator may also edit."""

    name: str
    role: Role


@dataclass(frozen=True)
class Key:
    """What is stored of a key: its caller and its SHA-256, 32 bytes. The key cannot be recovered from it."""

    caller: Caller
    digest: bytes

    @property
    def line(self) -> str:
        """The line of a key file: name:role:sha256."""
        return f"{self.caller.name}:{self.caller.role}:{self.digest.hex()}"


LOCAL = Caller("local", "curator")  # every caller of a service without keys


class Access:
    """The accepted keys. Without keys, every caller is `LOCAL`."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)

    def caller(self, presented: str | None) -> Caller | None:
        """The caller with this key; None if no key matches. The time does not depend on which key matches."""
        if not self.keys:
            return LOCAL
        digest = _digest(presented or "")
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.caller
        return found

    def describe(self, settings: Settings) -> str:
        """One line for the log: who may read and who may edit.

        Raises:
            ValueError: if there are no keys, other machines can reach the host, and the setting `open` is false.
        """
        if self.keys:
            counts = [f"{sum(key.caller.role == role for key in self.keys)} {role}" for role in ROLES]
            return f"access: by key, {' and '.join(counts)}"
        if is_loopback(settings.host):
            return f"access: no keys are set, every caller of {settings.host} on this machine may read and edit"
        if not settings.open:
            raise ValueError(
                f"host={settings.host!r} can be reached from other machines and no keys are set: anyone could edit; "
                "set SEGSORT_API_KEYS or SEGSORT_API_KEYS_FILE (`segsort keys new NAME --role curator` makes a key), "
                "listen on 127.0.0.1, or set SEGSORT_OPEN=true if a proxy or a firewall controls access to the port"
            )
        return f"access: open, every caller of {settings.host} may read and edit; set SEGSORT_API_KEYS to require keys"


def new_key(name: str, role: Role) -> tuple[str, Key]:
    """Make a random key of 256 bits.

    Returns:
        The key, and what is stored of it.

    Raises:
        ValueError: if the name is not 1 to 60 letters, digits and . _ - + @.
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, Key(Caller(_checked_name(name, "the name"), role), _digest(secret))


def read_access(settings: Settings) -> Access:
    """Read the keys of the settings: of the variable and of the file.

    Raises:
        ValueError: if a line is not name:role:sha256, a name or a key occurs twice, or the file has no keys. The
            message names the place. It never shows the text in place of the digest, which may be a key.
    """
    keys: dict[str, Key] = {}
    digests: set[bytes] = set()
    for place, line in _lines(settings):
        key = _parse(line, place)
        if key.caller.name in keys:
            raise ValueError(f"{place}: the name {key.caller.name!r} occurs twice; give each key a name of its own")
        if key.digest in digests:
            raise ValueError(
                f"{place}: the key of {key.caller.name!r} also has another name; make one key for each name"
            )
        keys[key.caller.name] = key
        digests.add(key.digest)
    return Access(keys.values())


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens on the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may resolve to any address
        return False


def _lines(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each entry with its place, for error messages."""
    for number, entry in enumerate(filter(str.strip, settings.api_keys.split(",")), start=1):
        yield f"SEGSORT_API_KEYS, entry {number}", entry.strip()
    if settings.api_keys_file is not None:
        yield from _file_lines(settings.api_keys_file)


def _file_lines(file: Path) -> list[tuple[str, str]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"SEGSORT_API_KEYS_FILE={str(file)!r} cannot be read: {error}") from error
    found = [(f"{file}, line {number}", line.strip()) for number, line in enumerate(lines, start=1)]
    found = [(place, line) for place, line in found if line and not line.startswith("#")]
    if not found:  # an empty file must not give everyone access
        raise ValueError(
            f"SEGSORT_API_KEYS_FILE={str(file)!r} has no keys; add a line with "
            f"`segsort keys new NAME --role curator >> {file}`, or unset the variable"
        )
    return found


def _parse(line: str, place: str) -> Key:
    parts = [part.strip() for part in line.split(":")]
    if len(parts) != _PARTS:
        raise ValueError(
            f"{place}: {len(parts)} parts separated by colons; allowed: name:role:sha256, the line that "
            "`segsort keys new` prints"
        )
    name, role, digest = parts
    if role not in ROLES:
        shown = repr(role) if len(role) <= 20 else f"a word of {len(role)} letters"
        raise ValueError(f"{place}: the role is {shown}; allowed: {', '.join(ROLES)}")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise ValueError(
            f"{place}: {len(digest)} characters after the role; allowed: 64 hexadecimal digits, the SHA-256 of "
            "the key, not the key itself"
        )
    return Key(Caller(_checked_name(name, place), role), bytes.fromhex(digest))


def _checked_name(name: str, place: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{place}: {name[:60]!r}; allowed: 1 to 60 letters, digits and . _ - + @")
    return name


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
