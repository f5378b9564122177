"""Draws the labels of images or of a video with supervision.

python integrations/supervision/annotate.py photo.jpg annotated.jpg
python integrations/supervision/annotate.py street.mp4 annotated.mp4 --known-only
"""

import argparse
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image

from segsort_client import DEFAULT_ADDRESS, Client

SMALL = 0.02  # share of the area of the image, up to which a segment has no name
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm"}


def annotated(client: Client, image: np.ndarray, known_only: bool) -> np.ndarray:
    """An image with the masks and the names of its segments.

    Args:
        client: of the service.
        image: [H, W, 3] uint8, RGB.
        known_only: leave out segments that are unlike all exemplars.

    Returns:
        [H, W, 3] uint8, RGB.
    """
    found = client.segment(image).to_supervision(known_only=known_only)
    drawn = sv.MaskAnnotator(color_lookup=sv.ColorLookup.CLASS).annotate(image.copy(), found)
    large = found[found.area > SMALL * image.shape[0] * image.shape[1]]
    assert isinstance(large, sv.Detections)
    names = sv.LabelAnnotator(color_lookup=sv.ColorLookup.CLASS, text_position=sv.Position.CENTER_OF_MASS)
    result: np.ndarray = names.annotate(drawn, large, labels=[str(name) for name in large.data["class_name"]])
    return result


def main() -> None:
    """Annotate an image, or each frame of a video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--address", default=DEFAULT_ADDRESS)
    parser.add_argument("--key")
    parser.add_argument("--known-only", action="store_true", help="leave out segments that are unlike all exemplars")
    chosen = parser.parse_args()
    with Client(chosen.address, chosen.key) as client:
        if chosen.source.suffix.lower() not in VIDEOS:
            image = np.asarray(Image.open(chosen.source).convert("RGB"))
            Image.fromarray(annotated(client, image, chosen.known_only)).save(chosen.target)
            return

        def frame(bgr: np.ndarray, _: int) -> np.ndarray:  # OpenCV's order of colours is blue, green, red
            return np.ascontiguousarray(annotated(client, bgr[:, :, ::-1], chosen.known_only)[:, :, ::-1])

        sv.process_video(source_path=str(chosen.source), target_path=str(chosen.target), callback=frame)


if __name__ == "__main__":
    main()
