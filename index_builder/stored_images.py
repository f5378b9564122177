"""The images of a release, which are stored as WebP."""

from collections.abc import Iterator
from functools import partial

from index_builder.datasets import Dataset
from index_builder.image_work import ImageItem, NameOfImage, ReadingPixels, Storing
from index_builder.kept_results import STORED_IMAGE, KeptResults, Working
from index_builder.progress import shown
from model_store.exemplar_table import SourceImage


def webp_files(
    dataset: Dataset, sources: list[SourceImage], positions: list[int], quality: int, working: Working | None = None
) -> Iterator[tuple[str, bytes]]:
    """File name and WebP bytes of each stored image.

    Images are read again, so that they are not all in memory at once, and come in their order.

    Args:
        dataset: the data set.
        sources: the images that are stored.
        positions: of these in the data set.
        quality: 0 to 100.
        working: how this is done; None: in this process, by threads on all cores.
    """
    items = [ImageItem(position, position) for position in positions]
    kept = KeptResults(working or Working(), "image", {"quality": quality, "format": "WebP"}, STORED_IMAGE)
    read, name = ReadingPixels(dataset), NameOfImage(dataset)
    found = kept.each(partial(Storing, quality), items, read, name, in_threads=True)
    waiting: dict[int, bytes] = {}
    following = 0
    for place, content in shown(found, len(items), "storing images"):
        waiting[place] = content
        while following in waiting:
            yield sources[following].file, waiting.pop(following)
            following += 1
