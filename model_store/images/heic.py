"""HEIC files, as phones write them. The optional package pi-heif reads them; its libraries are under the LGPL."""

from functools import cache

from model_store.images.faults import ImageFault

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MAX_BOX = 256  # bytes of the first box that are searched for a brand


def is_heic(content: bytes) -> bool:
    """Whether a file is HEIC by the brands in its first box. An AVIF is not, although its box is of the same kind."""
    if content[4:8] != b"ftyp" or content[8:12] in (b"avif", b"avis"):
        return False
    if content[8:12] not in _BRANDS:
        return False
    size = min(int.from_bytes(content[:4], "big"), _MAX_BOX)
    return not any(content[at : at + 4] in (b"avif", b"avis") for at in range(16, size - 3, 4))


@cache
def reader_of_heic() -> tuple[str, ...]:
    """Formats for Pillow to read a HEIC file with.

    Raises:
        ImageFault: if the package is not installed.
    """
    try:
        from pi_heif import register_heif_opener  # an optional package
    except ImportError as error:
        raise ImageFault(
            "unsupported", "HEIC images cannot be read by this installation.", received="an image in HEIC",
            allowed="JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, JPEG 2000 or PNM",
            fix="Save the image as JPEG, or ask the operator to install the extra `heic`.",
        ) from error  # fmt: skip
    register_heif_opener()
    return ("HEIF",)
