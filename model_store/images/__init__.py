"""The one decoder of image files and mask files, for serving and for building."""

from model_store.images.decoding import (
    FORMATS,
    JPEG_SCALES,
    SUFFIXES,
    decode,
    decode_for_view,
    decode_reduced,
    decode_within,
    has_cheap_header,
    pixels_of,
    read_image,
)
from model_store.images.faults import NO_LIMIT, ImageFault
from model_store.images.masks import (
    UNLABELLED,
    Mask,
    MaskFault,
    MaskValues,
    decode_mask,
    labels_of,
    read_indices,
    read_mask,
)
from model_store.images.pages import Page, take_page
from model_store.images.pixels import Decoded
from model_store.images.structure import is_plain
from model_store.images.working_size import MIN_SIDE, working_shape

__all__ = [
    "FORMATS",
    "JPEG_SCALES",
    "MIN_SIDE",
    "NO_LIMIT",
    "SUFFIXES",
    "UNLABELLED",
    "Decoded",
    "ImageFault",
    "Mask",
    "MaskFault",
    "MaskValues",
    "Page",
    "decode",
    "decode_for_view",
    "decode_mask",
    "decode_reduced",
    "decode_within",
    "has_cheap_header",
    "is_plain",
    "labels_of",
    "pixels_of",
    "read_image",
    "read_indices",
    "read_mask",
    "take_page",
    "working_shape",
]
