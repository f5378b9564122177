import math

import pytest
import torch
from scipy.integrate import quad

from segsort.sphere import mean_direction, normalize, vmf_log_density, vmf_log_normalizer


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


@pytest.mark.parametrize("kappa", [0.1, 1.0, 10.0, 500.0])
def test_density_integrates_to_one_on_the_ordinary_sphere(kappa: float) -> None:
    log_c = vmf_log_normalizer(3, kappa)
    total, _ = quad(lambda t: 2 * math.pi * math.exp(log_c + kappa * t), -1, 1, points=[0.9, 0.99])
    assert total == pytest.approx(1, rel=1e-6)


def test_normalizer_equals_the_closed_form_in_three_dimensions() -> None:
    assert vmf_log_normalizer(3, 2.5) == pytest.approx(math.log(2.5 / (4 * math.pi * math.sinh(2.5))))


def test_log_density_equals_naive_loop() -> None:
    vectors, means = normalize(torch.randn(4, 6).double()), normalize(torch.randn(3, 6).double())
    result = vmf_log_density(vectors, means, 7.0)
    for i in range(4):
        for j in range(3):
            dot = sum(float(a) * float(b) for a, b in zip(vectors[i], means[j], strict=True))
            assert float(result[i, j]) == pytest.approx(vmf_log_normalizer(6, 7.0) + 7.0 * dot)


def test_normalizer_names_what_it_was_given() -> None:
    with pytest.raises(ValueError, match=r"kappa=0\.0.*positive"):
        vmf_log_normalizer(3, 0.0)
