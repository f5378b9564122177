"""Rates, beside a list of all accepted requests."""

import numpy as np
import pytest

from service.http.callers.rate import Rate


def test_a_whole_quota_at_once_then_evenly() -> None:
    rate = Rate(4, 60.0)
    assert [rate.spend(100.0) for _ in range(4)] == [0.0] * 4
    assert rate.remaining(100.0) == 0
    assert rate.spend(100.0) == pytest.approx(15.0)
    assert rate.spend(114.9) == pytest.approx(0.1)
    assert rate.spend(115.0) == 0.0
    assert rate.reset(115.0) == pytest.approx(60.0)
    assert rate.remaining(160.0) == 3
    assert rate.remaining(1000.0) == 4
    assert rate.reset(1000.0) == 0.0


def test_a_quota_of_nothing_accepts_nothing() -> None:
    rate = Rate(0, 60.0)
    assert rate.spend(5.0) == 60.0
    assert rate.remaining(5.0) == 0


@pytest.mark.parametrize("quota", [1, 3, 60, 1000])
def test_never_more_than_the_quota_beyond_what_came_back(quota: int) -> None:
    """In every span of time, at most the quota, and what the span gives back; and `remaining` says what is accepted."""
    random, rate, now, accepted = np.random.default_rng(quota), Rate(quota, 60.0), 10.0, []
    for _ in range(2000):
        now += float(random.exponential(30.0 / quota))
        left = rate.remaining(now)
        refused = rate.spend(now)
        assert (left > 0) == (not refused)
        if not refused:
            accepted.append(now)
    times = np.array(accepted)
    for i in range(len(times)):
        counts = np.arange(1, len(times) - i + 1)
        assert (counts <= quota + (times[i:] - times[i]) / 60.0 * quota + 1e-3).all()
