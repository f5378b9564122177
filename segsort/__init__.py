"""SegSort (Hwang et al., ICCV 2019): segmentation by sorting pixels and retrieving labelled segments.

Arrays in, arrays out: nothing here reads a picture, speaks HTTP or knows a database.
"""

import os
from hashlib import sha256
from pathlib import Path

from numba import config


def _keep_compiled_loops_by_their_sources() -> None:
    """Give what numba compiles of these sources a folder of their own.

    numba compiles a loop anew when its own file changes, and not when those do whose loops it has taken in.
    """
    here, sources = Path(__file__).parent, sha256()
    for file in sorted([*here.glob("*kernels.py"), here / "sharing.py"]):
        sources.update(file.read_bytes())
    config.CACHE_DIR = str(here / "__pycache__" / f"loops-{sources.hexdigest()[:16]}")  # type: ignore[attr-defined]


if "NUMBA_CACHE_DIR" not in os.environ:
    _keep_compiled_loops_by_their_sources()
