"""Ray Data does the work on many images. Ray is imported when a cluster is used, and needs the extra `ray`.

The items of a work are cut into blocks, and each block is a task of `Dataset.map_batches`. Workers keep what `make`
made, for example an open network, from task to task. Tasks rather than actors, because an actor of a lost machine waits
for as many free cores elsewhere, while a task goes to the next worker that is free.
"""

import hashlib
import logging
import os
import pickle
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from model_store.cores import available_cores
from model_store.ray_cluster import AUTHENTICATION, LocalCluster
from model_store.spreading import Failed, Here, RayOptions, Spread, portable

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")

BLOCK = 8  # items of one task
MOST_BLOCKS = 4096  # of one work; blocks of more items hold the rest
ATTEMPTS = 3  # times that an item may end its worker before it is given up
_CALLS = 10_000  # tasks of a worker with a GPU
_RESULT = 16 * 2**20  # bytes of results in a block, about
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anyone
    "RAY_ENABLE_AUTO_CONNECT": "0",  # no other cluster is started by the way
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it will be; without it, Ray warns
}


class RaySpread:
    """Spreads work over the processes of a Ray cluster. Use it in a `with` statement.

    A cluster that was started here ends with the statement, or with this process, however that ends. It starts while
    the command does other things.

    Args:
        options: see `RayOptions`.

    Raises:
        ValueError: if Ray is not installed, or the cluster cannot be used.
    """

    is_local = False

    def __init__(self, options: RayOptions) -> None:
        self._options, self.shares_disk = options, options.address is None
        self._cluster: LocalCluster | None = None
        self._environment = ExitStack()
        self._is_connected, self._workers, self._attempts = False, 1, None
        self._running: Generator[tuple[int, bool, bytes], None, None] | None = None

    def __enter__(self) -> Self:
        if find_spec("ray") is None:
            raise ValueError(
                "--engine ray needs Ray, which is not installed: pip install 'segsort[ray]', or leave --engine ray out"
            )
        variables = _QUIET if self._options.address is not None else {**_QUIET, **AUTHENTICATION}
        self._environment.enter_context(_environment(variables))
        try:
            if self._options.address is None:
                self._cluster = LocalCluster(self._options.workers or available_cores(), self._options.gpus > 0)
        except OSError as error:
            self._environment.close()
            raise ValueError(f"a local Ray cluster cannot be used: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

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
        """Do the work on each item: see `model_store.spreading.Spread.each`."""
        if not items:
            return
        self._connect()
        done: set[int] = set()
        failed: dict[int, Exception] = {}
        self._running = rows = self._rows(_Job(make, read, name, lost, self._options.send_files, os.getcwd()), items)
        for place, good, content in rows:
            found = pickle.loads(content)
            if good:
                done.add(place)
                yield place, found
            else:
                failed[place] = found
            if failed and done.issuperset(range(first := min(failed))):
                raise failed[first]
        if failed:
            raise failed[min(failed)]
        if len(done) != len(items):
            missing = next(name(item) for place, item in enumerate(items) if place not in done)
            raise RuntimeError(
                f"Ray gave no result for {len(items) - len(done)} of {len(items)} items, such as {missing}"
            )

    def _rows(self, job: "_Job", items: Sequence[Any]) -> Generator[tuple[int, bool, bytes], None, None]:
        """Place of an item, whether its work succeeded, and the pickled result or exception."""
        import ray.data
        import ray.util
        from ray.data import TaskPoolStrategy
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        count = len(items)
        blocks = min(-(-count // BLOCK), MOST_BLOCKS)
        rows = [{"place": place, "item": pickle.dumps(item)} for place, item in enumerate(items)]
        api: Any = ray  # its types lack what is used here
        data: Any = ray.data.from_items(rows, override_num_blocks=blocks)
        if job.is_sent:
            here = {f"node:{api.util.get_node_ip_address()}": 0.001}
            data = data.map_batches(_Reader(pickle.dumps(job)), num_cpus=0, compute=TaskPoolStrategy(2), resources=here)
        if self._attempts is None:
            own = NodeAffinitySchedulingStrategy(api.get_runtime_context().get_node_id(), soft=False)
            self._attempts = api.remote(num_cpus=0, scheduling_strategy=own, max_concurrency=16)(_Attempts).remote()
        content = pickle.dumps(job)
        key, run = hashlib.sha256(content).hexdigest(), secrets.token_hex(8)
        task = _Task(ray.put((version("segsort"), content)), key, self._attempts, run, ATTEMPTS)
        resources: dict[str, Any] = {"num_cpus": 1}
        if self._options.gpus:  # a worker keeps its network from task to task
            resources |= {"num_gpus": self._options.gpus, "max_calls": _CALLS}
        data = data.map_batches(task, compute=TaskPoolStrategy(min(self._workers, blocks)), **resources)
        for batch in data.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
            yield from zip(batch["place"].tolist(), batch["good"].tolist(), batch["result"].tolist(), strict=True)

    def _connect(self) -> None:
        """Connect to the cluster, when it is first used."""
        if self._is_connected:
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            import ray
            from ray.data import DataContext

            address = self._options.address
            if self._cluster is not None:
                address = self._cluster.wait_until_started()
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except ImportError as error:
            raise ValueError(f"--engine ray needs the extra `ray`: pip install 'segsort[ray]' ({error})") from error
        except (OSError, RuntimeError, ValueError) as error:
            what = f"the Ray cluster {self._options.address}" if self._options.address else "a local Ray cluster"
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{what} cannot be used: {reason}") from error
        self._is_connected = True
        api: Any = ray
        self._workers = self._options.workers or max(1, int(api.cluster_resources().get("CPU", 1)))
        context = DataContext.get_current()
        context.enable_progress_bars, context.print_on_execution_start = False, False
        context.target_max_block_size = _RESULT
        context.enable_stats_summary_collection = False  # it would start one more process
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def _leave(self) -> None:
        if self._is_connected:
            import ray

            if self._running is not None:  # while the cluster is there: Ray Data asks it when it ends
                self._running.close()
            ray.shutdown()
            self._is_connected, self._attempts = False, None
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster = None
        self._environment.close()


@contextmanager
def spread_by(options: RayOptions | None) -> Iterator[Spread]:
    """How work is spread while the block runs. None: it is done in this process.

    Raises:
        ValueError: if Ray is not installed, or the cluster cannot be used.
    """
    if options is None:
        yield Here()
        return
    with RaySpread(options) as spread:
        yield spread


class _Job(NamedTuple):
    """A work as it is sent to workers.

    make, read, name, lost: see `Spread.each`; is_sent: whether items are read before they are sent; folder: the working
    folder, so that relative paths mean the same.
    """

    make: Callable[[], Callable[[Any], Any]]
    read: Callable[[Any], Any]
    name: Callable[[Any], str]
    lost: Callable[[str], Any] | None
    is_sent: bool
    folder: str


class _Read(NamedTuple):
    """An item after its files were read: its content, or why they cannot be read."""

    name: str
    content: Any
    error: Exception | None


def _read(job: _Job, item: Any) -> _Read:
    name = job.name(item)
    try:
        return _Read(name, job.read(item), None)
    except Exception as error:  # raised in its turn
        return _Read(name, None, portable(error, name))


class _Reader:
    """Reads the files of items, on the machine of the command. job: pickled `_Job`."""

    def __init__(self, job: bytes) -> None:
        self._job = job

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        job: _Job = pickle.loads(self._job)
        _enter(job.folder)
        items = [pickle.dumps(_read(job, pickle.loads(item)), protocol=5) for item in batch["item"]]
        return {"place": batch["place"], "item": items}


class _Task:
    """One task: the work on the items of a block, in a process of Ray.

    Args:
        job: reference of the version of segsort and the pickled `_Job`; key: its digest.
        attempts: the actor that counts how often an item was begun; run: which work the items belong to.
        most: times that an item may be begun.
    """

    def __init__(self, job: Any, key: str, attempts: Any, run: str, most: int) -> None:
        self._job, self._key, self._attempts, self._run, self._most = job, key, attempts, run, most

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        try:
            job, work = _opened(self._key, self._job)
        except Exception as error:
            count, failure = len(batch["place"]), pickle.dumps(error)
            return {"place": batch["place"], "good": [False] * count, "result": [failure] * count}
        found = [self._one(job, work, *one) for one in zip(batch["place"].tolist(), batch["item"], strict=True)]
        return {"place": batch["place"], "good": [good for good, _ in found], "result": [one for _, one in found]}

    def _one(self, job: _Job, work: Callable[[Any], Any], place: int, content: bytes) -> tuple[bool, bytes]:
        item = pickle.loads(content)
        name = item.name if job.is_sent else job.name(item)
        try:
            self._begin(place, name)
            read: _Read = item if job.is_sent else _read(job, item)
            if read.error is not None:
                raise read.error
            result = pickle.dumps(work(read.content), protocol=5)
            self._attempts.end.remote((self._run, place))
            return True, result
        except Exception as error:
            if isinstance(error, Failed) and job.lost is not None:
                return True, pickle.dumps(job.lost(str(error)))
            return False, pickle.dumps(portable(error, name))

    def _begin(self, place: int, name: str) -> None:
        """Count an attempt. It raises if the item has ended its worker too often."""
        import ray

        if ray.get(self._attempts.begin.remote((self._run, place))) > self._most:
            raise Failed(
                f"{name}: the process that worked on it ended {self._most} times, perhaps for lack of memory; leave "
                "this image out, or give the workers more memory"
            )


class _Attempts:
    """Counts how often an item was begun and not ended: it outlives the workers."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], int] = {}

    def begin(self, key: tuple[str, int]) -> int:
        """Count an attempt; returns how many there were."""
        self._begun[key] = self._begun.get(key, 0) + 1
        return self._begun[key]

    def end(self, key: tuple[str, int]) -> None:
        """Forget an item that is done."""
        self._begun.pop(key, None)


# what this worker made for the present work, or why it cannot be made
_open: dict[str, tuple[_Job, Callable[[Any], Any]] | Exception] = {}


def _opened(key: str, reference: Any) -> tuple[_Job, Callable[[Any], Any]]:
    """The work of a job in this process, made when its first task comes; what another job made is dropped.

    Raises:
        Exception: why the work cannot be made here; any process can raise it.
    """
    if key not in _open:
        _open.clear()
        try:
            _open[key] = _made(reference)
        except Exception as error:
            _open[key] = portable(error, "opening the work")
    found = _open[key]
    if isinstance(found, Exception):
        raise found.with_traceback(None)  # it is kept, and so would be the frames of each batch
    return found


def _made(reference: Any) -> tuple[_Job, Callable[[Any], Any]]:
    """Make the work of a job. Another version of segsort may not be able to read it, so the version is compared first.

    Raises:
        ValueError: if this node has another version.
    """
    import ray

    from segsort.loops import set_thread_limit

    needed, content = ray.get(reference)
    if (here := version("segsort")) != needed:
        raise ValueError(
            f"a node of the Ray cluster has segsort {here}, and the command is of segsort {needed}; install the same "
            "version on every node"
        )
    job: _Job = pickle.loads(content)
    set_thread_limit(1)
    _enter(job.folder)
    return job, job.make()


def _enter(folder: str) -> None:
    """Work in the folder of the command, if this machine has it."""
    if Path(folder).is_dir():
        os.chdir(folder)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that processes started in the block inherit, where they are not set."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
