"""Where compiled loops are kept, so that only the first process after a change of their sources compiles them.

numba compiles a loop anew when its own file changes, and not when those do whose loops it has taken in, so that what it
keeps lies in a folder named by all their sources, and by all else that it asks for: where these lie, its own version,
Python's, and the processor.
"""

import atexit
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba import config

_HERE = Path(__file__).parent
_SOME = bytes(1 << 16)  # a disk that is full still takes files without bytes
_OTHERS = 0o022  # may write: group and others


def folder_of_loops() -> Path:
    """The folder for the loops of these sources: beside them, or where that may not be written, as in a container, in
    the user's cache; if there is none, in a folder of this process alone. What came compiled beside the sources is
    copied there first, since numba takes nothing from where it may not write.
    """
    name = f"loops-{_digest()}"
    beside = _HERE / "__pycache__" / name
    if _can_write(beside):
        return beside
    for find in (_users_cache, _own_folder):
        with suppress(OSError):
            parent = find()
            _copy(beside, parent / name)
            if _can_write(parent / name):
                return parent / name
    return beside  # where numba says that it cannot keep anything


def loops_are_kept() -> bool:
    """Whether a process before this one compiled loops where this one looks for them."""
    return any(Path(config.CACHE_DIR).rglob("*.nbc"))  # type: ignore[attr-defined]


def _digest() -> str:
    about = sha256()
    for file in sorted(_HERE.glob("*.py")):
        about.update(file.read_bytes())
    features = config.CPU_FEATURES or sorted(binding.get_host_cpu_features().items())  # type: ignore[attr-defined]
    processor = (config.CPU_NAME or binding.get_host_cpu_name(), features)  # type: ignore[attr-defined]
    about.update(repr((str(_HERE), numba.__version__, sys.implementation.cache_tag, processor)).encode())
    return about.hexdigest()[:16]


def _users_cache() -> Path:
    """A folder of the user's that nobody else may write: what lies there is run.

    Raises:
        OSError: if there is none.
    """
    said = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = (said if said.is_absolute() else Path.home() / ".cache") / "segsort"
    except RuntimeError as error:
        raise OSError("nobody says where the user's files are") from error
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.geteuid() or about.st_mode & _OTHERS:
        raise PermissionError(f"{folder} is another's, or others may write it")
    return folder


def _own_folder() -> Path:
    """A folder that goes when this process does."""
    folder, owner = Path(tempfile.mkdtemp(prefix="segsort-")), os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_SOME)
            file.flush()
            return True
    except OSError:
        return False


def _copy(compiled: Path, kept: Path) -> None:
    """As a whole or not at all, whoever else does so at the same time.

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
