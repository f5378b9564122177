"""Whether the service is well, and what it counts. Open to everybody."""

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest

from service.http.readiness import Readiness
from service.problems import Problem
from service.routes.dependencies import Service, json

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> Response:
    """Whether the process answers."""
    return json({"status": "ok"})


@router.get("/readyz")
def readyz(request: Request, engine: Service) -> Response:
    """Whether images can be answered, by what, and on which device: as it is set, and what the network runs on."""
    readiness: Readiness = request.app.state.readiness
    reasons = readiness.reasons()
    if reasons:
        raise Problem(503, "Not ready.", received=reasons, fix="Send requests elsewhere; the log says more.")
    served, state, use = engine.served, engine.live, engine.served.predictor.device_use
    return json(
        {
            "status": "ready",
            "release": served.name,
            "device": engine.settings.device,
            "runs_on": served.runs_on,
            "network_bits": 16 if served.predictor.embedder.half else 32,
            "steps_run_on": {"network": use.network, "sorting": use.sorting, "search": use.search, "name": use.name},
            "exemplars": state.count,
            "index_revision": state.revision,
        }
    )


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type="text/plain; version=0.0.4")
