"""Half precision: a network in 16 bits, made of one in 32 when it is opened."""

from pathlib import Path


def in_half_precision(network: Path) -> bytes:
    """An ONNX network with its weights and all that it computes in float16; what goes in and comes out stays float32.

    Raises:
        ValueError: if the file is no ONNX network, or the package onnx is not installed.
    """
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise ValueError(f"half precision needs the package onnx ({error}); install segsort[gpu] or onnx") from error
    try:
        converted = convert_float_to_float16(onnx.load(str(network)), keep_io_types=True)
    except Exception as error:  # whatever protobuf says of what it cannot read
        raise ValueError(
            f"{network} cannot be turned into half precision: {str(error).splitlines()[0]}; serve it in 32 bits"
        ) from error
    return bytes(converted.SerializeToString())
