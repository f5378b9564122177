"""Segmentation of image files without a server: the outputs of `segsort segment`."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_store.exporting import ExportImage, ExportOptions, ExportSegment, write
from model_store.labelled import MapPlace, Survey, image_files, map_place
from segsort.masks import decode_rle
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.images.decode import decode_within
from service.images.drawing import contact_sheet, label_map_png, overlay, resampled
from service.problems import Problem

Failed = Callable[[Path, Exception], None]


def found_images(paths: Sequence[Path]) -> list[Path]:
    """The images of a command line: files, and the image files of folders. What folders have besides is printed.

    Raises:
        ValueError: if a folder has no image.
    """
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        survey = Survey(path)
        found = image_files(path, survey)
        if not found:
            raise ValueError(f"{path} has no images; give image files, or a folder that has some")
        for name, reason in survey.skipped.items():
            print(f"{path / name}: skipped, {reason}", file=sys.stderr)
        files += found
    return files


def output_names(images: Sequence[Path]) -> list[str]:
    """One unique output name for each image: its file name without suffix, numbered if several share it."""
    names: list[str] = []
    for file in images:
        name, number = file.stem, 1
        while name in names:
            number += 1
            name = f"{file.stem}-{number}"
        names.append(name)
    return names


def segment_file(engine: Engine, file: Path, out: Path | None) -> dict[str, Any]:
    """Segment one file. With `out`, also write `out`.overlay.png, .labels.png, .json and .exemplars.png.

    Returns:
        The answer as JSON.

    Raises:
        OSError: if the file cannot be read or an output cannot be written.
        Problem: if the file is not an image that the service accepts.
    """
    content = file.read_bytes()
    answer = engine.segment(content, SegmentRequest())
    body: dict[str, Any] = answer.body
    if out is None:
        return body
    image = decode_within(content, engine.settings.max_pixels, engine.settings.max_full_pixels).pixels
    shape = (image.shape[0], image.shape[1])  # of a very large JPEG, a fraction of the size of the labels
    labels = resampled(_segment_map(body), shape)
    release, classes = engine.served.release, engine.served.release.card.classes
    out.parent.mkdir(parents=True, exist_ok=True)
    overlay(image, resampled(answer.class_map, shape), labels, classes).save(f"{out}.overlay.png")
    Path(f"{out}.labels.png").write_bytes(label_map_png(answer.class_map, classes))
    Path(f"{out}.json").write_text(json.dumps(body))
    contact_sheet(image, labels, body, release, release.rows).save(f"{out}.exemplars.png")
    print(f"{file}: {len(body['segments'])} segments, {out}.*", file=sys.stderr)
    return body


def exported(engine: Engine, files: Sequence[Path], form: str, out: Path, with_images: bool, failed: Failed) -> str:
    """Segment files and write their labels in a format of `model_store.exporting`.

    Args:
        engine: the engine.
        files: image files.
        form: format of the export.
        out: folder of the export.
        with_images: whether the images are copied beside their labels.
        failed: called for each file that cannot be read or segmented; the others are exported.

    Returns:
        What was written, in words.

    Raises:
        ValueError: if the format is not known, or cannot hold the classes of the release.
    """
    live = engine.served.live
    options = ExportOptions(release=live.name)
    classes = [state.info for state in live.log.class_states()]
    summary = write(form, _results(engine, files, with_images, failed), classes, out, options)
    return f"{out}: {summary.images} images, {summary.segments} segments with a class, {summary.unknown} without"


def _results(engine: Engine, files: Sequence[Path], with_images: bool, failed: Failed) -> Iterator[ExportImage]:
    for n, file in enumerate(files):
        try:
            content = file.read_bytes()
            body = engine.segment(content, SegmentRequest(exemplars=engine.settings.max_exemplars)).body
        except (OSError, Problem) as error:
            failed(file, error)
            continue
        segments = [
            ExportSegment(
                segment["segment_id"], segment["class_id"], segment["confidence"], segment["known"],
                tuple(exemplar["exemplar_id"] for exemplar in segment["exemplars"]),
            )
            for segment in body["segments"]
        ]  # fmt: skip
        print(f"{file}: {len(segments)} segments ({n + 1} of {len(files)})", file=sys.stderr)
        stored = content if with_images else None
        place = _place(file)
        yield ExportImage(file.name, _segment_map(body), segments, str(body["image_id"]), place, stored)


def _place(file: Path) -> MapPlace | None:
    """The place of an image on a map; None if it has none, or a damaged one, which is printed."""
    try:
        return map_place(file)
    except ValueError as error:
        print(f"{error}; its export has pixels as coordinates", file=sys.stderr)
        return None


def _segment_map(body: dict[str, Any]) -> np.ndarray:
    """[H, W] int32, the number of each pixel's segment in an answer; -1: in none."""
    size = (int(body["height"]), int(body["width"]))
    labels = np.full(size, -1, dtype=np.int32)
    for n, entry in enumerate(body["segments"]):
        labels[decode_rle(entry["mask"]["counts"], size)] = n
    return labels
