"""The requested device, and whether the installed libraries support it. There is never a fallback to another device."""

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal, NamedTuple

import faiss
import onnxruntime

if TYPE_CHECKING:
    import torch
else:
    from segsort import lazy_torch as torch

Device = Literal["cpu", "cuda"]

# The packages of each pair install the same module. If both are installed, the one installed later is imported.
_CONFLICTING = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu"))
_INSTALL = "install segsort[gpu], whose libraries are all built for one CUDA version, into a new environment"
_UNKNOWN = "unknown version"


class Library(NamedTuple):
    """One of the three compute libraries.

    name: import name; version: package version; cuda: CUDA version that it was built for, None for a CPU build; gpus:
    number of GPUs that it detects, None if it does not report it.
    """

    name: str
    version: str
    cuda: str | None
    gpus: int | None

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({'no CUDA' if self.cuda is None else f'CUDA {self.cuda}'})"


@dataclass(frozen=True)
class DeviceUse:
    """The requested device, and the device of each step of an answer.

    asked: requested device; network, sorting, search: device of the step, "cpu" or "cuda"; name: name of the hardware.
    """

    asked: Device
    network: str
    sorting: str
    search: str
    name: str

    @classmethod
    def checked(cls, asked: Device, network: str, sorting: str, search: str) -> "DeviceUse":
        """Check that every step runs on the requested device.

        Raises:
            ValueError: if a step runs on another device.
        """
        used = {"network": network, "sorting": sorting, "search": search}
        others = [f"{step} on {device!r}" for step, device in used.items() if device != asked]
        if others:
            raise ValueError(
                f"device={asked!r} was requested, but {_and(others)} would run; check the installed libraries "
                f"({', '.join(map(str, installed()))}), or set SEGSORT_DEVICE to an available device"
            )
        name = torch.cuda.get_device_name() if asked == "cuda" else platform.processor() or platform.machine()
        return cls(asked, network, sorting, search, name)


def installed() -> list[Library]:
    """The imported versions of PyTorch, ONNX Runtime and FAISS."""
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
    """Check that the installed libraries support a device.

    Args:
        device: "cpu" or "cuda".
        libraries: the libraries; None: the installed ones.

    Raises:
        ValueError: if they do not; the message names the libraries, the requirement and the fix.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device={device!r} is not known; choose 'cpu' or 'cuda'")
    if device == "cpu":
        return
    libraries = installed() if libraries is None else libraries
    fault = _fault(libraries)
    if fault is not None:
        raise ValueError(
            f"device='cuda', but {fault}, or set SEGSORT_DEVICE=cpu. Installed: {', '.join(map(str, libraries))}"
        )


def device_memory_used() -> int:
    """Bytes of GPU memory in use by all processes."""
    free, total = torch.cuda.mem_get_info()
    return total - free


def _fault(libraries: Sequence[Library]) -> str | None:
    """Why these libraries cannot use a GPU together, with the fix; None if they can."""
    without = [library.name for library in libraries if library.cuda is None]
    if without:
        conflicts = [pair for pair in _CONFLICTING if all(map(_is_installed, pair))]
        both = "".join(f", and {one} and {other}, which conflict, are both installed" for one, other in conflicts)
        return f"{_and(without)} {'is a build' if len(without) == 1 else 'are builds'} without CUDA{both}: {_INSTALL}"
    majors = {library.name: (library.cuda or "").split(".")[0] for library in libraries if library.cuda != _UNKNOWN}
    if len(set(majors.values())) > 1:
        versions = ", ".join(f"{name} {major}" for name, major in majors.items())
        return f"the libraries are built for different major versions of CUDA ({versions}): {_INSTALL}"
    blind = [library.name for library in libraries if library.gpus == 0]
    if blind:
        return (
            f"{_and(blind)} {'finds' if len(blind) == 1 else 'find'} no GPU: check that nvidia-smi lists one (in a "
            "container, that it was started with one), that the driver supports this CUDA version, and the value of "
            "CUDA_VISIBLE_DEVICES"
        )
    return None


def _cuda_of_onnxruntime() -> str:
    return str(getattr(onnxruntime, "cuda_version", "") or _UNKNOWN)


def _cuda_of_faiss() -> str:
    """Major CUDA version, from package requirements such as nvidia-cublas-cu12: FAISS itself does not report it."""
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
