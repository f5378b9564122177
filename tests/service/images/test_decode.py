import io
import resource
import weakref
from contextvars import copy_context

import numpy as np
import pytest
from PIL import ExifTags, Image

from model_store.embedder import working_shape
from model_store.images import has_cheap_header
from model_store.workers import WorkerPool, WorkLimits
from service.images.decode import decode, decode_reduced, decode_within, decoding_in, kept_ahead, pixels_of
from service.problems import Problem
from tests.service.conftest import encoded

COLORS = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
GREY = np.random.default_rng(1).integers(0, 255, (20, 30), dtype=np.uint8)
MANY = 10_000


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_come_back_as_they_were(form: str) -> None:
    assert (decode(encoded(COLORS, form), MANY) == COLORS).all()


@pytest.mark.parametrize(
    ("form", "options"), [("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {"lossless": True})]
)
def test_lossy_formats_come_back_nearly_as_they_were(form: str, options: dict) -> None:
    assert np.abs(decode(encoded(COLORS, form, **options), MANY).astype(int) - COLORS).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_applied(orientation: int) -> None:
    upright = np.zeros((4, 6, 3), dtype=np.uint8)
    upright[0, 0] = (255, 0, 0)
    stored = {  # how a camera stores the upright image, by EXIF's definition
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[274] = orientation
    assert (decode(saved(image, "PNG", exif=exif), MANY) == upright).all()


def test_grey_is_repeated() -> None:
    assert (decode(encoded(GREY), MANY) == GREY[:, :, None]).all()


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(COLORS).quantize(16)
    assert (decode(saved(image, "PNG"), MANY) == np.asarray(image.convert("RGB"))).all()


def test_transparent_pixels_lie_over_white() -> None:
    alpha = np.zeros((20, 30), dtype=np.uint8)
    alpha[:, :10] = 255
    rgba = Image.fromarray(np.dstack([COLORS, alpha]))
    decoded = decode(saved(rgba, "PNG"), MANY)
    assert (decoded[:, :10] == COLORS[:, :10]).all()
    assert (decoded[:, 10:] == 255).all()


def test_a_transparent_colour_of_a_palette_lies_over_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    image.putdata([0, 1])
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert decode(saved(image, "PNG", transparency=0), MANY).tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_cmyk_becomes_rgb() -> None:
    image = Image.fromarray(COLORS).convert("CMYK")
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(decode(saved(image, "TIFF"), MANY) - expected).max() == 0
    assert decode(saved(image, "JPEG"), MANY).shape == (20, 30, 3)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = (GREY.astype(np.uint16) * 257).astype(np.uint16)
    assert (decode(saved(Image.fromarray(deep), "PNG"), MANY) == GREY[:, :, None]).all()


def test_floats_are_scaled_over_their_range() -> None:
    values = np.linspace(-3, 5, 600, dtype=np.float32).reshape(20, 30)
    values[0, 1] = np.nan
    decoded = decode(saved(Image.fromarray(values), "TIFF"), MANY)
    assert decoded.min() == 0
    assert decoded.max() == 255


def test_one_bit_images_are_black_and_white() -> None:
    image = Image.fromarray(GREY).convert("1")
    assert (decode(saved(image, "PNG"), MANY)[:, :, 0] == np.asarray(image) * 255).all()


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (5, 5), color) for color in ("red", "blue")]
    assert (decode(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), MANY)[0, 0] == (255, 0, 0)).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_truncated_file_is_refused_and_never_a_crash(form: str) -> None:
    whole = encoded(np.random.default_rng(2).integers(0, 255, (200, 200, 3), dtype=np.uint8), form)
    for share in (0.02, 0.3, 0.6, 0.9):
        try:
            decoded = decode(whole[: int(len(whole) * share)], 100_000)
        except Problem as problem:
            assert problem.status in (415, 422)  # noqa: PT017
        else:
            assert decoded.shape == (200, 200, 3)  # some formats are whole before the file's end


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    small = saved(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(small) < 100_000
    with pytest.raises(Problem) as refused:
        decode(small, 40_000_000)
    assert refused.value.status == 413
    assert "400000000" in str(refused.value.received)


@pytest.mark.parametrize(
    "content", [b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x00\x00\x00\x00WEBPVP8 "]
)
def test_a_header_alone_is_refused(content: bytes) -> None:
    with pytest.raises(Problem) as refused:
        decode(content, MANY)
    assert refused.value.status in (415, 422)


def test_an_image_that_is_absurdly_larger_than_its_file_is_refused_by_its_header() -> None:
    flat = saved(Image.new("RGB", (2000, 1500), (10, 20, 30)), "WEBP", lossless=True)
    assert len(flat) < 2000
    with pytest.raises(Problem) as refused:
        pixels_of(flat, 40_000_000, 2000)
    assert refused.value.status == 413
    assert "SEGSORT_MAX_RATIO" in str(refused.value.fix)
    assert pixels_of(flat, 40_000_000) == 3_000_000


def test_a_blank_page_and_a_small_flat_image_are_not_refused() -> None:
    blank = saved(Image.new("RGB", (2000, 1500), "white"), "PNG", optimize=True)
    small = saved(Image.new("RGB", (900, 900), "white"), "WEBP", lossless=True)
    assert pixels_of(blank, 40_000_000, 2000) == 3_000_000
    assert pixels_of(small, 40_000_000, 2000) == 810_000


def test_of_many_frames_only_the_first_is_decoded() -> None:
    random = np.random.default_rng(3)
    frames = [Image.fromarray(random.integers(0, 255, (20, 30), dtype=np.uint8)) for _ in range(30)]
    animated = bytearray(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    animated[len(animated) // 2 :] = b"\xff" * (len(animated) - len(animated) // 2)  # the later ones are broken
    assert decode(bytes(animated), MANY).shape == (20, 30, 3)


def jpeg(width: int, height: int, orientation: int | None = None, mode: str = "RGB") -> bytes:
    """A smooth image, so that reduced versions of it can be compared."""
    y, x = np.mgrid[:height, :width]
    values = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], axis=2).astype(np.uint8)
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    Image.fromarray(values).convert(mode).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("size", [(1000, 700), (700, 1000), (801, 800), (800, 801), (90, 60), (2000, 3)])
def test_a_large_jpeg_is_decoded_reduced_and_tells_its_own_size(size: tuple[int, int], orientation: int | None) -> None:
    content = jpeg(*size, orientation)
    whole = decode(content, 10**8)
    reduced, told = decode_reduced(content, 10**8, 100)[:2]
    assert told == whole.shape[:2]
    assert max(reduced.shape[:2]) >= min(100, max(size))
    assert max(reduced.shape[:2]) < 200 or min(size) < 64  # of a thin one the network sees 32 pixels all the same
    at_once = Image.fromarray(whole).resize(reduced.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(np.asarray(at_once, dtype=int) - reduced).mean() < 3


def test_only_what_is_far_larger_than_what_is_looked_at_is_reduced() -> None:
    for content, longest in ((jpeg(640, 480), 640), (jpeg(1279, 900), 640), (jpeg(300, 200), 640)):
        np.testing.assert_array_equal(decode_reduced(content, 10**8, longest)[0], decode(content, 10**8))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_modes_are_reduced_as_well(mode: str) -> None:
    content = jpeg(800, 600, mode=mode)
    reduced, told = decode_reduced(content, 10**8, 200)[:2]
    assert (reduced.shape, told) == ((150, 200, 3), (600, 800))
    at_once = Image.fromarray(decode(content, 10**8)).resize((200, 150), Image.Resampling.BOX)
    assert np.abs(np.asarray(at_once, dtype=int) - reduced).mean() < 3


def test_a_large_jpeg_that_is_cut_off_is_refused_all_the_same() -> None:
    content = jpeg(1000, 700)
    with pytest.raises(Problem) as refused:
        decode_reduced(content[: len(content) // 2], 10**8, 100)
    assert refused.value.status == 422


@pytest.mark.parametrize("size", [(4096, 64), (64, 4096), (5000, 40)])
def test_a_long_jpeg_keeps_the_rows_that_the_network_sees(size: tuple[int, int]) -> None:
    reduced, told = decode_reduced(jpeg(*size), 10**8, 640)[:2]
    assert told == size[::-1]
    assert all(side >= seen for side, seen in zip(reduced.shape[:2], working_shape(*told, 640), strict=True))


def test_a_header_of_many_parts_is_not_taken_for_quickly_measured() -> None:
    honest = jpeg(480, 360)
    assert has_cheap_header(honest)
    assert not has_cheap_header(honest[:2] + b"\xff\xfe\x00\x02" * 15_000 + honest[2:])
    assert not has_cheap_header(honest + bytes(100_000))
    assert not has_cheap_header(saved(Image.new("RGB", (9, 9)), "PNG"))


SMOOTH = np.asarray(Image.fromarray(COLORS[:4, :4]).resize((161, 81), Image.Resampling.BICUBIC))
ALL = 161 * 81


@pytest.mark.parametrize(
    ("limit", "shape"), [(ALL, (81, 161)), (ALL - 1, (41, 81)), (41 * 81 - 1, (21, 41)), (21 * 41 - 1, (11, 21))]
)
def test_a_jpeg_above_the_limit_is_decoded_at_the_largest_fraction_below(limit: int, shape: tuple[int, int]) -> None:
    found = decode_within(encoded(SMOOTH, "JPEG", quality=95), limit, ALL)
    assert found.pixels.shape[:2] == shape
    assert found.size == (81, 161)
    scale, (h, w) = round(161 / shape[1]), shape
    padded = np.pad(SMOOTH, ((0, h * scale - 81), (0, w * scale - 161), (0, 0)), mode="edge").astype(float)
    means = padded.reshape(h, scale, w, scale, 3).mean(axis=(1, 3))
    assert np.abs(found.pixels - means).mean() < 3


def test_a_rotated_jpeg_above_the_limit_is_upright() -> None:
    image = Image.fromarray(np.ascontiguousarray(np.rot90(SMOOTH)))
    image.getexif()[ExifTags.Base.Orientation] = 6
    content = saved(image, "JPEG", quality=95, exif=image.getexif())
    for found in (decode_within(content, ALL - 1, ALL), decode_reduced(content, ALL - 1, 32, ALL)):
        assert found.size == (81, 161)
        assert found.pixels.shape[0] < found.pixels.shape[1]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_other_formats_have_no_fraction(form: str) -> None:
    content = encoded(SMOOTH, form)
    assert decode_within(content, ALL, 0).pixels.shape == SMOOTH.shape
    for limited in (
        lambda: decode_within(content, ALL - 1, 10 * ALL),
        lambda: decode_reduced(content, ALL - 1, 32, 10 * ALL),
        lambda: pixels_of(content, ALL - 1, working_size=32, max_full=10 * ALL),
    ):
        with pytest.raises(Problem, match="too many pixels") as refused:
            limited()
        assert (refused.value.status, refused.value.allowed) == (413, f"at most {ALL - 1} pixels")


def test_the_pixels_of_a_jpeg_are_counted_in_full_and_limited_as_decoded() -> None:
    content = encoded(SMOOTH, "JPEG")
    assert pixels_of(content, 41 * 81, working_size=64, max_full=ALL) == ALL
    for limits in ({"max_full": ALL - 1}, {"working_size": 64}, {"working_size": 161, "max_full": ALL}, {}):
        with pytest.raises(Problem, match="too many pixels"):
            pixels_of(content, 41 * 81, **limits)
    with pytest.raises(Problem, match="too many pixels"):
        decode_within(content, 11 * 21 - 1, ALL)  # an eighth of each side is the least


def test_a_system_without_a_process_for_decoding_is_no_fault_of_the_image() -> None:
    pool = WorkerPool(WorkLimits(seconds=20, megabytes=1500, pixels=40_000_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with decoding_in(pool):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(Problem) as refused:
                decode(encoded(COLORS, "WEBP"), MANY)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert refused.value.status == 503
        assert refused.value.headers["Retry-After"] == "2"
        assert decode(encoded(COLORS, "WEBP"), MANY).shape == (20, 30, 3)
    pool.close()


def test_what_was_decoded_ahead_is_freed_although_a_thread_keeps_the_context_of_the_request() -> None:
    pool, content = WorkerPool(WorkLimits(seconds=20, megabytes=1500, pixels=40_000_000)), encoded(COLORS, "WEBP")
    with decoding_in(pool):
        with kept_ahead():
            first, again = decode(content, MANY), decode(content, MANY)
            assert again is first  # decoded once
            kept, freed = copy_context(), weakref.ref(first.base)
            del first, again
            assert freed() is not None
        assert freed() is None
        assert kept.run(decode, content, MANY).shape == (20, 30, 3)
    pool.close()
