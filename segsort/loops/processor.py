"""What the processor of this machine can do."""

from functools import cache

import llvmlite.binding  # type: ignore[import-untyped]

# Instructions that multiply bytes and add the products: three of x86, two of ARM.
_MULTIPLY_BYTES = ("avx512vnni", "avxvnni", "amx-int8", "dotprod", "i8mm")
# Instructions that multiply numbers of bfloat16: two of x86, one of ARM.
_MULTIPLY_BFLOAT16 = ("avx512bf16", "amx-bf16", "bf16")


@cache
def multiplies_bytes() -> bool:
    """Whether this processor has instructions that multiply bytes. Without them, bytes are slower than float32."""
    return _has_any(_MULTIPLY_BYTES)


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions that multiply bfloat16. Without them, it takes ten times as long."""
    return _has_any(_MULTIPLY_BFLOAT16)


def _has_any(names: tuple[str, ...]) -> bool:
    features = llvmlite.binding.get_host_cpu_features()
    return any(features.get(name, False) for name in names)
