import pytest

from service.answering.limits import AnswerOptions, Limits, SegmentRequest
from service.problems import Problem
from service.settings import Settings


@pytest.fixture
def limits() -> Limits:
    return Limits(Settings(max_segments=50, max_k=20, max_exemplars=8))


@pytest.mark.parametrize(
    "request_", [SegmentRequest(), SegmentRequest(50, 20, 8), SegmentRequest(1, 1, 0), SegmentRequest(None, None, 5)]
)
def test_numbers_up_to_the_limits_are_allowed(limits: Limits, request_: SegmentRequest) -> None:
    limits.check(request_)
    limits.check_options(request_.options)
    limits.check_segments(request_.segments)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [("segments", 51, "1 to 50"), ("segments", 0, "1 to 50"), ("k", 21, "1 to 20"), ("k", 0, "1 to 20"),
     ("exemplars", 9, "0 to 8"), ("exemplars", -1, "0 to 8")],
)  # fmt: skip
def test_each_number_out_of_range_is_named_with_its_range(limits: Limits, name: str, value: int, allowed: str) -> None:
    with pytest.raises(Problem, match=f"{name} is out of range") as refused:
        limits.check(SegmentRequest(**{name: value}))
    assert (refused.value.status, refused.value.received, refused.value.allowed) == (422, value, allowed)
    assert f"SEGSORT_MAX_{name.upper()}" in str(refused.value.fix)
    if name == "exemplars":
        with pytest.raises(Problem, match="exemplars is out of range"):
            limits.check_options(AnswerOptions(value))
    if name == "segments":
        with pytest.raises(Problem, match="segments is out of range"):
            limits.check_segments(value)
