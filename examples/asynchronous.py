"""Segments images with asyncio, as they are completed, and prints the largest class of each.

python -m examples.asynchronous photo.jpg https://example.com/other.jpg
"""

import asyncio
from collections import Counter

from examples.arguments import parser
from segsort_client import AsyncClient, Segmentation


def largest_class(answer: Segmentation) -> str:
    """The class that covers most of an image, and its share of the area."""
    areas: Counter[str] = Counter()
    for segment in answer:
        areas[segment.class_name or "no class"] += segment.area
    ((name, area),) = areas.most_common(1)
    return f"{name}, {area / (answer.width * answer.height):.0%}"


async def main() -> None:
    """Segment all images and print a line for each."""
    options = parser(__doc__)
    options.add_argument("images", nargs="+", help="paths or URLs")
    chosen = options.parse_args()
    async with AsyncClient(chosen.address, chosen.key) as client:
        async for result in client.segment_many(chosen.images, ordered=False):
            said = result.error if result.segmentation is None else largest_class(result.segmentation)
            print(f"{chosen.images[result.index]}: {said}")


if __name__ == "__main__":
    asyncio.run(main())
