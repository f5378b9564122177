"""Whether the service is well, and what it counts. Open to everybody."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from service.engine import Engine
from service.problems import Problem
from service.routes.common import Service, json

router = APIRouter(tags=["health"])


class Metrics:
    """What Prometheus is told of one app."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        about = "Time of each stage of POST /segment"
        self._latency = Histogram("segsort_stage_seconds", about, ["stage"], registry=self.registry)
        for name, said, value in (
            ("segsort_index_revision", "The last edit that is part of the live state", lambda: engine.live.revision),
            ("segsort_exemplars", "Exemplars that take part in votes", lambda: engine.live.count),
        ):
            Gauge(name, said, registry=self.registry).set_function(value)

    def answered(self, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and its stages."""
        for stage, milliseconds in timings_ms.items():
            self._latency.labels(stage).observe(milliseconds / 1000)


@router.get("/livez")
def livez() -> Response:
    """Whether the process answers."""
    return json({"status": "ok"})


@router.get("/readyz")
def readyz(engine: Service) -> Response:
    """Whether images can be answered, with what, and on which device."""
    try:
        engine.records.ping()
    except SQLAlchemyError as error:
        raise Problem(503, "The database does not answer.", received=str(error)[:200]) from error
    state = engine.live
    return json(
        {
            "status": "ready",
            "release": engine.served.name,
            "device": engine.settings.device,
            "exemplars": state.count,
            "index_revision": state.revision,
        }
    )


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type="text/plain; version=0.0.4")
