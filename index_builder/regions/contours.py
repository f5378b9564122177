"""Regions between contours: a network predicts contours, a watershed splits along them, weak borders are merged."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from skimage.segmentation import watershed

from index_builder.regions.borders import find_borders
from index_builder.regions.hierarchy import build_hierarchy
from index_builder.regions.sources import check_image
from index_builder.regions.superpixels import connected_pieces

MEAN, STD = 127.5, 127.5  # normalisation of RGB in 0..255 that the weights of MobileNetV2 expect
MULTIPLE = 32  # pixels; the coarsest stride of the network
LARGEST = 640  # pixels; maximum side of the network's input: it was trained on photographs of about 480
LEVELS = 100  # quantisation steps of contour strength in the watershed; finer steps turn noise into basins


class ContourRegions:
    """Splits an image along its contours.

    The first call in each process opens the ONNX session, because a session survives neither pickling nor a fork.

    Args:
        network: ONNX file that `export_contours` wrote.
        threshold: neighbouring regions are merged if the mean strength of their border is below it, 0..1.
        min_size: a smaller region is merged with the neighbour across its weakest border; pixels.

    Raises:
        ValueError: if the file does not exist; at the first call, if it is not a contour network.
    """

    name = "contours"

    def __init__(self, network: Path, threshold: float = 0.5, min_size: int = 250) -> None:
        if not network.is_file():
            raise ValueError(f"{network} does not exist; train a contour network: segsort regions train-contours")
        self.network, self.threshold, self.min_size = network, threshold, min_size
        self._opened: tuple[int, onnxruntime.InferenceSession] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_opened": None}

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        check_image(image)
        scale = min(1.0, LARGEST / max(image.shape[:2]))
        height, width = (max(round(side * scale), 1) for side in image.shape[:2])
        small = image if scale == 1 else np.asarray(Image.fromarray(image).resize((width, height), reducing_gap=2.0))
        regions = cut(self.strength(small), self.threshold, self.min_size * scale**2)
        rows, columns = np.arange(image.shape[0]) * height, np.arange(image.shape[1]) * width
        return np.ascontiguousarray(regions[rows // image.shape[0]][:, columns // image.shape[1]])

    def strength(self, image: np.ndarray) -> np.ndarray:
        """Probability of a contour at each pixel: [H, W, 3] uint8 -> [H, W] float32, 0..1."""
        height, width = image.shape[:2]
        padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
        padded = np.pad(image, padding, mode="edge").astype(np.float32).transpose(2, 0, 1)
        found: np.ndarray = self._session().run(["contours"], {"image": (padded[None] - MEAN) / np.float32(STD)})[0]
        return found[0, 0, :height, :width]

    def _session(self) -> onnxruntime.InferenceSession:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), _open_session(self.network)
        return self._opened[1]


def cut(strength: np.ndarray, threshold: float, min_size: float) -> np.ndarray:
    """Split along contours: [H, W] strength 0..1 -> [H, W] int32 regions, 0..R-1, each 4-connected.

    A watershed floods the strength from all its minima, so that every crest separates two basins. Basins smaller than
    `min_size` are merged first, then all others up to the threshold, across their weakest borders (`build_hierarchy`).
    """
    flooded = watershed((strength * LEVELS).astype(np.int32), connectivity=1)  # type: ignore[no-untyped-call]
    basins = connected_pieces(flooded)
    hierarchy = build_hierarchy(np.bincount(basins.ravel()), find_borders(basins, strength), min_size)
    return np.ascontiguousarray(hierarchy.cut(threshold)[basins])


def _open_session(network: Path) -> onnxruntime.InferenceSession:
    """Open a session with one thread, because several workers run in parallel."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of ONNX Runtime have no common base class
        raise ValueError(
            f"{network} is not a readable ONNX network: {str(error).splitlines()[0]}; train or copy it again"
        ) from error
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    if inputs != ["image"] or outputs != ["contours"]:
        raise ValueError(
            f"{network} has inputs {inputs} and outputs {outputs}; it must have the input 'image' and the output "
            "'contours'; write it with segsort regions train-contours"
        )
    return session
