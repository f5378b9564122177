"""The keys of callers: made once, kept as their SHA-256, each with a name and a role."""

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
_PREFIX = "segsort_"  # lets a scanner for secrets, or a person, recognise a key that went where it should not be


@dataclass(frozen=True)
class Caller:
    """Who sends a request. A curator may do all that a reader may, and edit."""

    name: str
    role: Role


@dataclass(frozen=True)
class Key:
    """What is kept of a key: whose it is, and its SHA-256, from which it cannot be made."""

    caller: Caller
    digest: bytes

    @property
    def line(self) -> str:
        """As it stands in a file of keys: name:role:sha256."""
        return f"{self.caller.name}:{self.caller.role}:{self.digest.hex()}"


LOCAL = Caller("local", "curator")  # everyone, where no keys are set


class Access:
    """The keys that are accepted; none: every caller is `LOCAL`."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)

    def caller(self, presented: str | None) -> Caller | None:
        """Whose key this is; None: nobody's. Takes as long for a wrong key as for any right one."""
        if not self.keys:
            return LOCAL
        digest = _digest(presented or "")
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.caller
        return found

    def describe(self, settings: Settings) -> str:
        """For the log of a start: who may do what.

        Raises:
            ValueError: if there are no keys, the host is no loopback address and the settings do not say `open`.
        """
        if self.keys:
            counts = [f"{sum(key.caller.role == role for key in self.keys)} {role}" for role in ROLES]
            return f"access: by key, {' and '.join(counts)}"
        if is_loopback(settings.host):
            return f"access: no keys, whoever reaches {settings.host} on this machine may read and edit"
        if not settings.open:
            raise ValueError(
                f"host={settings.host!r} can be reached from other machines and no keys are set: anyone could edit; "
                "set SEGSORT_API_KEYS or SEGSORT_API_KEYS_FILE (`segsort keys new NAME --role curator` makes a key), "
                "listen on 127.0.0.1, or say SEGSORT_OPEN=true if something else decides who may reach the port"
            )
        return f"access: open, whoever reaches {settings.host} may read and edit; set SEGSORT_API_KEYS to ask for keys"


def new_key(name: str, role: Role) -> tuple[str, Key]:
    """A new random key of 256 bits, and what is kept of it."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, Key(Caller(_checked_name(name, "the name"), role), _digest(secret))


def read_access(settings: Settings) -> Access:
    """The keys of the settings.

    Raises:
        ValueError: naming the place of a line that is not name:role:sha256, and what is wrong with it; what stands
            in the place of the digest is never shown, it may be a key.
    """
    keys: dict[str, Key] = {}
    digests: set[bytes] = set()
    for place, line in _lines(settings):
        key = _parse(line, place)
        if key.caller.name in keys:
            raise ValueError(
                f"{place}: the name {key.caller.name!r} stands there twice; give each key a name of its own"
            )
        if key.digest in digests:
            raise ValueError(f"{place}: the key of {key.caller.name!r} is another name's too; make one for each")
        keys[key.caller.name] = key
        digests.add(key.digest)
    return Access(keys.values())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may resolve to anything
        return False


def _lines(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each entry with the words that say where it stands."""
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
    if not found:  # never let a file that was emptied open the service to everyone
        raise ValueError(
            f"SEGSORT_API_KEYS_FILE={str(file)!r} holds no key; add a line by "
            f"`segsort keys new NAME --role curator >> {file}`, or unset the variable"
        )
    return found


def _parse(line: str, place: str) -> Key:
    parts = [part.strip() for part in line.split(":")]
    if len(parts) != 3:
        raise ValueError(
            f"{place}: {len(parts)} parts between colons; a key is kept as name:role:sha256, the line that "
            "`segsort keys new` prints"
        )
    name, role, digest = parts
    if role not in ROLES:
        shown = repr(role) if len(role) <= 20 else f"a word of {len(role)} letters"
        raise ValueError(f"{place}: the role is {shown}; allowed: {', '.join(ROLES)}")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise ValueError(
            f"{place}: {len(digest)} characters follow the role; allowed: 64 hexadecimal digits, the SHA-256 of "
            "the key and not the key itself"
        )
    return Key(Caller(_checked_name(name, place), role), bytes.fromhex(digest))


def _checked_name(name: str, place: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{place}: {name[:60]!r}; allowed: 1 to 60 letters, digits and . _ - + @")
    return name


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
