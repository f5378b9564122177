"""Segments the images of a folder, eight at a time, and writes one COCO document for all of them.

python -m examples.segment_folder photos --out photos.json
"""

import json
import sys
from pathlib import Path

from examples.arguments import parser
from segsort_client import Client

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def main() -> int:
    """Segment, write, and say which images failed. Returns the exit status: 1 if an image failed."""
    options = parser(__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--out", type=Path, default=Path("coco.json"))
    options.add_argument("--workers", type=int, default=8, help="images that are sent at once")
    chosen = options.parse_args()
    paths = sorted(path for path in chosen.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    document: dict[str, list[object]] = {"images": [], "annotations": [], "categories": []}
    failed = 0
    with Client(chosen.address, chosen.key) as client:
        for result in client.segment_many(paths, workers=chosen.workers, progress=True):
            if result.error is not None:
                failed += 1
                print(f"{paths[result.index]}: {result.error}", file=sys.stderr)
                continue
            name = paths[result.index].relative_to(chosen.folder).as_posix()
            found = result.get().to_coco(
                file_name=name, image_id=result.index + 1, first_id=len(document["annotations"]) + 1
            )
            document["images"] += found["images"]
            document["annotations"] += found["annotations"]
            document["categories"] = found["categories"]  # the newest answer knows all classes
    chosen.out.write_text(json.dumps(document))
    print(f"{chosen.out}: {len(document['images'])} images, {len(document['annotations'])} segments, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
