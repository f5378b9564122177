"""Names of classes: which are allowed, and which are one name.

Two names are one name if they differ only by case, by the Unicode form of their characters, or by spaces around them.
"""

import unicodedata
from collections.abc import Sequence

MAX_NAME_LENGTH = 60  # characters of a new name
_JOINERS = "\u200c\u200d"  # zero width non-joiner and joiner: Persian, Indic scripts and emoji are written with them
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, formats, surrogates, separators of lines


def normalized(name: str) -> str:
    """A name in NFC, without spaces around it."""
    return unicodedata.normalize("NFC", name).strip()


def name_key(name: str) -> str:
    """A text that two names share if and only if they are one name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", normalized(name)).casefold())


def fault_of(name: str) -> str | None:
    """Why a class cannot have a name, in words; None if it can."""
    found = normalized(name)
    if not found.strip(_JOINERS + " "):
        return "it is empty"
    hidden = [character for character in found if _is_refused(character)]
    if hidden:
        return f"it has the character U+{ord(hidden[0]):04X}, which cannot be seen"
    return None


def matches(name: str, names: Sequence[str]) -> list[int]:
    """Which of several names a name means.

    An exact match comes first, so that of "car" and "Car" each can be named. Otherwise the case does not matter.

    Args:
        name: to look up.
        names: existing names, which need not be allowed by `fault_of`.

    Returns:
        Positions in `names`: none, one, or several that differ by case only, none of which is an exact match.
    """
    for same in (str, normalized):
        exact = [n for n, other in enumerate(names) if same(other) == same(name)]
        if exact:
            return exact[:1]
    return [n for n, other in enumerate(names) if name_key(other) == name_key(name)]


def check_names(names: Sequence[str]) -> None:
    """Check the names of the classes of a data set.

    Raises:
        ValueError: if one is not allowed, or two are one name.
    """
    seen: dict[str, str] = {}
    for name in names:
        fault = fault_of(name)
        if fault is not None:
            raise ValueError(f"the name {name!r} of a class is not allowed: {fault}; give a name such as kerb")
        key = name_key(name)
        if key in seen:
            raise ValueError(
                f"the names {seen[key]!r} and {name!r} are one name: case and Unicode forms do not count; give each "
                "class another name"
            )
        seen[key] = name


def _is_refused(character: str) -> bool:
    return unicodedata.category(character) in _REFUSED and character not in _JOINERS
