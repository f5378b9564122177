"""A requested device is used, or the error names what is installed, what is needed and the fix."""

import faiss
import onnxruntime
import pytest
import torch

from model_store.flavour import DeviceUse, Library, check_device, installed

TORCH, ORT, FAISS = (
    Library("torch", "2.10.0", "12.8", 1),
    Library("onnxruntime", "1.26.0", "12.8", None),
    Library("faiss", "1.15.0", "12", 1),
)
GPU = [TORCH, ORT, FAISS]


def test_what_is_installed_is_told_as_it_is() -> None:
    versions = {library.name: library.version for library in installed()}
    assert versions == {
        "torch": torch.__version__, "onnxruntime": onnxruntime.__version__, "faiss": faiss.__version__
    }  # fmt: skip
    cuda = {library.name: library.cuda for library in installed()}
    assert (cuda["torch"] is None) == (torch.version.cuda is None)
    assert (cuda["onnxruntime"] is None) == ("CUDAExecutionProvider" not in onnxruntime.get_available_providers())
    assert (cuda["faiss"] is None) == (not hasattr(faiss, "StandardGpuResources"))


def test_builds_of_one_cuda_that_see_a_gpu_are_taken() -> None:
    check_device("cuda", GPU)
    check_device("cuda", [TORCH, ORT._replace(cuda="unknown version"), FAISS])


def test_the_cpu_asks_for_nothing() -> None:
    check_device("cpu", [library._replace(cuda=None, gpus=0) for library in GPU])
    check_device("cpu", GPU)


@pytest.mark.parametrize(
    ("libraries", "said"),
    [
        ([TORCH, ORT._replace(cuda=None), FAISS], r"onnxruntime is a build without CUDA: install segsort\[gpu\]"),
        ([TORCH, ORT._replace(cuda=None), FAISS._replace(cuda=None)], "onnxruntime and faiss are builds without CUDA"),
        ([lib._replace(cuda=None) for lib in GPU], "torch, onnxruntime and faiss are builds without CUDA"),
        (
            [TORCH, ORT._replace(cuda="13.0"), FAISS],
            r"different .* CUDA \(torch 12, onnxruntime 13, faiss 12\): install",
        ),
        ([TORCH._replace(gpus=0), ORT, FAISS._replace(gpus=0)], "torch and faiss find no GPU: check that nvidia-smi"),
        ([TORCH, ORT, FAISS._replace(gpus=0)], "faiss finds no GPU"),
    ],
)
def test_what_cannot_compute_on_a_gpu_is_refused_with_the_fix(libraries: list[Library], said: str) -> None:
    with pytest.raises(ValueError, match=f"device='cuda', but .*{said}.*, or set SEGSORT_DEVICE=cpu") as raised:
        check_device("cuda", libraries)
    assert all(str(library) in str(raised.value) for library in libraries)


def test_two_packages_that_write_one_module_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install onnxruntime-gpu` beside onnxruntime leaves both. The package installed last is imported."""
    monkeypatch.setattr("model_store.flavour._is_installed", lambda package: package.startswith("onnxruntime"))
    with pytest.raises(ValueError, match="onnxruntime and onnxruntime-gpu, which conflict, are both installed"):
        check_device("cuda", [TORCH, ORT._replace(cuda=None), FAISS])


@pytest.mark.parametrize("device", ["auto", "gpu", "cuda:0", ""])
def test_nothing_picks_a_device_by_itself(device: str) -> None:
    with pytest.raises(ValueError, match=f"device='{device}' is not known; choose 'cpu' or 'cuda'"):
        check_device(device)  # type: ignore[arg-type]


def test_a_step_that_would_run_elsewhere_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"device='cuda' was requested, but network on 'cpu' and search on 'cpu' would"
    ):
        DeviceUse.checked("cuda", network="cpu", sorting="cuda", search="cpu")
    assert DeviceUse.checked("cpu", network="cpu", sorting="cpu", search="cpu").asked == "cpu"
