"""Checks of how files are built."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from model_store.images import ImageFault, decode, is_plain, pixels_of
from tests import hostile_images as hostile

TOO_COMPLEX = {
    "scans of a JPEG": (hostile.jpeg_of_scans(9000), "scans"),
    "segments of a JPEG": (b"\xff\xd8" + b"\xff\xfe\0\2" * 5000 + hostile.encoded(64, "JPEG")[2:], "segments"),
    "texts of a PNG": (hostile.png_of_chunks(b"tEXt", b"a\0b", 20_000), "chunks without pixels"),
    "empty data of a PNG": (hostile.png_of_chunks(b"IDAT", b"", 110_000), "chunks"),
    "blocks of a GIF": (hostile.gif_of_blocks(11_000), "blocks"),
    "chunks of a WebP": (hostile.webp_of_chunks(30_000), "chunks"),
    "strips of a TIFF": (hostile.tiff_of_strips(1_000_000), "strips or tiles"),
    "values of a TIFF": (hostile.exif_of_overlaps(200), "bytes in the values"),
    "entries of a TIFF": (hostile.tiff([(n, 3, 1, 1) for n in range(1, 9000)]), "entries"),
    "values of EXIF": (hostile.jpeg_with_exif(hostile.exif_of_overlaps(400)), "bytes in the values"),
    "tiles of a JPEG 2000": (hostile.jpeg2000_of_tiles(6000, 1), "tiles"),
    "boxes of an AVIF": (hostile.avif_of_boxes(20_000), "boxes"),
}


@pytest.mark.parametrize("name", TOO_COMPLEX)
@pytest.mark.parametrize("read", [decode, lambda content: pixels_of(content, 1 << 40)])
def test_files_with_too_many_parts_are_refused_before_they_are_decoded(name: str, read: object) -> None:
    content, what = TOO_COMPLEX[name]
    started = time.process_time()
    with pytest.raises(ImageFault) as fault:
        read(content)  # type: ignore[operator]
    assert time.process_time() - started < 1
    assert fault.value.fault == "too complex"
    assert what in fault.value.received
    assert what in fault.value.allowed


@pytest.mark.parametrize("name", TOO_COMPLEX)
def test_no_such_file_is_plain(name: str) -> None:
    assert not is_plain(TOO_COMPLEX[name][0])


def saved(mode: str = "RGB", size: tuple[int, int] = (64, 48), form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, form, **options)
    return file.getvalue()


def test_usual_jpegs_and_pngs_are_plain_and_others_are_not() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = [saved(mode, form=form) for form in ("PNG", "JPEG") for mode in ("L", "RGB")]
    plain += [saved("P"), saved("RGBA"), saved("1"), saved("CMYK", form="JPEG"), saved(form="JPEG", exif=exif)]
    plain += [saved(exif=exif), saved(form="JPEG", restart_marker_blocks=1)]
    assert all(map(is_plain, plain))
    others = [saved(form=form) for form in ("WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")]
    others += [saved(form="JPEG", progressive=True), saved(size=(3000, 2000)), saved(size=(5000, 4000), form="JPEG")]
    others += [hostile.jpeg_with_exif(hostile.exif_of_overlaps(30)), b"", b"\xff\xd8\xff", saved()[:20]]
    assert not any(map(is_plain, others))


def test_an_interlaced_png_is_not_plain() -> None:
    content = bytearray(saved())
    content[28] = 1
    assert not is_plain(bytes(content))


def test_a_jpeg_with_a_scan_for_each_channel_is_not_plain() -> None:
    content = saved(form="JPEG")
    assert is_plain(content)
    start = content.find(b"\xff\xda")
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0\0"
    assert not is_plain(content[:start] + 3 * scan + b"\xff\xd9")


def test_scans_are_counted_to_the_end_of_the_image_and_not_in_what_follows() -> None:
    content = hostile.jpeg_of_scans(20)
    again = decode(content + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 500)
    assert np.array_equal(again.pixels, decode(content).pixels)


def test_an_end_of_image_inside_a_segment_does_not_hide_scans() -> None:
    content = hostile.jpeg_of_scans(300)
    place = content.find(b"\xff\xda", content.find(b"\xff\xda") + 2)
    hidden = content[:place] + b"\xff\xfe\0\4\xff\xd9" + content[place:]
    with pytest.raises(ImageFault, match="scans"):
        decode(hidden)


def test_a_damaged_directory_is_read_as_far_as_the_file_goes() -> None:
    wild = hostile.tiff([(270, 2, 4_000_000_000, 60), (305, 2, 4_000_000_000, 60)], bytes(100))
    image = decode(hostile.jpeg_with_exif(wild))
    assert image.pixels.shape == (64, 64, 3)
