"""Sessions of browsers: a random token in a cookie, its hash in the database, and a short memory of both."""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from datetime import timedelta
from typing import NamedTuple

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.http.keys import HINT, Access, Key
from service.records.session_rows import (
    Expiry,
    StoredSession,
    add_session,
    delete_session,
    find_session,
    touch_sessions,
)
from service.records.tables import now
from service.settings import Settings

FRESH = 2.0  # seconds that a process may go on with what it read; another process may end a session meanwhile
_RANDOM, _SEAL = 32, 16  # bytes of a token
_REMEMBERED = 10_000  # sessions, the last ones
_TOUCH_S = 60.0  # the time of last use is written at most once in this time, seconds
_LOOKUPS = 2  # threads that read sessions at the same time
_log = logging.getLogger("segsort.access")


class _Remembered(NamedTuple):
    """A session as it was read; None: there is none. read: seconds of the monotonic clock."""

    session: StoredSession | None
    read: float


class Sessions:
    """Begins, finds and ends sessions. All processes over one database share them.

    A token is 32 random bytes, a hint at its key, and a seal made with the digest of that key. A token that no process
    made is thus refused without asking the database.

    Args:
        database: holds the sessions.
        settings: how long they last.
    """

    def __init__(self, database: Engine, settings: Settings) -> None:
        self._database = database
        self._longest = timedelta(seconds=settings.session_s)
        self._idle = timedelta(seconds=settings.session_idle_s)
        self._touch_after = timedelta(seconds=min(_TOUCH_S, settings.session_idle_s / 4))
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._touched: set[str] = set()
        self._lock = threading.Lock()
        self._lookups = CapacityLimiter(_LOOKUPS)

    def begin(self, key: Key) -> str:
        """Begin a session for the owner of a key, and return its token.

        Raises:
            SQLAlchemyError: if the database does not store it.
        """
        random = secrets.token_bytes(_RANDOM)
        token = base64.urlsafe_b64encode(random + key.hint + _seal(key, random)).rstrip(b"=").decode()
        time_now = now()
        session = StoredSession(_hash(token), key.caller.name, key.digest.hex(), time_now, time_now)
        add_session(self._database, session, Expiry(time_now - self._longest, time_now - self._idle))
        self._remember(session.token_hash, session)
        return token

    def end(self, token: str, access: Access) -> None:
        """End a session: at once in this process, and within `FRESH` seconds in others.

        That of a key which is no longer accepted has ended already.

        Raises:
            SQLAlchemyError: if the database does not delete it.
        """
        if _sealed_by(token, access) is None:
            return
        delete_session(self._database, _hash(token))
        self._remember(_hash(token), None)

    async def find(self, token: str, access: Access) -> Key | None:
        """The key of a session; None if it has ended or never was.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        token_hash = _hash(token)
        found = self._fresh(token_hash)
        if found is not None:
            return self._key_of(found.session, access)
        if _sealed_by(token, access) is None:
            return None
        async with self._lookups:
            found = self._fresh(token_hash)  # of another request that waited meanwhile
            if found is None:
                found = await run_sync(self._read, token_hash)
        return self._key_of(found.session, access)

    def write_uses(self) -> None:
        """Write when sessions were used.

        Raises:
            SQLAlchemyError: if the database does not store it; it is written the next time.
        """
        with self._lock:
            touched, self._touched = self._touched, set()
        if not touched:
            return
        try:
            touch_sessions(self._database, touched, now())
        except SQLAlchemyError:
            with self._lock:
                self._touched |= touched
            raise

    def _fresh(self, token_hash: str) -> _Remembered | None:
        found = self._remembered.get(token_hash)
        return found if found is not None and time.monotonic() - found.read < FRESH else None

    def _read(self, token_hash: str) -> _Remembered:
        return self._remember(token_hash, find_session(self._database, token_hash))

    def _remember(self, token_hash: str, session: StoredSession | None) -> _Remembered:
        found = _Remembered(session, time.monotonic())
        with self._lock:
            self._remembered[token_hash] = found
            self._remembered.move_to_end(token_hash)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def _key_of(self, session: StoredSession | None, access: Access) -> Key | None:
        """The key of a session that has not ended: it is not too old, and its key is still the one that signed in."""
        if session is None:
            return None
        key, time_now = access.named(session.name), now()
        if key is None or not hmac.compare_digest(key.digest.hex(), session.key_digest):
            return None
        if time_now - session.created > self._longest or time_now - session.last_used > self._idle:
            return None
        if time_now - session.last_used > self._touch_after:
            with self._lock:
                self._touched.add(session.token_hash)
        return key


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _seal(key: Key, random: bytes) -> bytes:
    return hmac.digest(key.digest, b"segsort session" + random, "sha256")[:_SEAL]


def _sealed_by(token: str, access: Access) -> Key | None:
    """The key whose seal a token has; None: no process with these keys made it."""
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    if len(content) != _RANDOM + HINT + _SEAL:
        return None
    random, hint, seal = content[:_RANDOM], content[_RANDOM:-_SEAL], content[-_SEAL:]
    key = access.hinted(hint)
    return key if key is not None and hmac.compare_digest(_seal(key, random), seal) else None
