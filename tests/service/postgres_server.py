"""A PostgreSQL server of a test's own, which can be stopped and started again."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root


class PostgresServer:
    """A server that listens on a socket in a folder only.

    Args:
        tools: folder of the programs of PostgreSQL.
        folder: of the data and the socket; the user of the server owns it.
    """

    def __init__(self, tools: Path, folder: Path) -> None:
        self._tools, self._folder = tools, folder
        self._run("initdb", f"--pgdata={folder}/data", "--username=segsort", "--auth=trust", "--no-sync")

    @property
    def url(self) -> str:
        """SQLAlchemy URL of its first database."""
        return f"postgresql+psycopg://segsort@/postgres?host={self._folder}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-F -c listen_addresses='' -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", f"--pgdata={self._folder}/data", f"--log={self._folder}/log", "-w", f"-o{options}", "start")

    def stop(self) -> None:
        """End the server and all its connections at once, as after a crash."""
        self._run("pg_ctl", f"--pgdata={self._folder}/data", "--mode=immediate", "stop")

    def _run(self, tool: str, *arguments: str) -> None:
        command = [str(self._tools / tool), *arguments]
        groups = {} if USER is None else {"user": USER, "group": USER, "extra_groups": []}
        subprocess.run(command, cwd=self._folder, check=True, stdout=subprocess.DEVNULL, **groups)  # type: ignore[call-overload]


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A new server, which is not started yet; it is stopped and removed at the end."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    named = shutil.which("initdb")
    if not found and named is None:
        pytest.skip("PostgreSQL is not installed; .ci/packages installs it")
    tools = Path(named).resolve().parent if named else max(found)
    folder = Path(tempfile.mkdtemp(prefix="segsort-postgres-"))
    if USER is not None:
        shutil.chown(folder, USER)
    try:
        server = PostgresServer(tools, folder)
        yield server
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
