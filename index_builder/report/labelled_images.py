"""Draws publishable images that a release has labelled, with the exemplars that decided the labels."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from index_builder.report.results_page import ExampleImage
from model_store.card import ClassInfo
from model_store.predictor import Prediction, Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore, open_store
from segsort.masks import bounding_boxes, decode_rle

WIDTH, GAP, TILE, TEXT = 960, 8, 146, 34  # pixels, of an example image and of one crop in it
NEAREST = 5  # exemplars of a segment
ROWS = 3  # segments per example image
LEAST = 0.002  # smallest share of the image of a chosen segment; smaller ones are hard to see
FIRST = ("bicyclist", "car", "pedestrian", "sign", "tree", "pavement")  # classes that are shown first
OUTLINE = (255, 64, 160)


def _street(i: int) -> np.ndarray:
    from index_builder.datasets import open_dataset

    return open_dataset("streets", None, "val", count=i + 1)[i].image


def _sample(name: str) -> np.ndarray:
    from skimage import data

    return np.asarray(getattr(data, name)())


class Shown(NamedTuple):
    """An input image, the classes that are shown first, and the example image that is made of it."""

    image: Callable[[], np.ndarray]
    first: Sequence[str]
    example: ExampleImage


# Only images that may be published.
SHOWN = (
    Shown(
        partial(_street, 1), FIRST, ExampleImage("street-1.webp", "A painted street of the validation split, scene 1")
    ),
    Shown(
        partial(_street, 4), FIRST, ExampleImage("street-4.webp", "A painted street of the validation split, scene 4")
    ),
    Shown(
        partial(_sample, "rocket"),
        (),
        ExampleImage("rocket.webp", "Not a street: `rocket` of scikit-image (SpaceX, public domain)"),
    ),
    Shown(
        partial(_sample, "astronaut"),
        (),
        ExampleImage("astronaut.webp", "Not a street: `astronaut` of scikit-image (NASA, public domain)"),
    ),
)


def open_shown(name: str | None) -> Release:
    """Open the release that labels the example images, by name or path; None opens the bundled one.

    Raises:
        ValueError: if one of its exemplars is not painted, because it may not be published.
    """
    release = Release.open(ReleaseStore([BUNDLED], None).active() if name is None else open_store().resolve(name))
    foreign = [source.source for source in release.sources if not source.source.startswith("streets/")]
    if foreign:
        raise ValueError(
            f"release {release.card.name} has exemplars such as {foreign[0]}; a published page may show painted ones "
            "only; give a release with exemplars of `streets`, or --no-images"
        )
    return release


def paint_examples(release: Release, folder: Path) -> None:
    """Write every example image of `SHOWN` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    predictor = Predictor(release, threads=1)  # one thread adds in a fixed order
    for shown in SHOWN:
        painted = paint(shown.image(), predictor, shown.first)
        painted.save(folder / shown.example.file, "WEBP", quality=80)


def paint(image: np.ndarray, predictor: Predictor, first: Sequence[str] = ()) -> Image.Image:
    """An image beside its labels, and below some segments with their nearest exemplars.

    image: [H, W, 3] uint8 RGB; first: classes whose segments are chosen before the largest.
    """
    prediction = predictor.predict(image)
    classes = predictor.release.card.classes
    chosen = choose(prediction, [info.name for info in classes], first)
    parts = [_beside(image, prediction, chosen, classes), _legend(prediction, classes)]
    parts += [_row(n, s, image, prediction, predictor.release) for n, s in enumerate(chosen, 1)]
    return _stacked(parts)


def choose(prediction: Prediction, names: Sequence[str], first: Sequence[str] = ()) -> list[int]:
    """The largest segment of each of three classes at most: those of `first` in order, then the largest."""
    areas, class_ids = prediction.segments.areas, prediction.vote.class_ids
    largest = {names[c]: int(max(np.flatnonzero(class_ids == c), key=lambda s: areas[s])) for c in np.unique(class_ids)}
    seen = {name: s for name, s in largest.items() if areas[s] >= LEAST * prediction.segments.labels.size}
    by_area = sorted(seen, key=lambda name: -areas[seen[name]])
    return [seen[name] for name in dict.fromkeys([*first, *by_area]) if name in seen][:ROWS]


def _beside(image: np.ndarray, prediction: Prediction, chosen: list[int], classes: Sequence[ClassInfo]) -> Image.Image:
    """The image beside its coloured labels. Chosen segments are numbered; unknown ones are hatched in grey."""
    class_map, labels = prediction.class_map, prediction.segments.labels
    colors = np.asarray([info.color for info in classes], dtype=np.float32)
    blended = image * 0.45 + colors[class_map] * 0.55
    diagonal = np.add.outer(np.arange(labels.shape[0]), np.arange(labels.shape[1])) // 4 % 3 == 0
    blended[~prediction.known[labels] & diagonal] = 150
    blended[_borders(labels, mode="inner")] *= 0.7
    blended[_borders(class_map, mode="inner")] = 255
    for s in chosen:
        blended[_borders(labels == s, mode="thick")] = OUTLINE
    half = (WIDTH - GAP) // 2
    scale = half / image.shape[1]
    pair = Image.new("RGB", (WIDTH, round(image.shape[0] * scale)), "white")
    for left, pixels in ((0, image), (half + GAP, blended.astype(np.uint8))):
        pair.paste(Image.fromarray(pixels).resize((half, pair.height), Image.Resampling.LANCZOS), (left, 0))
    draw = ImageDraw.Draw(pair)
    for n, s in enumerate(chosen, 1):
        y, x = _inside(labels == s)
        _number(draw, n, half + GAP + x * scale, y * scale)
    return pair


def _legend(prediction: Prediction, classes: Sequence[ClassInfo]) -> Image.Image:
    """The classes with their shares of the image, and the unknown share."""
    labels = prediction.segments.labels
    shares = np.bincount(prediction.class_map.ravel(), minlength=len(classes)) / labels.size
    unknown = float((~prediction.known[labels]).mean())
    entries = [
        (info.color, f"{info.name} {share:.1%}") for info, share in zip(classes, shares, strict=True) if share > 0
    ]
    entries += [((150, 150, 150), f"unknown {unknown:.1%}")] if unknown else []
    columns = WIDTH // 160
    legend = Image.new("RGB", (WIDTH, 12 + 20 * -(-len(entries) // columns)), "white")
    draw, font = ImageDraw.Draw(legend), ImageFont.load_default(13)
    for i, (color, text) in enumerate(entries):
        x, y = 4 + i % columns * 160, 6 + i // columns * 20
        draw.rectangle((x, y + 1, x + 14, y + 14), fill=color, outline="black")
        draw.text((x + 20, y), text, "black", font)
    return legend


def _row(n: int, s: int, image: np.ndarray, prediction: Prediction, release: Release) -> Image.Image:
    """A segment and, to its right, its nearest exemplars."""
    names = [info.name for info in release.card.classes]
    mask = prediction.segments.labels == s
    name, confidence = names[prediction.vote.class_ids[s]], prediction.confidence[s]
    sure = "not calibrated" if np.isnan(confidence) else f"confidence {confidence:.0%}"
    label = f"{name}\n{sure}" if prediction.known[s] else f"unknown, nearest:\n{name}"
    tiles = [(_crop(image, mask), label)]
    for row, cosine in zip(prediction.rows[s, :NEAREST], prediction.similarities[s, :NEAREST], strict=True):
        name = names[release.exemplars.class_ids[row]]
        tiles.append((_crop(*_exemplar(release, int(row))), f"{name}\ncosine {cosine:.3f}"))
    strip = Image.new("RGB", (WIDTH, TILE + TEXT + GAP), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(13)
    step = (WIDTH - TILE) // NEAREST
    for i, (crop, caption) in enumerate(tiles):
        left = i * step
        strip.paste(crop, (left + (TILE - crop.width) // 2, (TILE - crop.height) // 2))
        draw.text((left, TILE + 2), caption, "black", font)
    draw.line([(TILE + GAP, 4), (TILE + GAP, TILE + TEXT - 4)], fill=(170, 170, 170))
    _number(draw, n, 13, 13)
    return strip


def _exemplar(release: Release, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of an exemplar: [H, W, 3] uint8, [H, W] bool."""
    image_id = int(release.exemplars.image_ids[row])
    source = release.sources[image_id]
    with Image.open(release.image_path(image_id)) as opened:
        image = np.asarray(opened.convert("RGB"))
    return image, decode_rle(release.exemplars.masks[row], (source.height, source.width))


def _crop(image: np.ndarray, mask: np.ndarray) -> Image.Image:
    """A square tile around a mask; the mask is outlined and its surroundings are dimmed."""
    x, y, width, height = (int(v) for v in bounding_boxes(mask.astype(np.int32) - 1, 1)[0])
    side = min(max(round(1.3 * max(width, height)), 48), max(image.shape[:2]))
    top = min(max(y + height // 2 - side // 2, 0), max(image.shape[0] - side, 0))
    left = min(max(x + width // 2 - side // 2, 0), max(image.shape[1] - side, 0))
    part, inside = image[top : top + side, left : left + side], mask[top : top + side, left : left + side]
    scale = TILE / max(part.shape[:2])
    size = (max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1))
    dimmed = np.where(inside[..., None], part, part // 2 + 90).astype(np.uint8)
    pixels = np.array(Image.fromarray(dimmed).resize(size, Image.Resampling.LANCZOS))
    outline = _borders(np.asarray(Image.fromarray(inside).resize(size, Image.Resampling.NEAREST)), mode="thick")
    pixels[outline] = OUTLINE
    return Image.fromarray(pixels)


def _borders(values: np.ndarray, mode: str) -> np.ndarray:
    """[H, W] bool, pixels at a border between two values: "inner" on one side of it, "thick" on both."""
    return np.asarray(find_boundaries(values, mode=mode))  # type: ignore[no-untyped-call]


def _inside(mask: np.ndarray) -> tuple[int, int]:
    """The pixel (y, x) of a mask that is farthest from its border."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    return int(y), int(x)


def _number(draw: ImageDraw.ImageDraw, n: int, x: float, y: float) -> None:
    draw.ellipse((x - 10, y - 10, x + 10, y + 10), fill="white", outline=OUTLINE, width=2)
    draw.text((x, y), str(n), "black", ImageFont.load_default(13), anchor="mm")


def _stacked(parts: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole
