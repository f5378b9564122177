"""From an image to pixel embeddings: preparation in numpy, the network in ONNX Runtime.

On a CPU, embeddings are numpy arrays and PyTorch is not imported. On a GPU, they are tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from model_store.card import Preprocessing
from model_store.cores import available_cores
from model_store.flavour import Device, check_device
from model_store.half import in_half_precision
from model_store.images import MIN_SIDE, working_shape
from model_store.precision import choose_precision
from model_store.precision_names import AskedPrecision
from model_store.release import Release
from segsort import loops
from segsort.arrays import AnyArray, on_host

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    from segsort import lazy_torch as torch

__all__ = ["EXACT_BYTES", "MIN_SIDE", "STRIDE", "Device", "Embedder", "prepare", "working_shape"]

EXACT_BYTES = ("session.x64quantprecision", "1")
"""Option of an ONNX Runtime session: sums of products of bytes do not saturate on processors without VNNI either."""

STRIDE = 4  # pixels of the network's input for one cell of the embedding, in each direction
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def prepare(image: np.ndarray, preprocessing: Preprocessing) -> tuple[np.ndarray, tuple[int, int]]:
    """Resize, normalise and pad an image for the network.

    Args:
        image: [H, W, 3] uint8 RGB, upright.
        preprocessing: working size, normalisation and padding.

    Returns:
        [1, 3, h, w] float32, and the number of rows and columns of the embedding (at stride 4) that lie on the image.
        The right and bottom edges are repeated until h and w are multiples of `multiple_of`.

    Raises:
        ValueError: if the image is not [H, W, 3] uint8 or is empty.
    """
    planes = resize(image, preprocessing.working_size)
    padded, cells = _padded(planes.shape[1], planes.shape[2], preprocessing.multiple_of)
    mean = np.array(preprocessing.mean, dtype=np.float32)
    scale = np.array([1 / std for std in preprocessing.std], dtype=np.float32)
    return loops.normalise_planes(planes, mean, scale, padded), cells


def resize(image: np.ndarray, working_size: int) -> np.ndarray:
    """An image at the size at which the network sees it, before padding: [H, W, 3] uint8 -> [3, h, w] uint8.

    Raises:
        ValueError: if the image is not [H, W, 3] uint8 or is empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}; it must be [H, W, 3] uint8 with H, W >= 1; "
            "convert it to RGB first"
        )
    size = working_shape(image.shape[0], image.shape[1], working_size)
    return loops.resize_planes(np.require(image, requirements=["C", "W"]), size)


def prepare_on(
    device: torch.device, images: Sequence[np.ndarray], preprocessing: Preprocessing
) -> tuple[Tensor, tuple[int, int]]:
    """Prepare images of one bucket on a device, to which pixels are copied as bytes.

    Args:
        device: where the result lies.
        images: each [H, W, 3] uint8 RGB, upright, all of one bucket (`Embedder.bucket`).
        preprocessing: working size, normalisation and padding.

    Returns:
        [B, 3, h, w] float32, padded, and the number of rows and columns of the embedding that lie on the image.
    """
    planes = torch.from_numpy(np.stack([resize(image, preprocessing.working_size) for image in images])).to(device)
    height, width = planes.shape[2:]
    (rows, columns), cells = _padded(height, width, preprocessing.multiple_of)
    scale = [1 / std for std in preprocessing.std]
    mean, scale_ = (torch.tensor(values, device=device)[:, None, None] for values in (preprocessing.mean, scale))
    x = (planes.float() - mean) * scale_
    return torch.nn.functional.pad(x, (0, columns - width, 0, rows - height), mode="replicate").contiguous(), cells


def _padded(height: int, width: int, multiple: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width after padding, and the rows and columns of the embedding that lie on the image."""
    padded = (math.ceil(height / multiple) * multiple, math.ceil(width / multiple) * multiple)
    return padded, (math.ceil(height / STRIDE), math.ceil(width / STRIDE))


class Embedder:
    """The network of a release, ready to run. Calls from several threads are safe.

    Args:
        source: a release, or an ONNX file and what it expects of an image. The file has the input "image" [B, 3, H, W]
            float32 and the output "embedding" [B, D, H/4, W/4], unit vectors, for any B or for 1.
        device: "cpu" or "cuda".
        threads: threads of one run on a CPU; None: as many as there are cores for this process. A caller
            that allows itself one thread (`segsort.loops.at_most`), because it shares the cores, gets one.
        precision: in which the network runs; see `choose_precision`. A file alone runs in float32, or in float16.

    Raises:
        ValueError: if the file is no such network, the device is unknown, ONNX Runtime does not run on it, or the
            network cannot run in this precision.
    """

    def __init__(
        self,
        source: Release | tuple[Path, Preprocessing],
        device: Device = "cpu",
        threads: int | None = None,
        precision: AskedPrecision = "auto",
    ) -> None:
        check_device(device)
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads} must be at least 1; leave it out to use every core")
        release = source if isinstance(source, Release) else None
        self.precision = choose_precision(precision, release.card.quantised if release else None, device)
        network, self.preprocessing = _chosen(source, self.precision == "int8")
        self.device = device
        count = threads if threads is not None else available_cores()
        opened = in_half_precision(network) if self.precision == "float16" else None
        self.session = _open_session(network, opened, device, count)
        self._single = _open_session(network, opened, device, 1) if device == "cpu" and count > 1 else self.session
        self.dimension = _dimension(self.session, network)
        self.takes_batches = not isinstance(self.session.get_inputs()[0].shape[0], int)  # a name: any batch size
        if release is not None and release.card.network.dimension != self.dimension:
            raise ValueError(
                f"{network} gives {self.dimension} dimensions, the card of its release says "
                f"{release.card.network.dimension}; build the release again"
            )

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """The network's input for an image: [H, W, 3] uint8 RGB -> [1, 3, h, w] float32."""
        return prepare(image, self.preprocessing)[0]

    def run(self, x: np.ndarray) -> AnyArray:
        """Run the network: [B, 3, H, W] float32 -> [B, D, H/4, W/4] float32: numpy's, or a tensor on a GPU."""
        if self.device == "cuda":
            return self.run_bound(torch.from_numpy(x).to(self.device))
        session = self._single if loops.thread_limit() == 1 else self.session
        return np.asarray(session.run(["embedding"], {"image": x})[0])

    @property
    def network_device(self) -> str:
        """Where ONNX Runtime says that it runs the network: "cpu" or "cuda"."""
        provider = self.session.get_providers()[0]
        return next((device for device, name in _PROVIDERS.items() if name == provider), provider)

    def try_out(self) -> AnyArray:
        """The embedding of a small grey image."""
        return self.run(np.zeros((1, 3, 64, 96), dtype=np.float32))

    def run_classifier(self, x: np.ndarray) -> Tensor:
        """Run the softmax classifier: [1, 3, H, W] float32 -> logits [1, C, H/4, W/4], on the CPU.

        Raises:
            ValueError: if the network has none.
        """
        outputs = [output.name for output in self.session.get_outputs()]
        if "logits" not in outputs:
            raise ValueError(f"the network has the outputs {outputs}, no 'logits'; train it with objective softmax")
        return torch.from_numpy(self.session.run(["logits"], {"image": x})[0])

    def bucket(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees an image of this size; images of one bucket can be embedded at once."""
        return working_shape(height, width, self.preprocessing.working_size)

    def embed(self, image: np.ndarray) -> AnyArray:
        """Embed the pixels of an image.

        Args:
            image: [H, W, 3] uint8 RGB, upright, of any size.

        Returns:
            [D, h, w] float32 unit vectors, at a quarter of the working size, without padding: numpy's, or a tensor on a
            GPU.
        """
        return self.embed_all([image])[0]

    def embed_all(self, images: Sequence[np.ndarray]) -> AnyArray:
        """Embed several images of one bucket: [B, D, h, w] float32 unit vectors, numpy's or a tensor on a GPU.

        Raises:
            ValueError: if the images are of several buckets, or none is given.
        """
        buckets = {self.bucket(image.shape[0], image.shape[1]) for image in images}
        if len(buckets) != 1:
            raise ValueError(f"the images are of the buckets {sorted(buckets)}; give one or more of the same")
        if self.device == "cuda":
            return self._embed_on_device(images)
        if len(images) > 1 and not self.takes_batches:
            return np.concatenate([on_host(self.embed_all([image])) for image in images])
        prepared = [prepare(image, self.preprocessing) for image in images]
        rows, columns = prepared[0][1]
        whole = prepared[0][0] if len(prepared) == 1 else np.concatenate([x for x, _ in prepared])
        return self.run(whole)[:, :, :rows, :columns]

    def _embed_on_device(self, images: Sequence[np.ndarray]) -> Tensor:
        if len(images) > 1 and not self.takes_batches:
            return torch.cat([self._embed_on_device([image]) for image in images])
        x, (rows, columns) = prepare_on(torch.device(self.device), images, self.preprocessing)
        return self.run_bound(x)[:, :, :rows, :columns]

    def run_bound(self, x: Tensor) -> Tensor:
        """Run the network on a tensor of its device; the embedding [B, D, H/4, W/4] is written there.

        Args:
            x: [B, 3, H, W] float32, contiguous, H and W multiples of 4.
        """
        out = torch.empty((len(x), self.dimension, x.shape[2] // STRIDE, x.shape[3] // STRIDE), device=x.device)
        if x.device.type == "cuda":
            torch.cuda.current_stream(x.device).synchronize()  # ONNX Runtime works on a stream of its own
        binding, index = self.session.io_binding(), x.device.index or 0
        binding.bind_input("image", x.device.type, index, np.float32, list(x.shape), x.data_ptr())
        binding.bind_output("embedding", x.device.type, index, np.float32, list(out.shape), out.data_ptr())
        self.session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return out


def _chosen(source: Release | tuple[Path, Preprocessing], quantised: bool) -> tuple[Path, Preprocessing]:
    """The file of a network, and what it expects of an image."""
    if not isinstance(source, Release):
        return source
    return source.quantised_path if quantised else source.network_path, source.card.preprocessing


def _open_session(network: Path, content: bytes | None, device: Device, threads: int) -> onnxruntime.InferenceSession:
    """A session on the device asked for; ONNX Runtime alone would fall back to the CPU without an error.

    content: the network to open instead of the file; None: the file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    options.add_session_config_entry(*EXACT_BYTES)
    options.log_severity_level = 3
    provider: str | tuple[str, dict[str, str]] = _PROVIDERS[device]
    if device == "cuda":
        onnxruntime.preload_dlls()
        # An exhaustive search for algorithms would be repeated for every new shape.
        provider = (_PROVIDERS[device], {"cudnn_conv_algo_search": "HEURISTIC"})
    try:
        session = onnxruntime.InferenceSession(content or str(network), sess_options=options, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ValueError(
            f"{network} cannot be opened as an ONNX network: {str(error).splitlines()[0]}; export or copy it again"
        ) from error
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise ValueError(
            f"device={device!r} was asked for, but ONNX Runtime runs on {session.get_providers()[0]}; "
            "check the driver and that CUDA and cuDNN are of the version it was built for, or use the CPU"
        )
    return session


def _dimension(session: onnxruntime.InferenceSession, network: Path) -> int:
    """D of a network that has the input and output described at `Embedder`; found by running it on a small image."""
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    if inputs != ["image"] or "embedding" not in outputs:
        raise ValueError(
            f"{network} has inputs {inputs} and outputs {outputs}; it must have the input 'image' and the output "
            "'embedding'; export it with segsort train"
        )
    shape = session.run(["embedding"], {"image": np.zeros((1, 3, 64, 96), dtype=np.float32)})[0].shape
    if len(shape) != 4 or (shape[0], *shape[2:]) != (1, 16, 24):
        raise ValueError(
            f"{network} turns an image of 64x96 pixels into {tuple(shape)}; it must be (1, D, 16, 24); "
            "export it at stride 4"
        )
    return int(shape[1])
