"""Pages of a TIFF file: count them, and copy one into a file of its own without decoding it."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from model_store.images.faults import ImageFault

MOST_PAGES = 10_000  # further ones are not looked for
_HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip  # bytes of a value, by type
_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # of whole numbers, by type
_LONG, _LONG8 = 4, 16
_SUBFILE, _REDUCED_OR_MASK = 254, 0b101
_PARTS = {273: 279, 324: 325}  # offsets of strips or tiles, and the tag of their sizes in bytes
_OLD_JPEG = 513
_ELSEWHERE = {297, 330, 34665, 34853, 40965}  # page number, and directories that are not copied


class Page(NamedTuple):
    """One page: the file that has it alone, its number from 0, and how many pages the whole file has."""

    content: bytes
    number: int
    pages: int


class _Entry(NamedTuple):
    """An entry of a directory: value holds so many values of a type, as they are in the file."""

    tag: int
    kind: int
    values: int
    value: bytes


class _Layout(NamedTuple):
    """How a file is written.

    order: of bytes, for struct; big: whether it is a BigTIFF.
    """

    order: str
    big: bool

    def read(self, code: str, content: bytes, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + code, content, at)

    @property
    def word(self) -> str:
        """Code of an offset."""
        return "Q" if self.big else "I"

    @property
    def word_size(self) -> int:
        return 8 if self.big else 4

    @property
    def entry(self) -> str:
        """Code of an entry without its value."""
        return "HHQ" if self.big else "HHI"


def take_page(content: bytes, number: int = 0) -> Page:
    """Copy a page of a TIFF into a file of its own; any other file, and a TIFF of one page, is that file.

    Copies of reduced size and masks, which some TIFFs have beside their image, do not count as pages. Strips and tiles
    are copied as they are compressed, so nothing is lost and nothing is decoded.

    Args:
        content: an image file.
        number: of the page, from 0.

    Raises:
        ImageFault: if there is no such page, or the page is damaged.
    """
    layout = _HEADERS.get(content[:4])
    found = list(_pages(content, _Layout(*layout))) if layout else []
    pages = max(len(found), 1)
    if not 0 <= number < pages:
        raise ImageFault(
            "no such page", "The image has no such page.", received=f"page {number} of {pages}",
            allowed=f"0 to {pages - 1}", fix="Pages are counted from 0. Leave out `page` for the first one.",
        )  # fmt: skip
    if len(found) < 2 or layout is None:
        return Page(content, 0, 1)
    try:
        return Page(_copied(content, _Layout(*layout), found[number]), number, pages)
    except (struct.error, KeyError, IndexError, OverflowError, ValueError) as error:
        if isinstance(error, ImageFault):
            raise
        raise _damaged(f"page {number}: {error}") from error


def _pages(content: bytes, layout: _Layout) -> Iterator[int]:
    """Offsets of the directories of pages. The search ends at a directory that is damaged."""
    seen: set[int] = set()
    try:
        [at] = layout.read(layout.word, content, 8 if layout.big else 4)
        while at and at not in seen and len(seen) < MOST_PAGES:
            seen.add(at)
            start, count = _entries_at(content, layout, at)
            size = struct.calcsize("=" + layout.entry) + layout.word_size
            following = start + count * size
            [after] = layout.read(layout.word, content, following)
            if not _is_reduced_or_mask(content, layout, start, count, size):
                yield at
            at = after
    except (struct.error, OverflowError):  # an offset that is outside of the file, or larger than any file
        return


def _entries_at(content: bytes, layout: _Layout, at: int) -> tuple[int, int]:
    """Where the entries of a directory begin, and how many there are."""
    code = "Q" if layout.big else "H"
    [count] = layout.read(code, content, at)
    return at + struct.calcsize("=" + code), count


def _is_reduced_or_mask(content: bytes, layout: _Layout, start: int, count: int, size: int) -> bool:
    for n in range(min(count, 2)):  # entries are sorted by their tag, and 254 is the smallest that is used
        tag, kind, _ = layout.read(layout.entry, content, start + n * size)
        if tag == _SUBFILE and kind in _CODES:
            value_at = start + n * size + struct.calcsize("=" + layout.entry)
            return bool(layout.read(_CODES[kind], content, value_at)[0] & _REDUCED_OR_MASK)
    return False


def _entries(content: bytes, layout: _Layout, at: int) -> Iterator[_Entry]:
    """The entries of a directory; their values together are no larger than the file.

    Raises:
        ImageFault: if they are, as in a file that is made to grow.
    """
    start, number = _entries_at(content, layout, at)
    head, total = struct.calcsize("=" + layout.entry), 0
    for n in range(number):
        place = start + n * (head + layout.word_size)
        tag, kind, count = layout.read(layout.entry, content, place)
        size = _SIZES.get(kind, 0) * count
        total += size
        if total > len(content):
            raise _damaged(f"tag {tag} has {count} values")
        where = place + head if size <= layout.word_size else layout.read(layout.word, content, place + head)[0]
        if size and tag not in _ELSEWHERE:
            yield _Entry(tag, kind, count, content[where : where + size])


def _copied(content: bytes, layout: _Layout, at: int) -> bytes:
    """A file with one page alone."""
    entries = {entry.tag: entry for entry in _entries(content, layout, at)}
    if _OLD_JPEG in entries:
        raise ImageFault(
            "unsupported", "The pages of the TIFF are compressed by an old form of JPEG.", received="tag 513",
            allowed="no compression, Deflate, PackBits, LZW or JPEG", fix="Save the page as PNG.",
        )  # fmt: skip
    out = bytearray(struct.pack(layout.order + "QQ", 0, 0)[: 16 if layout.big else 8])
    for tag, sizes in _PARTS.items():
        if tag in entries:
            entries[tag] = _with_parts(out, content, layout, entries[tag], entries[sizes])
    directory = _with_values(out, layout, entries)
    start = len(out)
    out += struct.pack(layout.order + ("Q" if layout.big else "H"), len(entries)) + directory
    out += struct.pack(layout.order + layout.word, 0)
    magic = content[:4] + (struct.pack(layout.order + "HH", 8, 0) if layout.big else b"")
    out[: len(magic) + layout.word_size] = magic + struct.pack(layout.order + layout.word, start)
    return bytes(out)


def _with_parts(out: bytearray, content: bytes, layout: _Layout, offsets: _Entry, sizes: _Entry) -> _Entry:
    """Append strips or tiles to a file; returns the entry of their new offsets."""
    starts, lengths = (
        struct.unpack(f"{layout.order}{one.values}{_CODES[one.kind]}", one.value) for one in (offsets, sizes)
    )
    if sum(lengths) > len(content):
        raise _damaged(f"strips of {sum(lengths)} bytes in a file of {len(content)}")
    moved = []
    for start, length in zip(starts, lengths, strict=True):
        moved.append(len(out))
        out += content[start : start + length]
        out += b"\0" * (len(out) % 2)  # offsets are even
    kind = _LONG8 if layout.big else _LONG
    return _Entry(offsets.tag, kind, len(moved), struct.pack(f"{layout.order}{len(moved)}{_CODES[kind]}", *moved))


def _with_values(out: bytearray, layout: _Layout, entries: dict[int, _Entry]) -> bytes:
    """Append long values to a file; returns the entries of its directory."""
    directory = bytearray()
    for entry in sorted(entries.values()):
        value = entry.value
        if len(value) > layout.word_size:
            out += b"\0" * (len(out) % 2)
            value, where = struct.pack(layout.order + layout.word, len(out)), value
            out += where
        directory += struct.pack(layout.order + layout.entry, entry.tag, entry.kind, entry.values)
        directory += value.ljust(layout.word_size, b"\0")
    out += b"\0" * (len(out) % 2)
    return bytes(directory)


def _damaged(received: str) -> ImageFault:
    return ImageFault(
        "damaged", "The page of the TIFF is damaged.", received=received[:200], allowed="a complete TIFF file",
        fix="Send the file again, or save it with another program.",
    )  # fmt: skip
