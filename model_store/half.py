"""Half precision: converts a network to 16 bits when it is opened."""

from pathlib import Path


def in_half_precision(network: Path) -> bytes:
    """Convert an ONNX network to float16; inputs and outputs stay float32.

    Returns:
        The converted ONNX file.

    Raises:
        ValueError: if the file is not an ONNX network, or the package onnx is not installed.
    """
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise ValueError(f"half precision needs the package onnx ({error}); install onnx") from error
    try:
        converted = convert_float_to_float16(onnx.load(str(network)), keep_io_types=True)
    except Exception as error:  # protobuf raises exceptions of several types for unreadable files
        raise ValueError(
            f"{network} cannot be converted to half precision: {str(error).splitlines()[0]}; serve it in 32 bits"
        ) from error
    return bytes(converted.SerializeToString())
