"""Lists of class names in text files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_store.class_info import ClassInfo
from model_store.labelled.palette import Colour, classes_of

VOID = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled"})  # names of pixels without a class


def is_void(name: str) -> bool:
    """Whether a name means that the class of a pixel is unknown."""
    return name.strip().lower() in VOID


def read_text(file: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: if it cannot be read. The message names it.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read ({error}); it must be a text file in UTF-8") from error


def read_names(file: Path) -> list[str]:
    """The names of a file with one name a line. Empty lines at the end are left out.

    Raises:
        ValueError: if the file cannot be read, or a line between names is empty.
    """
    names = [line.strip() for line in read_text(file).rstrip().splitlines()]
    if not all(names):
        raise ValueError(f"{file}: line {names.index('') + 1} is empty; give one class name a line")
    return names


def read_rows(file: Path, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """The rows of a table without its heading, which is the first line, and without empty rows.

    Returns:
        Line number and fields, without spaces around them, of each row.

    Raises:
        ValueError: if the file cannot be read.
    """
    try:
        rows = list(csv.reader(read_text(file).splitlines(), delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"{file} cannot be read as a table ({error})") from error
    stripped = [(line, [field.strip() for field in row]) for line, row in enumerate(rows, 1)]
    return [(line, row) for line, row in stripped[1:] if any(row)]


def listed_classes(
    file: Path, names: Sequence[str], colours: Mapping[str, Colour] | None = None
) -> tuple[ClassInfo, ...]:
    """Classes that a file lists, as `palette.classes_of`, whose errors here name the file."""
    try:
        return classes_of(names, colours)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
