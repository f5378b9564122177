"""Notices between processes over one PostgreSQL database: LISTEN and NOTIFY wake who would else wait for the next poll.

A notice says only that something changed. Who is woken reads the database, as after a poll, so a notice that is lost
costs the time until the next poll and nothing else. SQLite has no notices.
"""

import logging
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from sqlalchemy import Connection, Engine, text

from service.records.connection import Waits, connect

# edits: one was made; jobs: one has ended; cancels: someone asked to cancel a job; webhooks: one was made
Topic = Literal["edits", "jobs", "cancels", "webhooks"]
CHANNEL = "segsort"  # of PostgreSQL, which has its channels by database
_NOTIFY = text("SELECT pg_notify(:channel, :topic)")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds until a lost connection is opened again, doubled each time

_log = logging.getLogger("segsort.records")


def notify(connection: Connection, topic: Topic) -> None:
    """Wake the other processes when the transaction of a connection is committed. On SQLite this does nothing.

    PostgreSQL sends equal notices of a transaction once.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": CHANNEL, "topic": topic})


class Notices:
    """Waits for notices in a thread, on a connection of its own outside of the pool, and calls who asked for them.

    The thread ends at once where the database has no notices: on SQLite, and with another driver than psycopg. A
    connection that is lost is opened again. Then everyone is called, because notices may have been missed.

    Args:
        database: an open database.

    Attributes:
        listening: whether notices arrive.
    """

    def __init__(self, database: Engine) -> None:
        self._url = database.url
        self._calls: list[tuple[Topic, Callable[[], None]]] = []
        self.listening = False
        self._stopped = threading.Event()
        self._ends: tuple[socket.socket, socket.socket] | None = None  # of a pair that ends the wait
        self._thread: threading.Thread | None = None

    def on(self, topic: Topic, call: Callable[[], None]) -> None:
        """Call a function after each notice of a topic. It returns soon: it runs in the thread of notices."""
        self._calls.append((topic, call))

    def start(self) -> None:
        """Begin, in a thread, where the database has notices."""
        if self._url.get_backend_name() != "postgresql":
            return
        if self._url.get_dialect().driver != "psycopg":
            _log.info("edits of other processes are found by polling: notices need the driver psycopg")
            return
        self._ends = socket.socketpair()
        self._thread = threading.Thread(target=self._run, args=(self._ends[0],), name="segsort-notices", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stopped.set()
        if self._thread is None or self._ends is None:
            return
        self._ends[1].send(b"x")
        self._thread.join()
        for end in self._ends:
            end.close()
        self._thread = self._ends = None

    def _run(self, end: socket.socket) -> None:
        pause, engine = _FIRST_PAUSE, connect(self._url.render_as_string(hide_password=False), Waits(connections=1))
        while not self._stopped.is_set():
            try:
                self._listen(engine, end)
            except Exception as error:  # the thread must not end
                if self.listening or pause == _FIRST_PAUSE:
                    _log.warning("notices of other processes do not arrive, polling: %r", error)
                pause = _FIRST_PAUSE if self.listening else min(_LONGEST_PAUSE, 2 * pause)
                self.listening = False
            self._stopped.wait(pause)
        engine.dispose()

    def _listen(self, engine: Engine, end: socket.socket) -> None:
        """Wait for notices until something arrives at an end of the pair.

        Raises:
            SQLAlchemyError, psycopg.Error: if there is no connection, or it is lost.
        """
        with closing(engine.raw_connection()) as borrowed, closing(selectors.DefaultSelector()) as selector:
            connection: Any = borrowed.driver_connection
            borrowed.detach()
            with closing(connection):
                connection.autocommit = True
                connection.execute(f"LISTEN {CHANNEL}")
                selector.register(connection.fileno(), selectors.EVENT_READ)
                selector.register(end, selectors.EVENT_READ)
                _log.debug("listening to notices of other processes")
                self.listening = True
                self._tell({topic for topic, _ in self._calls})
                while not self._stopped.is_set():
                    connection.fileno()  # raises where the connection is lost
                    selector.select()
                    self._tell({one.payload for one in connection.notifies(timeout=0)})

    def _tell(self, topics: set[Any]) -> None:
        for topic, call in self._calls:
            if topic in topics:
                call()
