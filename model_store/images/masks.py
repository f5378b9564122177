"""Decoding of mask files. Every way to store one mask gives the same labels, or a refusal that says why."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model_store.images.decoding import opened
from model_store.images.faults import NO_LIMIT, ImageFault

if TYPE_CHECKING:
    from model_store.class_info import ClassInfo  # takes 0.1 s to import, and a process that decodes needs no classes

FORMATS = ("PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG")
UNLABELLED = 255  # label of a pixel whose class is unknown


class Mask(NamedTuple):
    """A decoded mask file.

    colours: [H, W] int64, each pixel's colour as red * 65536 + green * 256 + blue. indices: [H, W] int64, values of a
    grey or palette image; None: it has colours only. indexed: whether its values are indices rather than colours, as
    those of a single channel are. transparent: [H, W] bool; None: no pixel is. lossy: whether its format alters values.
    """

    colours: np.ndarray
    indices: np.ndarray | None
    indexed: bool
    transparent: np.ndarray | None
    lossy: bool


class MaskFault(ValueError):
    """A mask whose values are not those of the classes. Its text says what was found and what is allowed."""


def decode_mask(content: bytes, max_pixels: int = NO_LIMIT) -> Mask:
    """Decode a mask file.

    Args:
        content: a PNG, TIFF, BMP, GIF, WebP or JPEG: grey (with or without alpha), 1, 8 or 16 bits, a palette, or RGB
            (with or without alpha). A palette image has indices and colours; RGB whose three channels are equal in
            every pixel has both, too. Pixels of less than half opacity are transparent.
        max_pixels: largest width times height.

    Raises:
        ImageFault: if it is empty, too large, damaged or of another kind.
    """
    with opened(content, FORMATS, max_pixels) as image:
        if image is None:
            raise _unknown_kind("a TIFF that is neither grey of 16 bits nor RGB of 8")
        image.load()
        lossy = image.format == "JPEG" or (image.format == "WEBP" and content[12:16] == b"VP8 ")
        mode, transparent = image.mode, None
        if mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
            alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
            transparent = alpha < 128 if (alpha < 128).any() else None
        if mode in ("LA", "La"):
            image = image.getchannel("L") if mode == "LA" else image.convert("LA").getchannel("L")
            mode = "L"
        if mode in ("1", "L", "I", "I;16", "I;16B", "I;16L"):
            indices = np.asarray(image).astype(np.int64)
            return Mask(indices * 0x010101, indices, True, transparent, lossy)
        if mode in ("P", "PA"):
            indices = np.asarray(image.getchannel("P") if mode == "PA" else image).astype(np.int64)
            colours = _codes(np.asarray(image.convert("RGB")))
            return Mask(colours, indices, bool((colours == indices * 0x010101).all()), transparent, lossy)
        if mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
            raise _unknown_kind(f"the mode {mode}")
        colours = np.asarray(image.convert("RGBA" if mode == "RGBa" else mode))[:, :, :3]
        grey = (colours == colours[:, :, :1]).all()
        return Mask(_codes(colours), colours[:, :, 0].astype(np.int64) if grey else None, False, transparent, lossy)


def read_indices(file: Path) -> np.ndarray:
    """Read a map of numbers, such as regions: [H, W] int64.

    Raises:
        ValueError: if the file cannot be read or decoded, or has colours. The message names it.
    """
    mask = read_mask(file)
    if mask.indices is None:
        raise ValueError(f"{file} has colours; replace it by a grey PNG of 8 or 16 bits")
    return mask.indices


def read_mask(file: Path) -> Mask:
    """Decode a mask file, see `decode_mask`.

    Raises:
        ValueError: if the file cannot be read or decoded. The message names it.
    """
    try:
        return decode_mask(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error})") from error
    except ImageFault as fault:
        raise ValueError(f"{file} cannot be read as a mask. {fault}") from fault


class MaskValues(NamedTuple):
    """What the values of masks mean.

    indices: class id by index; colours: class id by colour, red * 65536 + green * 256 + blue; UNLABELLED for values of
    unlabelled pixels; names: of the classes by id, for messages.
    """

    indices: Mapping[int, int]
    colours: Mapping[int, int]
    names: Mapping[int, str]

    @classmethod
    def of(
        cls,
        classes: "Sequence[ClassInfo]",
        ignore: int | Sequence[int] | None = None,
        indices: Sequence[int] | None = None,
    ) -> "MaskValues":
        """Values of classes.

        Args:
            classes: with their colours.
            ignore: index or colour [r, g, b] of unlabelled pixels; None: all are labelled.
            indices: of the classes in masks; None: their ids.
        """
        numbers = [info.class_id for info in classes] if indices is None else indices
        by_index = {number: info.class_id for number, info in zip(numbers, classes, strict=True)}
        by_colour = {_code(info.color): info.class_id for info in classes}
        if isinstance(ignore, Sequence):
            by_colour[_code(ignore)] = UNLABELLED
        elif ignore is not None:
            by_index[ignore] = UNLABELLED
        return cls(by_index, by_colour, {info.class_id: info.name for info in classes})


def labels_of(mask: Mask, values: MaskValues) -> np.ndarray:
    """Class ids of the pixels of a mask.

    Colours count if each of them is that of a class or of unlabelled pixels, because a palette may have another order
    than the classes. Otherwise indices count, if each is that of a class or of unlabelled pixels. Of a grey image of
    one channel, and of a palette that is grey, indices count first.

    Args:
        mask: the mask. Transparent pixels are unlabelled.
        values: what its values mean.

    Returns:
        [H, W] uint8, a class id or UNLABELLED.

    Raises:
        MaskFault: if some pixels are no class: which values, their share, and the nearest class of a colour.
    """
    readings = [(mask.colours, values.colours)] if values.colours else []
    if mask.indices is not None and values.indices:
        readings.insert(0 if mask.indexed else 1, (mask.indices, values.indices))
    if not readings:
        had, lacks = ("colours", "indices") if mask.indices is None else ("indices", "colours")
        raise MaskFault(f"The mask has {had}, and its classes have none. Save it with the {lacks} of the classes.")
    unknown = []
    for found, known in readings:
        labels, strange = _looked_up(found, mask.transparent, known)
        if not len(strange):
            return labels
        unknown.append(strange)
    if readings[0][1] is values.indices:
        raise _strange_indices(unknown[0], mask, values)
    raise _strange_colours(unknown[0], mask, values)


def _looked_up(
    values: np.ndarray, transparent: np.ndarray | None, known: Mapping[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [H, W] uint8, and the opaque values that are not known."""
    keys = np.array(sorted(known), dtype=np.int64)
    found = np.array([known[key] for key in keys.tolist()], dtype=np.uint8)
    places = np.searchsorted(keys, values).clip(0, max(len(keys) - 1, 0))
    labels, matches = found[places], keys[places] == values
    if transparent is not None:
        labels, matches = np.where(transparent, np.uint8(UNLABELLED), labels), matches | transparent
    return labels, values[~matches]


def _strange_indices(strange: np.ndarray, mask: Mask, known: MaskValues) -> MaskFault:
    values, counts = np.unique(strange, return_counts=True)
    shown = ", ".join(str(value) for value in values[np.argsort(-counts)][:8].tolist())
    hint = 'Add the class, or set "ignore" to this value.'
    if set(np.unique(strange).tolist()) <= {0, 255}:
        hint = "The mask is black and white: save class ids, or colours of classes."
    return MaskFault(
        f"{_share(strange, mask)} of the pixels have a value that is no class: {shown}. Allowed: "
        f"{', '.join(str(number) for number in sorted(known.indices))}. {hint}"
    )


def _strange_colours(strange: np.ndarray, mask: Mask, known: MaskValues) -> MaskFault:
    codes, counts = np.unique(strange, return_counts=True)
    shown = []
    for code in codes[np.argsort(-counts)][:4].tolist():
        near = min(known.colours, key=lambda other: int(np.abs(_parts(other) - _parts(code)).sum()))
        shown.append(f"#{code:06x} (nearest: {known.names.get(known.colours[near], 'unlabelled')}, #{near:06x})")
    fix = 'Add the class, or set "ignore" to this colour.'
    if mask.lossy:
        fix = "JPEG and lossy WebP alter values: save the mask as PNG."
    elif len(codes) > len(known.colours) + 8:
        fix = "So many colours come from smoothed edges: save the mask without anti-aliasing."
    return MaskFault(
        f"{_share(strange, mask)} of the pixels have {len(codes)} colours that are no class: {', '.join(shown)}. {fix}"
    )


def _share(strange: np.ndarray, mask: Mask) -> str:
    return f"{max(strange.size / mask.colours.size, 0.0001):.2%}"


def _unknown_kind(received: str) -> ImageFault:
    return ImageFault(
        "unsupported", "The mask has neither indices nor colours.", received=received,
        allowed="grey of 1, 8 or 16 bits, a palette, or RGB, each with or without alpha",
        fix="Save the mask as an indexed PNG, or as RGB.",
    )  # fmt: skip


def _codes(colours: np.ndarray) -> np.ndarray:
    """[H, W, 3] as [H, W]."""
    return np.asarray(colours.astype(np.int64) @ np.array([65536, 256, 1]))


def _code(colour: Sequence[int]) -> int:
    red, green, blue = colour
    return int(red) * 65536 + int(green) * 256 + int(blue)


def _parts(code: int) -> np.ndarray:
    return np.array([code >> 16, (code >> 8) & 255, code & 255])
