"""Keys of callers. Each has a name and a role; only its SHA-256 is stored."""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from service.http.limits import parse_option
from service.settings import Settings

Role = Literal["reader", "curator"]
ROLES: tuple[Role, ...] = get_args(Role)
_NAME = re.compile(r"[\w.@+-]{1,60}")
_PREFIX = "segsort_"  # lets a person or a secret scanner recognise a leaked key
_KEY = re.compile(_PREFIX + r"[A-Za-z0-9_-]{8,}")
HINT = 8  # bytes of a key's hint
_PARTS = 3  # of a line: name, role, digest; limits may follow


@dataclass(frozen=True)
class Caller:
    """Who sends a request. A reader may read; a curator may also edit."""

    name: str
    role: Role

    @property
    def owner(self) -> str | None:
        """The key whose images and answers the caller sees; None: those of all keys, which a curator sees."""
        return None if self.role == "curator" else self.name


@dataclass(frozen=True)
class Key:
    """What is stored of a key. The key cannot be recovered from it.

    Attributes:
        caller: who has it.
        digest: its SHA-256, 32 bytes.
        options: limits of its own, by name; None: no limit. Those of the settings hold for the others.
    """

    caller: Caller
    digest: bytes
    options: tuple[tuple[str, int | None], ...] = ()

    @property
    def hint(self) -> bytes:
        """What tells keys apart and does not reveal their digests."""
        return hashlib.sha256(b"segsort session of " + self.digest).digest()[:HINT]

    @property
    def line(self) -> str:
        """The line of a key file: name:role:sha256, and limits, each after a further colon."""
        limits = [f"{name}={'none' if most is None else most}" for name, most in self.options]
        return ":".join([self.caller.name, self.caller.role, self.digest.hex(), *limits])


LOCAL = Caller("local", "curator")  # every caller of a service without keys


class Access:
    """The accepted keys. Where keys were never asked for, every caller is `LOCAL`.

    Args:
        keys: the keys.
        asked: whether a key is needed; None: if there are keys. With True and no keys, no caller is accepted.
    """

    def __init__(self, keys: Iterable[Key] = (), asked: bool | None = None) -> None:
        self.keys = tuple(keys)
        self.asked = bool(self.keys) if asked is None else asked
        self._names = {key.caller.name: key for key in self.keys}
        self._hints = {key.hint: key for key in self.keys}
        self._salt = secrets.token_bytes(32)
        self._tags = {self._tag(key.digest): key for key in self.keys}

    def key(self, presented: str | None) -> Key | None:
        """What is stored of a key; None if no key matches.

        The time depends on neither the number of keys nor which one matches, nor on how much of a digest is right: the
        place in the table is a keyed hash that nobody outside of this process can compute.
        """
        digest = sha256(presented or "")
        found = self._tags.get(self._tag(digest))
        return found if found is not None and hmac.compare_digest(found.digest, digest) else None

    def caller(self, presented: str | None) -> Caller | None:
        """The caller with this key; None if no key matches."""
        if not self.asked:
            return LOCAL
        found = self.key(presented)
        return None if found is None else found.caller

    def named(self, name: str) -> Key | None:
        """The key of this name; None if there is none."""
        return self._names.get(name)

    def hinted(self, hint: bytes) -> Key | None:
        """The key with this hint; None if there is none."""
        return self._hints.get(hint)

    def _tag(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=self._salt, digest_size=16).digest()

    def describe(self, settings: Settings) -> str:
        """One line for the log: who may read and who may edit.

        Raises:
            ValueError: if there are no keys, other machines can reach the host, and the setting `open` is false.
        """
        if self.asked:
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


def new_key(name: str, role: Role, options: Iterable[tuple[str, int | None]] = ()) -> tuple[str, Key]:
    """Make a random key of 256 bits.

    Args:
        name: of its caller.
        role: of its caller.
        options: limits of its own, by name.

    Returns:
        The key, and what is stored of it.

    Raises:
        ValueError: if the name is not 1 to 60 letters, digits and . _ - + @.
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, Key(Caller(_checked_name(name, "the name"), role), sha256(secret), tuple(options))


def read_access(settings: Settings) -> Access:
    """Read the keys of the settings: of the variable and of the file.

    Raises:
        ValueError: see `parse_keys`; also if the file cannot be read or has no keys.
    """
    lines = variable_lines(settings.api_keys)
    if settings.api_keys_file is not None:
        lines += file_lines(settings.api_keys_file, read_file(settings.api_keys_file))
    return Access(parse_keys(lines))


def parse_keys(lines: Iterable[tuple[str, str]]) -> list[Key]:
    """The keys of lines.

    Args:
        lines: each with its place, for error messages.

    Raises:
        ValueError: if a line is not name:role:sha256 with limits, or a name or a key occurs twice. The message names
            the place. It never shows the text in place of the digest, which may be a key.
    """
    keys: dict[str, Key] = {}
    digests: set[bytes] = set()
    for place, line in lines:
        key = _parse(line, place)
        if key.caller.name in keys:
            raise ValueError(f"{place}: the name {key.caller.name!r} occurs twice; give each key a name of its own")
        if key.digest in digests:
            raise ValueError(
                f"{place}: the key of {key.caller.name!r} also has another name; make one key for each name"
            )
        keys[key.caller.name] = key
        digests.add(key.digest)
    return list(keys.values())


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens on the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may resolve to any address
        return False


def variable_lines(variable: str) -> list[tuple[str, str]]:
    """Each entry of SEGSORT_API_KEYS with its place."""
    entries = enumerate(filter(str.strip, variable.split(",")), start=1)
    return [(f"SEGSORT_API_KEYS, entry {number}", entry.strip()) for number, entry in entries]


def read_file(file: Path) -> str:
    """The text of SEGSORT_API_KEYS_FILE.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"SEGSORT_API_KEYS_FILE={str(file)!r} cannot be read: {error}") from error


def file_lines(file: Path, text: str, may_be_empty: bool = False) -> list[tuple[str, str]]:
    """Each line of SEGSORT_API_KEYS_FILE that holds a key, with its place.

    Raises:
        ValueError: if there is none, which must not give everyone access; not if `may_be_empty`.
    """
    found = [(f"{file}, line {number}", line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    found = [(place, line) for place, line in found if line and not line.startswith("#")]
    if not found and not may_be_empty:
        raise ValueError(
            f"SEGSORT_API_KEYS_FILE={str(file)!r} has no keys; add a line with "
            f"`segsort keys new NAME --role curator >> {file}`, or unset the variable"
        )
    return found


def _parse(line: str, place: str) -> Key:
    parts = [part.strip() for part in line.split(":")]
    if len(parts) < _PARTS:
        raise ValueError(
            f"{place}: {len(parts)} parts separated by colons; allowed: name:role:sha256, the line that "
            "`segsort keys new` prints"
        )
    name, role, digest, *limits = parts
    if role not in ROLES:
        shown = repr(role) if len(role) <= 20 else f"a word of {len(role)} letters"
        raise ValueError(f"{place}: the role is {shown}; allowed: {', '.join(ROLES)}")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise ValueError(
            f"{place}: {len(digest)} characters after the role; allowed: 64 hexadecimal digits, the SHA-256 of "
            "the key, not the key itself"
        )
    options = dict(parse_option(option, place) for option in limits)
    return Key(Caller(_checked_name(name, place), role), bytes.fromhex(digest), tuple(options.items()))


def _checked_name(name: str, place: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{place}: {name[:60]!r}; allowed: 1 to 60 letters, digits and . _ - + @")
    return name


def without_keys(text: str) -> str:
    """A text for the log, in which a key that somebody wrote in the wrong place cannot be read."""
    return _KEY.sub(f"{_PREFIX}...", text) if _PREFIX in text else text


def sha256(key: str) -> bytes:
    """SHA-256 of a text, 32 bytes."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
