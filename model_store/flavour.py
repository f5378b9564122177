"""Which device is asked for, and whether what is installed can serve it: never another one in its place."""

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal, NamedTuple

import faiss
import onnxruntime
import torch

Device = Literal["cpu", "cuda"]

# Two packages of each pair write the same module, so that with both installed the later one is what is imported.
_TWINS = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu"))
_INSTALL = "install segsort[gpu], which brings all three built for one CUDA, into an environment of its own"
_UNKNOWN = "of a version that it does not tell"


class Library(NamedTuple):
    """One of the three libraries that compute.

    name: as it is imported; version: of the package; cuda: the version of CUDA that it was built for, None for a build
    without; gpus: how many it sees, None where it does not tell.
    """

    name: str
    version: str
    cuda: str | None
    gpus: int | None

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({'no CUDA' if self.cuda is None else f'CUDA {self.cuda}'})"


@dataclass(frozen=True)
class DeviceUse:
    """Which device was asked for, and which one each step of an answer runs on.

    asked, network, sorting, search: "cpu" or "cuda"; name: what the device calls itself.
    """

    asked: Device
    network: str
    sorting: str
    search: str
    name: str

    @classmethod
    def checked(cls, asked: Device, network: str, sorting: str, search: str) -> "DeviceUse":
        """What is used, where it is what was asked for.

        Raises:
            ValueError: if it is not.
        """
        used = {"network": network, "sorting": sorting, "search": search}
        others = [f"{step} on {device!r}" for step, device in used.items() if device != asked]
        if others:
            raise ValueError(
                f"device={asked!r} was asked for, but {_and(others)} would run; check what is installed "
                f"({', '.join(map(str, installed()))}), or set SEGSORT_DEVICE to what is there"
            )
        name = torch.cuda.get_device_name() if asked == "cuda" else platform.processor() or platform.machine()
        return cls(asked, network, sorting, search, name)


def installed() -> list[Library]:
    """PyTorch, ONNX Runtime and FAISS as they are imported here."""
    ort_has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    faiss_has_cuda = hasattr(faiss, "StandardGpuResources")
    return [
        Library("torch", torch.__version__, torch.version.cuda, torch.cuda.device_count()),
        Library("onnxruntime", onnxruntime.__version__, _cuda_of_onnxruntime() if ort_has_cuda else None, None),
        Library(
            "faiss",
            faiss.__version__,
            _cuda_of_faiss() if faiss_has_cuda else None,
            faiss.get_num_gpus() if faiss_has_cuda else 0,
        ),
    ]


def check_device(device: Device, libraries: Sequence[Library] | None = None) -> None:
    """Refuse a device that what is installed cannot compute on.

    Args:
        device: "cpu" or "cuda".
        libraries: what is installed; None: what is.

    Raises:
        ValueError: naming what is installed, what is needed and the fix.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device={device!r} is not known; choose 'cpu' or 'cuda'")
    if device == "cpu":
        return
    libraries = installed() if libraries is None else libraries
    fault = _fault(libraries)
    if fault is not None:
        raise ValueError(
            f"device='cuda', but {fault}, or set SEGSORT_DEVICE=cpu. Installed are {', '.join(map(str, libraries))}"
        )


def device_memory_used() -> int:
    """Bytes of the GPU's memory that are in use, by whomever."""
    free, total = torch.cuda.mem_get_info()
    return total - free


def _fault(libraries: Sequence[Library]) -> str | None:
    """What keeps these libraries from computing on a GPU together, and the fix."""
    without = [library.name for library in libraries if library.cuda is None]
    if without:
        twins = [pair for pair in _TWINS if all(map(_is_installed, pair))]
        both = "".join(f", and {one} and {other} are both installed, of which one counts" for one, other in twins)
        return f"{_and(without)} {'is a build' if len(without) == 1 else 'are builds'} without CUDA{both}: {_INSTALL}"
    majors = {library.name: (library.cuda or "").split(".")[0] for library in libraries if library.cuda != _UNKNOWN}
    if len(set(majors.values())) > 1:
        told = ", ".join(f"{name} {major}" for name, major in majors.items())
        return f"they are built for different major versions of CUDA ({told}): {_INSTALL}"
    blind = [library.name for library in libraries if library.gpus == 0]
    if blind:
        return (
            f"{_and(blind)} {'sees' if len(blind) == 1 else 'see'} no GPU: check that nvidia-smi lists one (in a "
            "container, that it was started with one), that its driver is new enough for this CUDA, and what "
            "CUDA_VISIBLE_DEVICES says"
        )
    return None


def _cuda_of_onnxruntime() -> str:
    return str(getattr(onnxruntime, "cuda_version", "") or _UNKNOWN)


def _cuda_of_faiss() -> str:
    """By the libraries that its package asks for, nvidia-cublas-cu12 and the like; FAISS itself does not tell."""
    try:
        needed = " ".join(metadata.requires("faiss-gpu") or [])
    except metadata.PackageNotFoundError:
        return _UNKNOWN
    major = re.search(r"\bnvidia-[a-z-]+-cu(\d+)", needed)
    return major.group(1) if major else _UNKNOWN


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
