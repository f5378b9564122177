"""Pages of TIFF files. tifffile and Pillow, which read whole files, are the oracles."""

import contextlib
import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from model_store.images import ImageFault, decode, take_page
from model_store.images.pages import MOST_PAGES

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 65535, (3, 70, 90), dtype=np.uint16)
COLORS = RNG.integers(0, 255, (3, 70, 90, 3), dtype=np.uint8)


def written(pages: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    big = options.pop("bigtiff", False)
    with tifffile.TiffWriter(file, bigtiff=bool(big), byteorder=options.pop("byteorder", "<")) as writer:  # type: ignore[arg-type]
        for page in pages:
            writer.write(page, contiguous=False, **options)  # type: ignore[arg-type]
    return file.getvalue()


FORMS = {
    "grey of 16 bits": written(STACK),
    "grey, big-endian": written(STACK, byteorder=">"),
    "BigTIFF": written(STACK, bigtiff=True),
    "BigTIFF, big-endian": written(STACK, bigtiff=True, byteorder=">"),
    "strips": written(COLORS, photometric="rgb", rowsperstrip=7),
    "tiles": written(COLORS, photometric="rgb", tile=(32, 48)),
    "Deflate": written(COLORS, photometric="rgb", compression="zlib", rowsperstrip=9),
    "planes": written(COLORS.transpose(0, 3, 1, 2).copy(), photometric="rgb", planarconfig="separate"),
    "floats": written(STACK.astype(np.float32)),
    "description": written(STACK, description="a" * 501),
}


@pytest.mark.parametrize("name", FORMS)
def test_each_page_is_copied_with_its_values(name: str) -> None:
    content = FORMS[name]
    with tifffile.TiffFile(io.BytesIO(content)) as whole:
        assert len(whole.pages) == 3
        for number in range(3):
            page = take_page(content, number)
            assert (page.number, page.pages) == (number, 3)
            with tifffile.TiffFile(io.BytesIO(page.content)) as alone:
                assert len(alone.pages) == 1
                np.testing.assert_array_equal(alone.pages[0].asarray(), whole.pages[number].asarray())
            assert len(page.content) < len(content)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"])
def test_compressed_pages_of_pillow_are_copied(compression: str) -> None:
    images = [Image.fromarray(page) for page in COLORS]
    file = io.BytesIO()
    images[0].save(file, "TIFF", save_all=True, append_images=images[1:], compression=compression)
    expected = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(Image.open(file))]
    for number in range(3):
        np.testing.assert_array_equal(decode(take_page(file.getvalue(), number).content).pixels, expected[number])


def test_palettes_and_orientation_come_along() -> None:
    images = [Image.fromarray(page).quantize(16) for page in COLORS]
    file = io.BytesIO()
    images[0].save(file, "TIFF", save_all=True, append_images=images[1:])
    expected = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(Image.open(file))]
    np.testing.assert_array_equal(decode(take_page(file.getvalue(), 2).content).pixels, expected[2])
    turned = written(STACK, extratags=[(274, "H", 1, 6, True)])
    assert decode(take_page(turned, 1).content).size == (90, 70)


def test_a_page_that_is_copied_again_stays_the_same() -> None:
    page = take_page(FORMS["tiles"], 1).content
    assert take_page(page) == (page, 0, 1)


def test_files_of_one_page_are_not_changed() -> None:
    file = io.BytesIO()
    Image.fromarray(COLORS[0]).save(file, "PNG")
    for content in (file.getvalue(), written(STACK[:1]), b"", b"II*\0", b"nothing"):
        assert take_page(content) == (content, 0, 1)


def test_copies_of_reduced_size_and_masks_are_no_pages() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for kind, page in zip((0, 1, 0, 4), (STACK[0], STACK[0][::2, ::2], STACK[1], STACK[2] > 999), strict=True):
            writer.write(page, subfiletype=kind, photometric="minisblack", contiguous=False)
    assert take_page(file.getvalue(), 0).pages == 2
    with tifffile.TiffFile(io.BytesIO(take_page(file.getvalue(), 1).content)) as alone:
        np.testing.assert_array_equal(alone.pages[0].asarray(), STACK[1])


@pytest.mark.parametrize("number", [3, -1, 10**9])
def test_a_page_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(ImageFault, match=rf"page {number} of 3.*0 to 2") as refused:
        take_page(FORMS["tiles"], number)
    assert refused.value.fault == "no such page"


def test_a_circle_of_directories_ends() -> None:
    content = bytearray(FORMS["grey of 16 bits"])
    [at] = struct.unpack_from("<I", content, 4)
    [count] = struct.unpack_from("<H", content, at)
    struct.pack_into("<I", content, at + 2 + 12 * count, at)
    assert take_page(bytes(content)).pages == 1


@pytest.mark.parametrize("at", [100, 2**62, 2**63, 2**64 - 1])
def test_a_directory_outside_of_the_file_is_no_page(at: int) -> None:
    """In a BigTIFF, an offset may be larger than any file, and so may the number of entries."""
    head = b"II+\0" + struct.pack("<HH", 8, 0)
    first = head + struct.pack("<Q", at) + bytes(50)
    assert take_page(first) == (first, 0, 1)
    entries = head + struct.pack("<QQ", 16, at) + bytes(50)
    assert take_page(entries) == (entries, 0, 1)


def test_very_many_pages_are_counted_up_to_the_limit() -> None:
    """Each directory has one entry, so that the whole file is small."""
    size = 2 + 12 + 4
    pages = b"".join(
        struct.pack("<HHHII", 1, 256, 3, 1, 1) + struct.pack("<I", 8 + (n + 1) * size) for n in range(MOST_PAGES + 50)
    )
    assert take_page(b"II*\0" + struct.pack("<I", 8) + pages, 1).pages == MOST_PAGES


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)


def two_pages(*entries: tuple[int, int, int, int]) -> bytes:
    first = directory(*entries)
    return b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", 12 + len(first)) + directory() + bytes(4000)


@pytest.mark.parametrize(
    "entries",
    [
        [(270, 2, 2**32 - 1, 8)],
        [(270, 2, 2000, 8)] * 3,
        [(273, 4, 1, 8)],
        [(273, 4, 2, 8), (279, 4, 1, 8)],
        [(273, 4, 3, 100), (279, 4, 400, 8)],
        [(273, 2, 1, 8), (279, 4, 1, 8)],
        [(273, 4, 1, 8), (279, 4, 1, 2**31)],
    ],
    ids=str,
)
def test_a_hostile_directory_is_refused_and_never_grows(entries: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(ImageFault) as refused:
        take_page(two_pages(*entries))
    assert refused.value.fault == "damaged"


def test_damaged_files_give_a_page_or_a_fault() -> None:
    """Bytes of the directories and of the values are changed at random, with a fixed seed."""
    content = FORMS["strips"]
    for _ in range(2000):
        broken = bytearray(content)
        for at in RNG.integers(0, len(content), 20):
            broken[at] = RNG.integers(0, 256)
        for number in range(3):
            with contextlib.suppress(ImageFault):
                assert len(take_page(bytes(broken), number).content) <= 2 * len(content)
