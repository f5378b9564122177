"""The door: which code runs for which tensor, and that all of it is reached through one module."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import segsort
from segsort import loops
from segsort.pixel_sorting import grid_labels, sort_hard, sorting_features
from segsort.segments import outline, prototypes
from tests.segsort.loops.data import smooth_embeddings

STEPS = {
    loops.sorting_features: sorting_features,
    loops.sort: sort_hard,
    loops.outline_labels: outline,
    loops.prototypes: prototypes,
}


def compiled(tensor: np.ndarray) -> str:
    return f"compiled, with {type(tensor).__name__}"


@loops.on_cpu(compiled, gives_tensors=False)
def step(tensor: Tensor) -> str:
    """A step of the method."""
    return "plain"


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.ones(2), "compiled"),
        (torch.ones(2, dtype=torch.float64), "plain"),
        (torch.ones(2, dtype=torch.float16), "plain"),
        (torch.ones(2, requires_grad=True), "plain"),
        (torch.ones(2, device="meta"), "plain"),
    ],
)
def test_the_compiled_form_takes_float32_on_a_cpu_without_gradient(tensor: Tensor, expected: str) -> None:
    assert step(tensor).startswith(expected)
    assert loops.takes(tensor) is (expected == "compiled")


@pytest.mark.parametrize(("tensor", "expected"), [(torch.ones(2), "compiled"), (torch.ones(2).double(), "plain")])
def test_the_first_argument_may_be_given_by_name(tensor: Tensor, expected: str) -> None:
    assert step(tensor=tensor).startswith(expected)


def test_the_compiled_form_gets_arrays() -> None:
    assert step(torch.ones(2)) == step(np.ones(2)) == step(tensor=np.ones(2)) == "compiled, with ndarray"


def test_a_call_without_the_tensor_is_refused_like_a_call_of_the_plain_code() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'tensor'"):
        step()  # type: ignore[call-arg]


def test_a_step_of_the_method_gives_by_name_what_it_gives_by_position() -> None:
    embeddings, grid = smooth_embeddings(), grid_labels(33, 41, 9)
    features = sorting_features(embeddings=embeddings, location_weight=0.5)
    assert torch.equal(features, sorting_features(embeddings, 0.5))
    by_name = sort_hard(features=features, grid=grid, count=9, iterations=3)
    for one, other in zip(by_name, sort_hard(features, grid, 9, 3), strict=True):
        assert torch.equal(one, other)


def test_arrays_give_arrays_of_the_same_bytes_as_tensors() -> None:
    embeddings, grid = smooth_embeddings(), grid_labels(33, 41, 9)
    features = sorting_features(embeddings, 0.5)
    labels, theta = sort_hard(features, grid, 9, 3)
    found = sorting_features(embeddings.numpy(), 0.5)
    sorted_ = sort_hard(found, grid.numpy(), 9, 3)
    size, cells = (66, 80), labels.reshape(-1, 33, 41)
    outlined = outline(features[0], theta[0], cells[0], size)
    of_arrays = outline(found[0], sorted_[1][0], sorted_[0].reshape(-1, 33, 41)[0], size)
    pairs = [(found, features), (sorted_[0], labels), (sorted_[1], theta), (of_arrays, outlined)]
    for array, tensor in pairs:
        assert isinstance(array, np.ndarray)
        assert isinstance(tensor, Tensor)
        assert array.tobytes() == tensor.numpy().tobytes()
    several = embeddings.expand(2, *embeddings.shape[1:]).contiguous()
    assert sorting_features(several.numpy(), 0.5).tobytes() == sorting_features(several, 0.5).numpy().tobytes()


def test_tensors_share_the_memory_of_the_arrays() -> None:
    @loops.on_cpu(lambda values: values)
    def itself(values: Tensor) -> Tensor:
        raise AssertionError("the plain code")

    values = torch.ones(3)
    itself(values)[0] = 7
    assert values.tolist() == [7, 1, 1]


def test_a_step_keeps_its_name_and_its_plain_code() -> None:
    assert step.__name__ == "step"
    assert step.__doc__ == "A step of the method."
    assert step.__wrapped__(torch.ones(2)) == "plain"  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", list(STEPS), ids=lambda form: str(form.__name__))
def test_both_forms_of_a_step_take_the_same_arguments(form: object) -> None:
    ours = inspect.signature(form)  # type: ignore[arg-type]
    plain = inspect.signature(inspect.unwrap(STEPS[form]))  # type: ignore[index]
    assert list(ours.parameters) == list(plain.parameters)
    for name, parameter in plain.parameters.items():
        assert ours.parameters[name].default == parameter.default


def test_gradients_flow_through_the_features_of_the_plain_code() -> None:
    embeddings = smooth_embeddings().requires_grad_()
    sorting_features(embeddings, 0.5).sum().backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    assert embeddings.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_other_kinds_of_numbers_are_sorted_alike(kind: torch.dtype) -> None:
    features = sorting_features(smooth_embeddings().to(kind), 0.5)
    labels, theta = sort_hard(features, grid_labels(33, 41, 9), 9, 5)
    expected, means = sort_hard(features.float(), grid_labels(33, 41, 9), 9, 5)
    assert torch.equal(labels, expected)
    torch.testing.assert_close(theta.float(), means, atol=1e-5, rtol=0)


def imports_of(file: Path) -> set[str]:
    """Modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_method_reaches_compiled_code_through_the_door_alone() -> None:
    inside = {f"segsort.loops.{file.stem}" for file in Path(loops.__file__).parent.glob("*.py")}
    for file in Path(segsort.__file__).parent.glob("*.py"):
        assert not imports_of(file) & (inside | {"numba", "llvmlite"}), file


def test_no_function_of_the_door_has_the_name_of_a_module_behind_it() -> None:
    """Importing the module would replace the function."""
    modules = {file.stem for file in Path(loops.__file__).parent.glob("*.py")}
    assert not modules & set(loops.__all__)
    for name in loops.__all__:
        assert inspect.isfunction(getattr(loops, name)), name
