"""Who sends a request: by its key or its session. A thread keeps keys and sessions up to date."""

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.http.callers.access_log import FOLDER, AccessLog
from service.http.callers.key_file import KeyFile
from service.http.callers.presented import presented, token_of
from service.http.callers.sessions import Sessions
from service.http.callers.spending import Spending
from service.http.callers.wrong_keys import WrongKeys
from service.http.keys import LOCAL, Access, Caller, Key
from service.problems import Problem
from service.settings import Settings

_PAUSE = 1.0  # seconds between two looks at the file of keys
_log = logging.getLogger("segsort.access")


class UnknownCaller(Problem):
    """401: no valid key. The answer is the same for every reason, so that it does not reveal which names exist."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "A key is needed.",
            allowed="Authorization: Bearer KEY, X-API-Key: KEY, or the cookie of POST /session",
            fix="Send a key that the operator gave you; `segsort keys new NAME --role reader` makes one.",
            headers={"WWW-Authenticate": 'Bearer realm="segsort"'},
        )


class TooManyWrongKeys(Problem):
    """429: many wrong keys came from this address, or from all. A right key is accepted nevertheless."""

    def __init__(self, wait: float) -> None:
        seconds = max(1, round(wait))
        super().__init__(
            429, "Too many wrong keys were sent.", allowed="a right key, at any time",
            fix=f"Check the key. Wait {seconds} seconds before you try another one.",
            headers={"Retry-After": str(seconds)},
        )  # fmt: skip


class Identity(NamedTuple):
    """Who sends a request.

    caller: None: nobody that the service knows. key: of the caller; None where the service asks for no keys.
    wait: seconds before another key may be tried, after too many wrong ones. in_header: a key was sent in a header.
    """

    caller: Caller | None
    key: Key | None = None
    wait: float = 0.0
    in_header: bool = False

    def refusal(self) -> Problem:
        """Why the caller is not accepted, where it is unknown."""
        return TooManyWrongKeys(self.wait) if self.wait else UnknownCaller()


_LOCAL, _NOBODY = Identity(LOCAL), Identity(None)


class Callers:
    """Finds the callers of requests.

    Args:
        settings: the keys, how long sessions last, and limits.
        database: holds the sessions, and what is used of the quotas of a day.

    Attributes:
        key_file, sessions, wrong_keys, spending: the parts.
        access_log: records what callers do; None: it is not written.

    Raises:
        ValueError: if the keys cannot be read.
    """

    def __init__(self, settings: Settings, database: Engine) -> None:
        self.key_file = KeyFile(settings)
        self.sessions = Sessions(database, settings)
        self.wrong_keys = WrongKeys()
        self.spending = Spending(settings, database)
        self._chores: list[Callable[[], None]] = [self.key_file.check, self.sessions.write_uses, self._write_usage]
        written = self.access.asked and settings.access_log_days > 0
        self.access_log = (
            AccessLog(settings.data_dir / FOLDER, settings.access_log_days, settings.access_log_mb) if written else None
        )
        self._failed: set[Callable[[], None]] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def access(self) -> Access:
        """The keys that are accepted now."""
        return self.key_file.access

    @property
    def anyone(self) -> Identity:
        """The sender of a request to a route that asks for no key."""
        return _NOBODY if self.access.asked else _LOCAL

    async def identify(self, headers: list[tuple[bytes, bytes]], address: str, secure: bool) -> Identity:
        """Find who sends a request.

        Args:
            headers: of the request, with names in lower case.
            address: of the client.
            secure: whether the request came over TLS.

        Raises:
            SQLAlchemyError: if the session cannot be read.
        """
        access = self.access
        if not access.asked:
            return _LOCAL
        found = presented(headers)
        if found.key is not None:
            key = access.key(found.key)
            if key is None:
                return Identity(None, wait=self.wrong_keys.refused(address, "header"), in_header=True)
            return Identity(key.caller, key, in_header=True)
        token = token_of(found.tokens, secure)
        key = None if token is None else await self.sessions.find(token, access)
        return _NOBODY if key is None else Identity(key.caller, key)

    def sign_in(self, presented_key: str, address: str) -> Key | None:
        """The key that a browser signs in with; None where the service asks for no keys.

        Raises:
            Problem: 401 for a wrong key, 429 after too many.
        """
        access = self.access
        if not access.asked:
            return None
        key = access.key(presented_key)
        if key is None:
            raise Identity(None, wait=self.wrong_keys.refused(address, "sign_in")).refusal()
        return key

    def start(self) -> None:
        """Keep keys, sessions and quotas up to date in a thread."""
        self._look()
        self._thread = threading.Thread(target=self._run, name="segsort-callers", daemon=True)
        self._thread.start()
        if self.access_log is not None:
            self.access_log.start()

    def close(self) -> None:
        """End the thread, and write what is left to write."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._look()
        if self.access_log is not None:
            self.access_log.close()

    def _write_usage(self) -> None:
        self.spending.write(self.access)

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            self._look()

    def _look(self) -> None:
        """Do each chore. An error is logged once, and the chore is tried again at the next look."""
        for chore in self._chores:
            try:
                chore()
                self._failed.discard(chore)
            except Exception as error:
                if chore not in self._failed:
                    known = isinstance(error, (SQLAlchemyError, OSError))
                    _log.warning("access is not up to date, trying again: %s", error, exc_info=not known)
                self._failed.add(chore)
