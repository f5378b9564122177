"""Cache of compiled loops on disk: only the first process after a change of their sources compiles them.

numba compiles a loop again when its own file changes, but not when the file of a loop that it inlined does. Therefore
all loops are stored in one folder, whose name is a digest of everything that they depend on. These are all sources of
this package, their path, the versions of numba and Python, and the processor.

Importing this module does not touch the disk. The folder is chosen when the first loop is declared.
"""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

F = TypeVar("F", bound=Callable[..., Any])
_HERE = Path(__file__).parent
_COMPLETE = "complete"  # file beside compiled loops of which none is missing
_SOME = bytes(1 << 16)  # a full disk still takes empty files
_OTHERS = 0o022  # may write: group and others
_log = logging.getLogger("segsort.loops")


def loop(fastmath: bool | set[str] = False, inner: bool = False) -> Callable[[F], F]:
    """Decorator: compile a function with numba, without the interpreter's lock, and keep the result on disk.

    Args:
        fastmath: LLVM's flags for floating-point operations, as `numba.njit` takes them.
        inner: only other loops call it, so that it compiles faster; Python cannot call it.
    """

    def decorate(function: F) -> F:
        options: dict[str, Any] = {"nogil": True, "fastmath": fastmath, "no_cpython_wrapper": inner}
        compiled: Any = njit(**options)(function)
        _forget_literals(compiled)
        if folder_of_loops() is not None:
            compiled._cache = _LoopCache(function)  # type: ignore[no-untyped-call]
        return compiled  # type: ignore[no-any-return]

    return decorate


def _forget_literals(compiled: Any) -> None:
    """Compile a loop once for all whole numbers. numba compiles it again for each constant that a loop passes to it."""
    get_call_template = compiled.get_call_template
    general: Callable[[Any], Any] = types.unliteral

    def of_general_types(args: Sequence[Any], kws: dict[str, Any]) -> Any:
        return get_call_template([general(arg) for arg in args], kws)

    compiled.get_call_template = of_general_types


@cache
def folder_of_loops() -> Path | None:
    """The folder of this process for compiled loops, or None if no folder can be written."""
    folder = find_folder()
    if folder is None:
        _log.warning("no folder can be written, so compiled loops are not kept; set NUMBA_CACHE_DIR to a folder")
    return folder


def loops_are_kept() -> bool:
    """Whether an earlier process compiled all loops, where this one looks for them."""
    folder = folder_of_loops()
    return folder is not None and (folder / _COMPLETE).exists()


def mark_complete() -> None:
    """Note beside the compiled loops that none is missing."""
    folder = folder_of_loops()
    if folder is not None:
        with suppress(OSError):
            (folder / _COMPLETE).touch()


def find_folder() -> Path | None:
    """Find a folder for compiled loops that can be written.

    The candidates are, in this order: NUMBA_CACHE_DIR, `__pycache__` of this package, the user's cache, and a temporary
    folder of this process. If the sources cannot be written, as in a container, loops compiled there are copied first.
    """
    name = f"loops-{_digest()}"
    if config.CACHE_DIR and _can_write(Path(config.CACHE_DIR) / name):  # type: ignore[attr-defined]
        return Path(config.CACHE_DIR) / name  # type: ignore[attr-defined]
    of_package = _HERE / "__pycache__" / name
    if _can_write(of_package):
        return of_package
    for find in (_users_cache, _own_folder):
        with suppress(OSError):
            parent = find()
            _copy(of_package, parent / name)
            if _can_write(parent / name):
                return parent / name
    return None


@cache
def _digest() -> str:
    """Digest of everything that compiled loops depend on."""
    digest = sha256()
    for file in sorted(_HERE.glob("*.py")):
        digest.update(file.read_bytes())
    features = config.CPU_FEATURES or sorted(binding.get_host_cpu_features().items())  # type: ignore[attr-defined]
    processor = (config.CPU_NAME or binding.get_host_cpu_name(), features)  # type: ignore[attr-defined]
    digest.update(repr((str(_HERE), numba.__version__, sys.implementation.cache_tag, processor)).encode())
    return digest.hexdigest()[:16]


class _Locator(_CacheLocator):
    """Tells numba the folder and the version of a loop."""

    def __init__(self, folder: Path, line: int) -> None:
        self._folder, self._line = folder, line

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator | None":
        folder = folder_of_loops()
        return None if folder is None else cls(folder, py_func.__code__.co_firstlineno)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return _digest()

    def get_disambiguator(self) -> str:
        return str(self._line)


class _LoopCacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 # numba's own name and type


class _LoopCache(FunctionCache):
    """numba's cache of one function, in the folder of the loops."""

    _impl_class = _LoopCacheImpl

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save a compiled function. Processes take turns, because numba reads an index and writes it back."""
        folder = folder_of_loops()
        with _one_process_at_a_time(folder) if folder is not None else nullcontext():
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


@contextmanager
def _one_process_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of compiled loops. Without a lock, where there is none, processes may compile twice."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield
        return
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _users_cache() -> Path:
    """A folder in the user's cache that nobody else can write, since its files are executed.

    Raises:
        OSError: if there is none.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = (named if named.is_absolute() else Path.home() / ".cache") / "segsort"
    except RuntimeError as error:
        raise OSError("the user has no home folder") from error
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
        raise PermissionError(f"{folder} belongs to another user, or others can write it")
    return folder


def _own_folder() -> Path:
    """A temporary folder that is removed when this process ends."""
    folder, owner = Path(tempfile.mkdtemp(prefix="segsort-")), os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


def _can_write(folder: Path) -> bool:
    """Whether files can be written in a folder, which is made if needed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_SOME)
            file.flush()
            return True
    except OSError:
        return False


def _copy(compiled: Path, kept: Path) -> None:
    """Copy a folder of compiled loops completely or not at all, also if other processes do so at the same time.

    Raises:
        OSError: if it cannot be copied.
    """
    if kept.exists() or not compiled.is_dir():
        return
    part = Path(tempfile.mkdtemp(dir=kept.parent))
    try:
        shutil.copytree(compiled, part / kept.name)
        with suppress(OSError):  # another process was first
            (part / kept.name).rename(kept)
    finally:
        shutil.rmtree(part, ignore_errors=True)
