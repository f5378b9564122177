"""What is wrong with an image file."""

from typing import Literal

NO_LIMIT = 1 << 40  # pixels
Fault = Literal["empty", "too large", "unsupported", "damaged", "no such page", "too complex"]


class ImageFault(ValueError):
    """An image file that cannot be used.

    fault: kind of fault; title: what is wrong; received, allowed, fix: for the message of an error. The text of the
    exception contains all of them.
    """

    def __init__(self, fault: Fault, title: str, *, received: str, allowed: str, fix: str) -> None:
        super().__init__(f"{title} Received: {received}. Allowed: {allowed}. {fix}")
        self.fault, self.title, self.received, self.allowed, self.fix = fault, title, received, allowed, fix


def too_large(received: str, max_pixels: int) -> ImageFault:
    """The fault of an image of too many pixels."""
    return ImageFault(
        "too large", "The image has too many pixels.", received=received, allowed=f"at most {max_pixels} pixels",
        fix="Scale the image down, or ask the operator to raise SEGSORT_MAX_PIXELS.",
    )  # fmt: skip


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageFault if an image is larger than `max_pixels`, or empty."""
    if width * height > max_pixels:
        raise too_large(f"{width}x{height} = {width * height} pixels", max_pixels)
    if width < 1 or height < 1:
        raise ImageFault(
            "damaged", "The image has no pixels.", received=f"{width}x{height}", allowed="1x1 or more",
            fix="Send another image.",
        )  # fmt: skip
