"""Damaged, malicious and unusual image files. Each call makes the same files."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, __version__

from tests.conftest import Blocks

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
COLORS = Blocks("val", height=36, width=48)[0].image
PILLOW = tuple(int(part) for part in __version__.split(".")[:2])
_PLACES = (1, 2, 4, 8, 12, 16, 24, 33, 64, 128)  # lengths in bytes of truncated files

Files = dict[str, bytes]


def saved(source: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    source.save(file, form, **options)
    return file.getvalue()


def image(mode: str = "RGB", size: tuple[int, int] = (48, 36)) -> Image.Image:
    """The blocks as an image of this mode and size (width, height)."""
    return Image.fromarray(COLORS).resize(size).convert(mode)


def rare() -> Files:
    """Unusual but valid images."""
    alpha, sixteen = image("RGBA"), COLORS[:, :, 0].astype(np.uint16) * 257
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    holes = np.linspace(-5, 5, 36 * 48, dtype=np.float32).reshape(36, 48)
    holes[::5], holes[1::5], holes[2::5] = np.nan, np.inf, -np.inf
    frames = [image().rotate(90 * n) for n in range(5)]
    return {
        **{f"1x1 {mode}": saved(image(mode, (1, 1)), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
        **{f"{w}x{h}": saved(image("RGB", (w, h)), "PNG") for w, h in ((1, 20_000), (20_000, 1), (2, 3), (3, 9000))},
        **{f"animated {form}": _animated(frames, form) for form in ("GIF", "PNG", "WEBP", "TIFF")},
        **{f"orientation {n}": _turned(n) for n in range(1, 9)},
        "CMYK JPEG": saved(image("CMYK"), "JPEG"),
        "CMYK TIFF": saved(image("CMYK"), "TIFF"),
        **({"YCbCr TIFF": saved(image("YCbCr"), "TIFF")} if PILLOW >= (13,) else {}),  # older ones cannot read it
        "grey JPEG": saved(image("L"), "JPEG"),
        "progressive JPEG": saved(image(), "JPEG", progressive=True),
        "palette": saved(image("P"), "PNG"),
        "palette of 2": saved(image().quantize(2), "PNG", bits=1),
        "palette with a transparent colour": saved(image("P"), "PNG", transparency=3),
        "palette with alpha": saved(alpha.quantize(16), "PNG"),
        "palette of a GIF with a transparent colour": saved(image("P"), "GIF", transparency=3),
        "alpha": saved(alpha, "PNG"),
        "alpha WebP": saved(alpha, "WEBP"),
        "grey and alpha": saved(alpha.convert("LA"), "PNG"),
        "one bit": saved(image("1"), "PNG"),
        "one bit, group 4": saved(image("1"), "TIFF", compression="group4"),
        "sixteen bits": saved(Image.fromarray(sixteen), "PNG"),
        "sixteen bits TIFF": saved(Image.fromarray(sixteen), "TIFF"),
        "sixteen bits a colour": _png(COLORS.astype(">u2") * 257, 16, 2),
        "sixteen bits and alpha": _png(np.dstack([sixteen, sixteen]).astype(">u2"), 16, 4),
        "thirty-two bits": saved(Image.fromarray(sixteen.astype(np.int32) * 7), "TIFF"),
        "floats with holes": saved(Image.fromarray(holes), "TIFF"),
        "floats, all holes": saved(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
        "floats, all the same": saved(Image.fromarray(np.full((9, 9), 3e38, np.float32)), "TIFF"),
        "LZW TIFF": saved(image(), "TIFF", compression="tiff_lzw"),
        "JPEG TIFF": saved(image(), "TIFF", compression="jpeg"),
        "a remark of 100 kB": saved(image(), "JPEG", comment=b"x" * 60_000),
        "a profile that is none": saved(image(), "PNG", icc_profile=b"no profile"),
        "what follows is no image": saved(image(), "PNG") + b"PK\3\4" * 50,
    }  # fmt: skip


def odd_metadata() -> Files:
    """Valid pixels with damaged or unusual metadata."""
    files = {f"orientation {value!r}": _turned(value) for value in (0, 9, 65535)}
    exif = image().getexif()
    exif[274] = 6
    whole = exif.tobytes()
    files["orientation in words"] = saved(image(), "JPEG", exif=whole.replace(b"\x12\x01\3\0", b"\x12\x01\2\0"))
    files |= {f"EXIF cut at {n}": saved(image(), "JPEG", exif=whole[:n]) for n in range(0, len(whole), 3)}
    files |= {f"EXIF of {n} bytes": saved(image(), "WEBP", exif=bytes(n)) for n in (1, 5, 6, 7, 8, 4000)}
    for place, value in ((10, 0xFF), (14, 0xFF), (len(whole) - 4, 0x08)):  # entries, their type, the next directory
        broken = bytearray(whole)
        broken[place : place + 2] = bytes([value, value])
        files[f"EXIF broken at {place}"] = saved(image(), "JPEG", exif=bytes(broken))
    xmp = b"<x:xmpmeta xmlns:tiff='a'><rdf tiff:Orientation='%s'/></x:xmpmeta>"
    files |= {f"XMP {v!r}": saved(image(), "JPEG", xmp=xmp % v) for v in (b"6", b"66666", b"-1", b"\xff\xfe", b"")}
    return files


def bombs() -> Files:
    """Small files that decode to large images, or declare a large size."""
    flat, rows = np.zeros((1000, 1000), np.uint8), zlib.compress(bytes(1_000_000), 9)
    frames = [Image.new("1", (800, 800), n % 2) for n in range(60)]
    text = zlib.compress(bytes(30_000_000), 9)
    return {
        "a million pixels in a thousand bytes": saved(Image.fromarray(flat), "PNG"),
        "one pixel too many": saved(Image.new("1", (1_000_001, 1)), "PNG"),
        "100000x100000": _png_of(_header(100_000, 100_000, 8, 2), rows),
        "2147483647x2147483647": _png_of(_header(2**31 - 1, 2**31 - 1, 16, 6), rows),
        "0x0": _png_of(_header(0, 0, 8, 2), rows),
        "0x5": _png_of(_header(0, 5, 8, 2), rows),
        "more pixels than it says": _png_of(_header(4, 4, 8, 0), rows),
        "fewer pixels than it says": _png_of(_header(999, 999, 8, 2), zlib.compress(b"abc")),
        "a text of 30 MB": _png_of(_header(4, 4, 8, 0), zlib.compress(bytes(20)), (b"zTXt", b"a\0\0" + text)),
        "a profile of 30 MB": _png_of(_header(4, 4, 8, 0), zlib.compress(bytes(20)), (b"iCCP", b"a\0\0" + text)),
        "60 frames GIF": _animated(frames, "GIF"),
        "60 frames WebP": _animated([frame.convert("L") for frame in frames[:9]], "WEBP"),
        "a GIF that says 65535x65535": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2",
        "a BMP that says 30000x30000": _bmp(30_000, 30_000),
        "a BMP of less than no rows": _bmp(5, -(2**31)),
        "a TIFF whose directory comes after itself": _tiff_loop(),
    }


def not_images() -> Files:
    """Files that are not images of a supported format."""
    random = np.random.default_rng(7)
    files = {f"random, {n} bytes": random.bytes(n) for n in (1, 2, 3, 10, 100, 5000)}
    files |= {f"{form} and then noise": saved(image(), form)[:30] + random.bytes(500) for form in FORMATS}
    files |= {form: saved(image(), form) for form in ("PPM", "ICO", "EPS", "PDF", "TGA", "PCX", "JPEG2000")}
    return files | {
        "nothing": b"",
        "zeros": bytes(1000),
        "a page": b"<!doctype html><html><body>hello</body></html>",
        "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg" width="9999999" height="9999999"/>',
        "an archive": b"PK\3\4" + bytes(100),
        "words": "Straße, 道路, \u202e".encode(),
    }


def truncated() -> Files:
    """Truncated files of each format."""
    files = {}
    for form in FORMATS:
        whole = saved(image(), form)
        for place in (*_PLACES, len(whole) // 2, len(whole) * 9 // 10, len(whole) - 1):
            files[f"{form} cut at {place}"] = whole[:place]
    return files


def damaged(count: int) -> Iterator[tuple[str, bytes]]:
    """Files of every format with changed bytes.

    Args:
        count: number of files.
    """
    whole = {form: saved(image(), form) for form in FORMATS}
    whole["TIFF of JPEG"] = saved(image(), "TIFF", compression="jpeg")
    whole["palette"] = saved(image("P"), "PNG", transparency=3)
    forms = list(whole)
    for n in range(count):
        random, form = np.random.default_rng([11, n]), forms[n % len(forms)]
        broken = bytearray(whole[form])
        start = min(200, len(broken)) if n % 2 else len(broken)  # half of them in the header
        for place in random.integers(0, start, random.integers(1, 9)):
            broken[place] = random.integers(0, 256)
        yield f"{form}, damage {n}", bytes(broken)


def _turned(orientation: object) -> bytes:
    turned = image()
    exif = turned.getexif()
    exif[274] = orientation
    return saved(turned, "JPEG", exif=exif)


def _animated(frames: list[Image.Image], form: str) -> bytes:
    return saved(frames[0], form, save_all=True, append_images=frames[1:])


def _png(values: np.ndarray, bits: int, color_type: int) -> bytes:
    """A PNG of [H, W] or [H, W, C] values, in a mode that Pillow cannot write."""
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return _png_of(_header(values.shape[1], values.shape[0], bits, color_type), zlib.compress(rows))


def _header(width: int, height: int, bits: int, color_type: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)


def _png_of(header: bytes, pixels: bytes, *more: tuple[bytes, bytes]) -> bytes:
    chunks = [(b"IHDR", header), *more, (b"IDAT", pixels), (b"IEND", b"")]
    framed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + info + bytes(300)


def _tiff_loop() -> bytes:
    tags = ((256, 3, 4), (257, 3, 4), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 16))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHIHH", t, k, 1, v, 0) for t, k, v in tags)
    return struct.pack("<2sHI", b"II", 42, 8) + directory + struct.pack("<I", 8)
