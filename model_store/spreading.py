"""Work on each of many images: in this process, or spread over other processes, with the same results."""

import atexit
import pickle
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from model_store.cores import available_cores

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")

EngineName = Literal["local", "ray"]


class Spread(Protocol):
    """Does the same work on each of many items.

    Attributes:
        is_local: whether the work runs in this process, with all cores for one item.
        shares_disk: whether all of it runs on this machine, so that temporary files can be used by all.
    """

    is_local: bool
    shares_disk: bool

    def each(
        self,
        make: Callable[[], Callable[[U], R]],
        items: Sequence[T],
        read: Callable[[T], U],
        name: Callable[[T], str],
        *,
        in_threads: bool = False,
        lost: Callable[[str], R] | None = None,
    ) -> Iterator[tuple[int, R]]:
        """Do the work on each item.

        Args:
            make: makes what does the work, for example opens a network. Called once in each process.
            items: one for each piece of work.
            read: reads the files of an item, in one thread of a process.
            name: of an item, for a message.
            in_threads: whether threads of this process may do the work, where it is done here.
            lost: result of an item that ended the process which worked on it several times, from the reason in words;
                None: `Failed` is raised.

        Yields:
            Place of an item and its result, in any order.

        Raises:
            Exception: what the work raised. Of several, the one with the lowest place.
        """
        ...


class Here:
    """Works in this process, item by item."""

    is_local = True
    shares_disk = True

    def each(
        self,
        make: Callable[[], Callable[[U], R]],
        items: Sequence[T],
        read: Callable[[T], U],
        name: Callable[[T], str],
        *,
        in_threads: bool = False,
        lost: Callable[[str], R] | None = None,
    ) -> Iterator[tuple[int, R]]:
        """Do the work on each item, in their order: see `Spread.each`."""
        work = make()
        if not in_threads:
            for place, item in enumerate(items):
                yield place, work(read(item))
            return
        cores = available_cores()
        with ThreadPoolExecutor(cores) as pool:
            pending: deque[tuple[int, Future[R]]] = deque()
            for place, item in enumerate(items):
                pending.append((place, pool.submit(work, read(item))))
                if len(pending) > cores:
                    first, done = pending.popleft()
                    yield first, done.result()
            for first, done in pending:
                yield first, done.result()


@dataclass(frozen=True)
class RayOptions:
    """How work is spread by Ray.

    Attributes:
        workers: processes that work at the same time, with one thread each; None: one for each core of the cluster.
        address: of a running cluster: "auto" or HOST:PORT; None: one is started here for the command.
        gpus: share of a GPU for each worker; 0: none.
        send_files: read files on this machine and send them; False: every node reads them by their paths.
    """

    workers: int | None = None
    address: str | None = None
    gpus: float = 0.0
    send_files: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers {self.workers} must be at least 1; leave it out to use every core")
        if not (0 <= self.gpus <= 1 or (self.gpus > 1 and self.gpus.is_integer())):
            raise ValueError(f"--gpus {self.gpus} must be a share from 0 to 1, or a whole number")
        if self.send_files and self.address is None:
            raise ValueError(
                "--send-files is for a cluster of several machines; give its --ray-address, or leave it out"
            )
        if str(self.address).startswith("ray://"):
            raise ValueError(
                f"--ray-address {self.address} connects from outside, which Ray Data cannot do; run the command on a "
                "machine of the cluster with --ray-address auto, or send it there by `ray job submit`"
            )


def ray_options(engine: EngineName, given: RayOptions) -> RayOptions | None:
    """The options of `--engine ray`; None: the work is done in this process.

    Raises:
        ValueError: if there are options of Ray without it.
    """
    if engine == "ray":
        return given
    if given != RayOptions():
        raise ValueError("--workers, --ray-address, --gpus and --send-files are for --engine ray; add it")
    return None


class Failed(Exception):
    """Work that ended the process which did it, several times."""


def portable(error: Exception, name: str) -> Exception:
    """An exception that another process can raise: the same, or its text where it cannot be copied."""
    try:
        copied: Any = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{name}: {type(error).__name__}: {error}")
    same = isinstance(copied, type(error)) and str(copied) == str(error)
    return error if same else RuntimeError(f"{name}: {type(error).__name__}: {error}")


class CarriedFile:
    """A file that goes along where work is sent: where its path has other content or none, it is written anew.

    Attributes:
        path: of the file on this machine.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __getstate__(self) -> tuple[str, bytes]:
        return str(self.path.absolute()), self.path.read_bytes()

    def __setstate__(self, state: tuple[str, bytes]) -> None:
        path, content = Path(state[0]), state[1]
        try:
            found = path.read_bytes() == content
        except OSError:
            found = False
        self.path = path if found else _written(path.name, content)


def _written(name: str, content: bytes) -> Path:
    """A file in a folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="segsort-carried-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / name
    file.write_bytes(content)
    return file
