"""Rounding of the numbers in answers: digits that carry no information are not written."""

from collections.abc import Mapping, Sequence
from typing import Any

_SETTINGS = frozenset({"kappa", "calibration"})  # values of a card, which are written unchanged


def rounded(value: float) -> float:
    """A number with nine significant digits.

    They are enough to read a float32, such as a cosine, back unchanged. Sums in float64 are more exact than that.
    """
    return float(f"{value:.9g}")


def rounded_all(values: Sequence[float]) -> list[float]:
    """Many numbers, each as `rounded` gives it, in half the time."""
    return list(map(float, ("%.9g " * len(values) % tuple(values)).split()))


def rounded_json(value: Any) -> Any:
    """A JSON value in which every number that is not a whole one is `rounded`, except settings of a release."""
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, Mapping):
        return {name: one if name in _SETTINGS else rounded_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded_json(one) for one in value]
    return value


def rounded_timings(timings: Mapping[str, float]) -> dict[str, float]:
    """Timings in milliseconds, rounded to microseconds."""
    return {name: round(ms, 3) for name, ms in timings.items()}
