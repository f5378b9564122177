"""Open files: how many this process may have, and how they are divided among connections and request bodies."""

from contextlib import suppress

from service.http.listener import BATCH

try:
    import resource
except ImportError:  # Windows, which has no limit of this kind
    resource = None  # type: ignore[assignment]

PROBES = 32  # connections above the cap; they may send requests to the health routes only
_OWN = 128  # for the database, images, models, worker processes and sockets of the service itself
RESERVED = _OWN + PROBES + 2 * BATCH
_MOST_BODIES = 1000
_MOST_FILES = 65_536
_SHARE = 8  # one of so many files that are not reserved may hold a body


def file_limit() -> int | None:
    """How many files this process may open; None: not limited."""
    if resource is None:
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def raise_file_limit() -> None:
    """Let this process open as many files as it may without a privilege, 65,536 at most.

    The soft limit is 1024 on many systems, for the sake of programs that use `select`.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # a system with another limit, such as that of macOS for each process
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def body_files(limit: int | None) -> int:
    """How many request bodies may be in files at once. limit: of open files; None: not limited."""
    return _MOST_BODIES if limit is None else max(1, min(_MOST_BODIES, (limit - RESERVED) // _SHARE))
