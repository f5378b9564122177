"""GET /segmentations/{segmentation_id}/image?size=N: stored images as browsers can show them."""

import asyncio
import io
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import tifffile
from fastapi.testclient import TestClient
from PIL import Image

from model_store.images import Decoded, decode
from service.byte_cache import ByteCache
from service.images.decoded_images import DecodedImages
from tests.conftest import Blocks
from tests.service.conftest import encoded

BLOCKS = Blocks("val")[0].image  # 72x96


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def scaled(values: np.ndarray, times: int) -> np.ndarray:
    return values.repeat(times, 0).repeat(times, 1)


FILES = {
    "JPEG": encoded(scaled(BLOCKS, 8), "JPEG", quality=95),
    "PNG": encoded(BLOCKS),
    "AVIF": encoded(scaled(BLOCKS, 2), "AVIF", quality=90),
    "JPEG 2000": encoded(scaled(BLOCKS, 2), "JPEG2000"),
    "PNM": encoded(BLOCKS, "PPM"),
    "TIFF of 16 bits": tiff(BLOCKS[:, :, 0].astype(np.uint16) * 257),
    "TIFF of 12 bits in 16": tiff(BLOCKS.astype(np.uint16) * 16, photometric="rgb"),
    "TIFF of floats": tiff(BLOCKS[:, :, 1].astype(np.float32) / 300 - 0.3),
    "TIFF of five channels": tiff(
        scaled(BLOCKS, 3)[:, :, [0, 1, 2, 0, 1]], photometric="minisblack", planarconfig="contig"
    ),
}


def url_of(client: TestClient, content: bytes) -> str:
    answer = client.post("/segment", content=content).raise_for_status().json()
    return f"/segmentations/{answer['segmentation_id']}/image"


def shown(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(float)


@pytest.mark.parametrize("size", [64, 512, 700])
@pytest.mark.parametrize("name", FILES)
def test_every_format_is_rendered_as_it_was_decoded(client: TestClient, name: str, size: int) -> None:
    """The oracle is the whole image by the decoder, resized by Pillow in one step."""
    whole = Image.fromarray(decode(FILES[name]).pixels)
    answer = client.get(url_of(client, FILES[name]), params={"size": size})
    assert answer.headers["content-type"] == ("image/webp" if size <= 512 else "image/jpeg")
    found = shown(answer.content)
    whole.thumbnail((size, size), Image.Resampling.LANCZOS)
    assert found.shape[:2] == whole.size[::-1]
    assert np.abs(found - np.asarray(whole, dtype=float)).mean() < 10


def test_a_caller_that_accepts_png_alone_gets_exact_values(client: TestClient) -> None:
    url = url_of(client, FILES["TIFF of 16 bits"])
    answer = client.get(url, params={"size": 4096}, headers={"accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(shown(answer.content), decode(FILES["TIFF of 16 bits"]).pixels)


def test_a_rotated_image_is_rendered_upright(client: TestClient) -> None:
    image = Image.fromarray(BLOCKS)
    image.getexif()[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=image.getexif())
    assert shown(client.get(url_of(client, file.getvalue()), params={"size": 64}).content).shape[:2] == (64, 48)


def test_without_a_size_the_file_is_unchanged(client: TestClient) -> None:
    for content in FILES.values():
        assert client.get(url_of(client, content)).content == content


def test_a_rendering_is_kept_by_caches_and_not_sent_again(client: TestClient) -> None:
    url = url_of(client, FILES["PNG"])
    first = client.get(url, params={"size": 64})
    assert "immutable" in first.headers["cache-control"]
    assert "private" in first.headers["cache-control"]
    tag = first.headers["etag"]
    again = client.get(url, params={"size": 64}, headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(url, params={"size": 65}, headers={"if-none-match": tag})
    assert other.status_code == 200
    assert other.headers["etag"] != tag
    png = client.get(url, params={"size": 64}, headers={"accept": "image/png", "if-none-match": tag})
    assert png.status_code == 200


@pytest.mark.parametrize("size", ["63", "4097", "0", "-1", "many", "9" * 50])
def test_other_sizes_are_refused(client: TestClient, size: str) -> None:
    assert client.get(url_of(client, FILES["PNG"]), params={"size": size}).status_code == 422


def test_a_deleted_or_missing_image_is_not_found(client: TestClient, start: Callable[..., TestClient]) -> None:
    url = url_of(client, FILES["PNG"])
    client.get(url, params={"size": 64}).raise_for_status()
    client.delete(url.removesuffix("/image"))
    assert client.get(url, params={"size": 64}).status_code == 404
    with start(keep_images_mb=0) as other:
        assert other.get(url_of(other, FILES["PNG"]), params={"size": 64}).status_code == 404


@pytest.fixture
def large(start: Callable[..., TestClient]) -> Iterator[tuple[TestClient, str]]:
    """A service, and the address of an image of 20 megapixels with 16 bits in three channels: 120 MB decoded."""
    rows = np.tile(np.arange(4000, dtype=np.uint16)[None, :, None] * 16, (5000, 1, 3))
    content = tiff(rows, photometric="rgb", compression="zlib", predictor=True, rowsperstrip=500)
    assert len(content) < 20_000_000
    with start(deadline_s=300) as client:
        yield client, url_of(client, content)


def test_twelve_large_renderings_at_once_take_the_memory_of_one(large: tuple[TestClient, str]) -> None:
    """Sizes differ, so that none comes from the cache."""
    client, url = large
    client.get(url, params={"size": 128}).raise_for_status()
    one = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(12) as callers:

        def ask(size: int) -> int:
            return client.get(url, params={"size": size}).status_code

        assert set(callers.map(ask, range(129, 141))) == {200}
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - one) / 1024
    assert grown < 200, f"{grown:.0f} MiB more than for one"


def test_crops_of_a_large_image_at_once_take_the_memory_of_two(large: tuple[TestClient, str]) -> None:
    client, url = large
    answer = client.get(url.removesuffix("/image"), params={"masks": "none"}).json()
    crops = [f"/segments/{one['segment_id']}/crop" for one in answer["segments"]] * 12
    client.get(crops[0]).raise_for_status()
    one = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(12) as callers:
        answers = callers.map(lambda crop: client.get(crop).status_code, crops[:12])
        assert set(answers) == {200}
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - one) / 1024
    assert grown < 700, f"{grown:.0f} MiB more than for one"


def test_callers_who_ask_for_the_same_at_once_share_the_work(large: tuple[TestClient, str]) -> None:
    client, url = large
    decoded = []
    renderings = client.app.state.renderings  # type: ignore[attr-defined]
    read = renderings._images.get
    renderings._images.get = lambda image_id: decoded.append(image_id) or read(image_id)

    async def ask_together() -> list[int]:
        transport = httpx.ASGITransport(client.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=300) as caller:
            answers = await asyncio.gather(*(caller.get(url, params={"size": 100}) for _ in range(5)))
        return [answer.status_code for answer in answers]

    try:
        assert asyncio.run(ask_together()) == [200] * 5
    finally:
        renderings._images.get = read
    assert len(decoded) == 1


def test_crops_of_one_image_decode_it_once_and_the_same_crop_is_drawn_once(client: TestClient) -> None:
    answer = client.post("/segment", content=FILES["AVIF"]).raise_for_status().json()
    crops = [f"/segments/{one['segment_id']}/crop" for one in answer["segments"]]
    assert len(crops) > 2
    renderings = client.app.state.renderings  # type: ignore[attr-defined]
    read, reads = renderings._images.get, list[str]()

    def noted(image_id: str) -> object:
        reads.append(image_id)
        return read(image_id)

    renderings._images.get = noted
    renderings._decoded._kept_s = 1000.0
    try:
        first = [client.get(crop).raise_for_status().content for crop in crops]
        assert len(reads) == 1
        assert [client.get(crop).content for crop in crops] == first
        renderings._decoded._kept_s = 0.0
        renderings.forget()
        assert renderings._decoded.bytes == 0
        assert [client.get(crop).content for crop in crops] == first
        assert len(reads) == 1
    finally:
        renderings._images.get = read
    client.delete(f"/segmentations/{answer['segmentation_id']}").raise_for_status()
    assert client.get(crops[0]).status_code == 404, "the crop that was drawn is not shown any more"


def test_decoded_images_are_kept_for_a_moment_within_a_limit() -> None:
    now, decoded = 0.0, list[str]()

    def image(name: str, size: int = 10) -> Callable[[], Decoded]:
        def make() -> Decoded:
            decoded.append(name)
            return Decoded(np.zeros((1, size, 3), np.uint8), (1, size), None)

        return make

    kept = DecodedImages(limit=60, kept_s=5.0, clock=lambda: now)
    for name in ("a", "b", "a"):
        kept.get(name, image(name))
    assert (decoded, kept.bytes) == (["a", "b"], 60)
    kept.get("c", image("c"))
    kept.get("a", image("a"))
    assert (decoded, kept.bytes) == (["a", "b", "c"], 60), "the least recent one made room"
    kept.get("large", image("large", 100))
    assert kept.bytes == 60
    now = 4.0
    kept.get("c", image("c"))
    now = 6.0
    kept.forget()
    assert kept.bytes == 30
    kept.get("c", image("c"))
    assert decoded == ["a", "b", "c", "large"]


def test_the_cache_keeps_the_recent_ones_within_its_limit() -> None:
    cache = ByteCache(limit=10)
    for name in "abc":
        cache.add(name, b"1234")
    assert [cache.get(name) for name in "abc"] == [None, b"1234", b"1234"]
    cache.get("b")
    cache.add("d", b"1234")
    assert [cache.get(name) for name in "bcd"] == [b"1234", None, b"1234"]
    cache.add("d", b"12")
    cache.add("e", b"1234")
    assert [cache.get(name) for name in "bde"] == [b"1234", b"12", b"1234"]
    cache.add("f", b"12345678901")
    assert [cache.get(name) for name in "bdef"] == [None] * 4
