"""The names of precisions, apart from `model_store.precision`: settings need them, and load no heavy library."""

from typing import Literal

Precision = Literal["float32", "float16", "int8"]
AskedPrecision = Literal["auto", "float32", "float16", "int8"]
