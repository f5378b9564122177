"""The one decoder of image files and mask files, for serving and for building."""

from model_store.images.decoding import (
    FORMATS,
    SUFFIXES,
    decode,
    decode_reduced,
    decode_within,
    has_cheap_header,
    pixels_of,
    read_image,
)
from model_store.images.faults import ImageFault
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
from model_store.images.pixels import Decoded

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "UNLABELLED",
    "Decoded",
    "ImageFault",
    "Mask",
    "MaskFault",
    "MaskValues",
    "decode",
    "decode_mask",
    "decode_reduced",
    "decode_within",
    "has_cheap_header",
    "labels_of",
    "pixels_of",
    "read_image",
    "read_indices",
    "read_mask",
]
