"""TIFFs of more than eight bits, of floats, or of channels that are no colours."""

import io

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC, TiffFile

from model_store.images.faults import ImageFault, check_size
from model_store.images.pixels import Decoded, grey, over_white, to_bytes, turned


def tiff_shape(content: bytes, max_pixels: int) -> tuple[int, int, int]:
    """Height, width and channels of the first page of a TIFF, after a check of its size."""
    with TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength, max_pixels)
        return page.imagelength, page.imagewidth, page.samplesperpixel


def decode_tiff(content: bytes, max_pixels: int) -> Decoded:
    """Decode the first page of a TIFF of more than eight bits, of floats, or of channels that Pillow does not know."""
    tiff_shape(content, max_pixels)
    with TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            compression = getattr(page.compression, "name", page.compression)
            raise ImageFault(
                "unsupported", "The TIFF is compressed in a way that cannot be read.",
                received=f"{compression}: {str(error)[:160]}", allowed="no compression, Deflate or PackBits",
                fix="Save the image without compression, or as PNG.",
            ) from error  # fmt: skip
        if page.axes.startswith("S"):
            values = np.moveaxis(values, 0, -1)
        values = values.reshape(page.imagelength, page.imagewidth, -1)
        transparent = page.photometric == PHOTOMETRIC.RGB and EXTRASAMPLE.UNASSALPHA in page.extrasamples
        inverted = page.photometric == PHOTOMETRIC.MINISWHITE
        orientation = page.tags.valueof("Orientation", default=1)
    channels = values.shape[2]
    scaled = to_bytes(values[:, :, : 3 if channels >= 3 else 1])
    pixels, conversion = scaled.values, scaled.conversion
    if inverted:
        pixels = np.uint8(255) - pixels
    if channels < 3:
        pixels = grey(pixels[:, :, 0])
    if channels not in (1, 3) and not transparent:
        conversion += f"; the first {'three' if channels > 3 else 'one'} of {channels} channels"
    if transparent:
        alpha = to_bytes(values[:, :, 3:4]).values
        pixels, conversion = over_white(np.concatenate([pixels, alpha], axis=2), conversion)  # type: ignore[assignment]
    pixels = turned(pixels, orientation)
    return Decoded(pixels, (pixels.shape[0], pixels.shape[1]), conversion)
