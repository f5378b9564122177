"""Where compiled loops are kept, so that only the first process after a change of their sources compiles them.

numba compiles a loop anew when its own file changes, and not when those do whose loops it has taken in, so that what it
keeps lies in a folder named by all their sources.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from numba import config

_HERE = Path(__file__).parent


def folder_of_loops() -> Path:
    """The folder for the loops of these sources: beside them, or where that may not be written, as in a container, in
    the user's cache; if there is none, in a folder of this process alone. What came compiled beside the sources is
    copied there first, since numba takes nothing from where it may not write.
    """
    name = f"loops-{_digest()}"
    beside = _HERE / "__pycache__" / name
    if _can_write(beside):
        return beside
    for parent in (_users_cache(), None):
        if parent is None:
            parent = Path(tempfile.mkdtemp(prefix="segsort-"))
            atexit.register(shutil.rmtree, parent, ignore_errors=True)
        with suppress(OSError):
            parent.mkdir(parents=True, exist_ok=True)
            _copy(beside, parent / name)
        if _can_write(parent / name):
            return parent / name
    return beside


def loops_are_kept() -> bool:
    """Whether a process before this one compiled loops where this one looks for them."""
    return any(Path(config.CACHE_DIR).rglob("*kernels.*.nbc"))  # type: ignore[attr-defined]


def _digest() -> str:
    sources = sha256()
    for file in sorted([*_HERE.glob("*kernels.py"), _HERE / "sharing.py"]):
        sources.update(file.read_bytes())
    return sources.hexdigest()[:16]


def _users_cache() -> Path | None:
    """None where nobody says where the user's files are."""
    said = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(said) if said else Path.home() / ".cache") / "segsort"
    except RuntimeError:
        return None


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _copy(compiled: Path, kept: Path) -> None:
    """As a whole or not at all, whoever else does so at the same time."""
    if kept.exists() or not compiled.is_dir():
        return
    part = Path(tempfile.mkdtemp(dir=kept.parent))
    try:
        shutil.copytree(compiled, part / kept.name)
        (part / kept.name).rename(kept)
    finally:
        shutil.rmtree(part, ignore_errors=True)
