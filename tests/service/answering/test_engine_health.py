import pytest

from service.answering.engine_health import EngineHealth
from service.answering.stages import StageFailure, Stages
from service.problems import Problem


class Probe:
    """Fails with an error while there is one."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __call__(self) -> None:
        if self.error is not None:
            raise self.error


def fail(health: EngineHealth, error: Exception) -> None:
    with health.watched(), Stages().stage("sort"):
        raise error


def test_a_stage_failure_is_remembered_until_an_answer_succeeds() -> None:
    health = EngineHealth(Probe())
    with pytest.raises(StageFailure):
        fail(health, RuntimeError("out of memory"))
    assert health.failure == "the stage sort failed: out of memory"
    with health.watched():
        pass
    assert health.failure is None


def test_a_refused_request_says_nothing_about_the_engine() -> None:
    health = EngineHealth(Probe())
    with pytest.raises(StageFailure):
        fail(health, RuntimeError("out of memory"))
    with pytest.raises(Problem):
        fail(health, Problem(415, "no image", received="", fix=""))
    assert health.failure == "the stage sort failed: out of memory"


def test_a_probe_says_what_fails_and_clears_the_failure_when_it_succeeds() -> None:
    probe = Probe()
    health = EngineHealth(probe)
    with pytest.raises(StageFailure):
        fail(health, RuntimeError("out of memory"))
    for error, reasons in (
        (RuntimeError("still out"), ["still out"]),
        (KeyError(), ["KeyError"]),
        (TimeoutError(), ["the network does not end"]),
    ):
        probe.error = error
        assert health.probe() == reasons
        assert health.failure is not None
    probe.error = None
    assert health.probe() == []
    assert health.failure is None
