"""Pace: predicts the processing time of an image from its pixels, by the times of recent images."""

from collections import deque

REMEMBERED = 64  # requests


class Pace:
    """A least-squares line of seconds over pixels of recent requests. Intercept and slope are never negative."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._line: tuple[float, float] | None = None

    def add(self, pixels: int, seconds: float) -> None:
        """Add one request."""
        self._seen.append((float(pixels), seconds))
        self._line = None

    def seconds(self, pixels: int) -> float:
        """Predicted seconds for an image of this many pixels; 0 before the first request."""
        if not self._seen:
            return 0.0
        if self._line is None:
            self._line = self._fitted()
        fixed, each = self._line
        return fixed + each * pixels

    def _fitted(self) -> tuple[float, float]:
        """Intercept (seconds) and slope (seconds per pixel)."""
        count = len(self._seen)
        mean_x = sum(x for x, _ in self._seen) / count
        mean_y = sum(y for _, y in self._seen) / count
        spread = sum((x - mean_x) ** 2 for x, _ in self._seen)
        each = sum((x - mean_x) * (y - mean_y) for x, y in self._seen) / spread if spread else 0.0
        if each <= 0:
            return mean_y, 0.0
        fixed = mean_y - each * mean_x
        if fixed < 0:
            return 0.0, sum(x * y for x, y in self._seen) / sum(x * x for x, _ in self._seen)
        return fixed, each
