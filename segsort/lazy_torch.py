"""PyTorch, imported when a name of it is first used.

On a CPU, pixel sorting works on numpy's arrays by compiled loops (`segsort.loops.on_cpu`), and a process that only
serves never needs PyTorch. Its import takes 2 s and 180 MB. A module that also holds plain torch code begins with

    if TYPE_CHECKING:
        import torch
    else:
        from segsort import lazy_torch as torch
"""

from typing import Any


def __getattr__(name: str) -> Any:
    import torch

    return getattr(torch, name)
