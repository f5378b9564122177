"""SegSort (Hwang et al., ICCV 2019): segmentation by sorting pixels and retrieving labelled segments.

Arrays in, arrays out: nothing here reads a picture, speaks HTTP or knows a database.
"""

import os

from numba import config

from segsort.loops.cache import folder_of_loops

if not os.environ.get("NUMBA_CACHE_DIR"):
    config.CACHE_DIR = str(folder_of_loops())  # type: ignore[attr-defined]
