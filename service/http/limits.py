"""Limits of a key: how much its caller may ask for in a minute and in a day."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from service.settings import Settings

_NUMBER = re.compile(r"[0-9]{1,15}")
_NONE = "none"


@dataclass(frozen=True)
class Limits:
    """Largest numbers of requests a minute and of images a day (UTC). None: no limit; 0: nothing.

    reads: requests that change nothing; edits: requests that change exemplars, classes, releases, jobs or answers;
    images: requests that segment or relabel an image; pixels: of the images that they send.
    """

    reads_per_minute: int | None = None
    edits_per_minute: int | None = None
    images_per_minute: int | None = None
    images_per_day: int | None = None
    pixels_per_day: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits of callers whose key has none of its own."""
        return cls(**{name: getattr(settings, name) for name in NAMES})

    def changed(self, options: Iterable[tuple[str, int | None]]) -> "Limits":
        """These limits with some replaced."""
        return replace(self, **dict(options))

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return any(getattr(self, name) is not None for name in NAMES)

    @property
    def of_day(self) -> bool:
        """Whether there is a quota of a day."""
        return self.images_per_day is not None or self.pixels_per_day is not None


NAMES = tuple(field.name for field in fields(Limits))


def parse_option(option: str, place: str) -> tuple[str, int | None]:
    """Read one option of a line of keys, such as reads_per_minute=600 or images_per_day=none.

    Raises:
        ValueError: naming the place and what is allowed. The message does not show the text, which may be a key.
    """
    name, _, value = option.partition("=")
    name, value = name.strip(), value.strip()
    if name not in NAMES:
        raise ValueError(
            f"{place}: a part after the digest that is not a limit; allowed: {', '.join(NAMES)}, each with = and a "
            f"number or {_NONE}"
        )
    if value != _NONE and not _NUMBER.fullmatch(value):
        raise ValueError(f"{place}: {name} is not a number; allowed: 0 to 999999999999999, or {_NONE} for no limit")
    return name, None if value == _NONE else int(value)
