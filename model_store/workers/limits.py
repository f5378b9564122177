"""What work on one file may cost. The system enforces it in the process that does the work."""

from typing import NamedTuple

FIRST_S = 1.0  # seconds of computing for the header of any file
FIRST_MB = 256  # megabytes for the header of any file, and beside the pixels of any image


class WorkLimits(NamedTuple):
    """The cost of work on the largest image. A smaller one may cost less, in proportion to its pixels.

    seconds: of computing, by all threads together; megabytes: of memory; pixels: of the largest image.
    """

    seconds: float
    megabytes: float
    pixels: int

    def seconds_for(self, pixels: int) -> float:
        """Seconds of computing that an image of so many pixels may take."""
        return FIRST_S + self.seconds * min(pixels / self.pixels, 1.0)

    def bytes_for(self, pixels: int) -> int:
        """Bytes of memory that an image of so many pixels may take."""
        return round((FIRST_MB + self.megabytes * min(pixels / self.pixels, 1.0)) * 1_000_000)
