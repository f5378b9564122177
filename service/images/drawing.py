"""Drawing: label maps, overlays, crops of exemplars, contact sheets."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model_store.card import ClassInfo
from model_store.live import MAX_CLASSES, NO_CLASS_VALUE
from model_store.release import Release
from segsort.masks import decode_rle
from segsort.retrieval import NO_CLASS
from service.problems import Problem

NO_CLASS_COLOR = (136, 136, 136)  # of pixels without a class
LONGEST_CROP = 2048  # pixels of the longer side; a longer part is drawn at a fraction
_OUTLINE = np.array((255, 64, 160), np.uint8)


def label_map_png(class_map: np.ndarray, classes: Sequence[ClassInfo]) -> bytes:
    """Encode a label map as an indexed PNG.

    Args:
        class_map: [H, W] class ids, or NO_CLASS, which becomes the value `NO_CLASS_VALUE`.
        classes: by class_id; their colours become the palette.

    Raises:
        Problem: 406 if there are more than `MAX_CLASSES` classes.
    """
    if len(classes) > MAX_CLASSES:
        raise Problem(
            406, "The release has too many classes for a label map with eight bits a pixel.", received=len(classes),
            allowed=f"at most {MAX_CLASSES} classes", fix="Ask for JSON: send no `Accept: image/png`.",
        )  # fmt: skip
    values = class_map.astype(np.uint8)
    without = class_map == NO_CLASS
    values[without] = NO_CLASS_VALUE
    image = Image.fromarray(values)
    palette = [info.color for info in classes]
    if without.any():
        palette += [NO_CLASS_COLOR] * (NO_CLASS_VALUE + 1 - len(palette))
    image.putpalette([channel for color in palette for channel in color])
    return _encode(image, "PNG", compress_level=1)


def overlay(image: np.ndarray, class_map: np.ndarray, labels: np.ndarray, classes: Sequence[ClassInfo]) -> Image.Image:
    """Draw the classes of an image in colour over it, with outlines of the segments and a legend below.

    Args:
        image: [H, W, 3] uint8 RGB.
        class_map: [H, W] class of each pixel; NO_CLASS where it is unknown.
        labels: [H, W] segment of each pixel.
        classes: their names and colours.
    """
    entries = [*((info.name, info.color) for info in classes), ("unknown", NO_CLASS_COLOR)]
    places = np.where(class_map == NO_CLASS, len(classes), class_map)
    colors = np.asarray([color for _, color in entries], dtype=np.float32)
    blended = image * 0.5 + colors[places] * 0.5
    blended[_borders(labels)] *= 0.6
    blended[_borders(places)] = 255
    drawn = Image.fromarray(blended.astype(np.uint8))
    shares = np.bincount(places.ravel(), minlength=len(entries)) / places.size
    return _stacked(drawn, _legend(entries, shares, drawn.width))


def exemplar_image(release: Release, image_id: int) -> Image.Image:
    """Read a source image of a release as RGB."""
    with Image.open(release.image_path(image_id)) as opened:
        return opened.convert("RGB")


def release_crop(release: Release, row: int) -> Image.Image:
    """Crop an exemplar of a release from its image, with a margin, its mask outlined."""
    exemplars = release.exemplars
    source = release.sources[int(exemplars.image_ids[row])]
    mask = decode_rle(exemplars.masks[row], (source.height, source.width))
    return outlined_crop(
        np.asarray(exemplar_image(release, int(exemplars.image_ids[row]))), mask, exemplars.bboxes[row].tolist()
    )


def outlined_crop(image: np.ndarray, mask: np.ndarray, bbox: Sequence[int]) -> Image.Image:
    """Crop an image to a box with a margin, and outline a mask. Pixels outside the mask are dimmed.

    A part whose longer side exceeds `LONGEST_CROP` is drawn at a fraction, so that a crop takes little memory.

    Args:
        image: [H, W, 3] uint8 RGB.
        mask: [H, W] bool.
        bbox: x, y, width, height in pixels.
    """
    x, y, width, height = bbox
    margin = max(12, round(0.15 * max(width, height)))
    rows, columns = slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)
    whole = image[rows, columns]
    step = max(1, -(-max(whole.shape[:2]) // LONGEST_CROP))
    part, inside = whole[::step, ::step].copy(), mask[rows, columns][::step, ::step]
    part[~inside] = part[~inside] // 2 + 60
    part[_borders(inside)] = _OUTLINE
    return Image.fromarray(part)


def reduced_crop(image: np.ndarray, mask: np.ndarray, bbox: Sequence[int]) -> Image.Image:
    """Crop an image that may be smaller than its mask, see `outlined_crop`. The mask and the box are scaled to it."""
    shape = (image.shape[0], image.shape[1])
    box = scaled_box(bbox, (mask.shape[0], mask.shape[1]), shape)
    return outlined_crop(image, resampled(mask, shape), box)


def resampled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map [H, W] at another size (h, w): each pixel has the nearest value."""
    (H, W), (h, w) = values.shape, shape
    return values if (h, w) == (H, W) else values[np.arange(h) * H // h][:, np.arange(w) * W // w]


def scaled_box(bbox: Sequence[int], size: tuple[int, int], shape: tuple[int, int]) -> list[int]:
    """The box x, y, width, height of an image of size (H, W) in the image at the size (h, w)."""
    (x, y, width, height), (H, W), (h, w) = bbox, size, shape
    left, top, right, bottom = x * w // W, y * h // H, -(-(x + width) * w // W), -(-(y + height) * h // H)
    return [left, top, right - left, bottom - top]


def contact_sheet(
    image: np.ndarray, labels: np.ndarray, body: dict[str, Any], release: Release, rows: Mapping[str, int]
) -> Image.Image:
    """Draw a row for each segment, the largest first: its crop, its label, and the exemplars that voted for it.

    Args:
        image: [h, w, 3] uint8 RGB, perhaps smaller than the image of the answer.
        labels: [h, w] segment of each pixel.
        body: the answer of POST /segment.
        release: holds the exemplars.
        rows: by exemplar id: its row in the release.
    """
    order = sorted(range(len(body["segments"])), key=lambda n: -body["segments"][n]["area"])
    tile, gap, text = 120, 8, 34
    most = max((len(segment["exemplars"]) for segment in body["segments"]), default=0)
    sheet = Image.new("RGB", (gap + (tile + gap) * (most + 2), gap + (tile + text + gap) * len(order)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for line, n in enumerate(order):
        segment = body["segments"][n]
        top = gap + line * (tile + text + gap)
        caption = f"{_label(segment)}\n{_sureness(segment)}{segment['area']} px"
        box = scaled_box(segment["bbox"], (body["height"], body["width"]), (image.shape[0], image.shape[1]))
        _tile(sheet, outlined_crop(image, labels == n, box), gap, top, tile)
        draw.text((gap, top + tile + 2), caption, "black", font)
        for i, exemplar in enumerate(segment["exemplars"]):
            left = gap + (tile + gap) * (i + 1) + tile // 2
            _tile(sheet, release_crop(release, rows[exemplar["exemplar_id"]]), left, top, tile)
            caption = f"{exemplar['class_name']}\ncos {exemplar['similarity']:.3f}, {exemplar['weight']:.1%}"
            draw.text((left, top + tile + 2), caption, "black", font)
    return sheet


def png(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    return _encode(image, "PNG", compress_level=3)


def _encode(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _borders(values: np.ndarray) -> np.ndarray:
    """[H, W] -> [H, W] bool: whether a pixel differs from the one below or to the right."""
    border = np.zeros(values.shape, dtype=bool)
    border[:-1] |= values[:-1] != values[1:]
    border[:, :-1] |= values[:, :-1] != values[:, 1:]
    return border


def _tile(sheet: Image.Image, image: Image.Image, left: int, top: int, side: int) -> None:
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    sheet.paste(
        image.resize(size, Image.Resampling.LANCZOS), (left + (side - size[0]) // 2, top + (side - size[1]) // 2)
    )


def _label(segment: dict[str, Any]) -> str:
    """The label of a segment in words. The class of an unknown segment is only the nearest one."""
    if segment["class_name"] is None:
        return "unknown"
    return str(segment["class_name"]) if segment["known"] else f"unknown, nearest: {segment['class_name']}"


def _sureness(segment: dict[str, Any]) -> str:
    """The confidence of a segment, followed by a comma; nothing if it was not measured or the segment is unknown."""
    return f"{segment['confidence']:.0%}, " if segment["known"] and segment["confidence"] is not None else ""


def _legend(entries: Sequence[tuple[str, tuple[int, int, int]]], shares: np.ndarray, width: int) -> Image.Image:
    """A list of the names and colours of `entries` that occur, with their shares of the area, 0..1."""
    present = [(entry, share) for entry, share in zip(entries, shares, strict=True) if share > 0]
    columns = max(1, width // 150)
    lines = -(-len(present) // columns)
    legend = Image.new("RGB", (width, 8 + 20 * lines), "white")
    draw, font = ImageDraw.Draw(legend), ImageFont.load_default(12)
    for i, ((name, color), share) in enumerate(present):
        x, y = 6 + (i % columns) * 150, 6 + 20 * (i // columns)
        draw.rectangle((x, y, x + 14, y + 13), fill=color, outline="black")
        draw.text((x + 20, y), f"{name} {share:.1%}", "black", font)
    return legend


def _stacked(first: Image.Image, second: Image.Image) -> Image.Image:
    joined = Image.new("RGB", (first.width, first.height + second.height), "white")
    joined.paste(first, (0, 0))
    joined.paste(second, (0, first.height))
    return joined
