import torch

from segsort.sphere import mean_direction, normalize


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
