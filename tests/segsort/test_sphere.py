import numpy as np
import pytest
import torch

from segsort.sphere import mean_direction, normalize, unit_rows


def test_mean_direction_equals_naive_loop() -> None:
    vectors = normalize(torch.randn(50, 5))
    labels = torch.randint(-1, 6, (50,))
    result = mean_direction(vectors, labels, 7)
    for group in range(7):
        members = [v for v, label in zip(vectors, labels, strict=True) if label == group]
        expected = sum(members) / torch.linalg.vector_norm(sum(members)) if members else torch.zeros(5)
        torch.testing.assert_close(result[group], expected)


def test_a_zero_vector_stays_zero() -> None:
    assert torch.equal(normalize(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dim", [-1, 0])
def test_vectors_are_scaled_to_unit_length_along_a_dimension(shape: tuple[int, ...], dim: int) -> None:
    vectors = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        normalize(vectors, dim).norm(dim=dim), torch.ones(normalize(vectors, dim).sum(dim).shape)
    )
    cosines = (normalize(vectors, dim) * vectors).sum(dim) / vectors.norm(dim=dim)
    torch.testing.assert_close(cosines, torch.ones_like(cosines))


def test_rows_are_scaled_to_unit_length_and_zeros_stay() -> None:
    found = unit_rows(np.array([[3, 4], [0, 0], [1e-30, 0]], dtype=np.float64))
    assert found.dtype == np.float32
    assert found.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [pytest.approx(0, abs=1e-6), 0]]


def test_a_vector_with_a_negative_label_is_left_out() -> None:
    vectors, labels = torch.eye(2), torch.tensor([0, -1])
    assert mean_direction(vectors, labels, 2).tolist() == [[1, 0], [0, 0]]


def test_gradients_flow_through_mean_directions() -> None:
    vectors = normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).double()).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, -1])
    assert torch.autograd.gradcheck(lambda v: mean_direction(v, labels, 3), vectors)
