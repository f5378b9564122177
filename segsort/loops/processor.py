"""What the processor of this machine can do."""

from functools import cache

import llvmlite.binding  # type: ignore[import-untyped]

# Instructions that multiply bytes and add the products: three of x86, two of ARM.
_MULTIPLY_BYTES = ("avx512vnni", "avxvnni", "amx-int8", "dotprod", "i8mm")


@cache
def multiplies_bytes() -> bool:
    """Whether this processor has instructions that multiply bytes. Without them, bytes are slower than float32."""
    features = llvmlite.binding.get_host_cpu_features()
    return any(features.get(name, False) for name in _MULTIPLY_BYTES)
