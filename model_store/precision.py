"""The numbers in which the network of a release computes: 32 or 16 bits, or bytes."""

from typing import Literal, get_args

from model_store.card import QuantisedInfo
from model_store.flavour import Device
from model_store.precision_names import AskedPrecision, Precision
from segsort.loops import multiplies_bytes

BITS: dict[Precision, Literal[8, 16, 32]] = {"float32": 32, "float16": 16, "int8": 8}
ALLOWED_LOSS = 0.005  # of mIoU, up to which a network in bytes is served by default


def choose_precision(asked: AskedPrecision, quantised: QuantisedInfo | None, device: Device) -> Precision:
    """The precision in which a network runs.

    Args:
        asked: "auto": bytes if the release has a network in bytes, its measured loss is at most `ALLOWED_LOSS`, and the
            processor multiplies bytes; else float32.
        quantised: from the card of the release; None: it has no network in bytes.
        device: "cpu" or "cuda".

    Raises:
        ValueError: if the precision is unknown, or bytes are asked for where there is no network in bytes or no CPU.
    """
    if asked not in get_args(AskedPrecision):
        raise ValueError(f"precision={asked!r} is not known; choose one of {', '.join(get_args(AskedPrecision))}")
    if asked == "auto":
        good = quantised is not None and quantised.loss is not None and quantised.loss <= ALLOWED_LOSS
        return "int8" if good and device == "cpu" and multiplies_bytes() else "float32"
    if asked == "int8" and device != "cpu":
        raise ValueError(f"precision='int8' is for a CPU, and the device is {device!r}; use float16 or float32 there")
    if asked == "int8" and quantised is None:
        raise ValueError(
            "precision='int8' was asked for, but the release has no network in bytes; add one with `segsort quantise`, "
            "or ask for 'auto' or 'float32'"
        )
    return asked
