"""Routes for operators: liveness, readiness, metrics. They are open to everyone."""

from functools import cache

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest

from model_store.precision import BITS
from service.http import wire
from service.http.budgeted import Budgeted
from service.http.document import schema_ref
from service.http.readiness import Readiness
from service.problems import PROBLEM_TYPE, Problem
from service.routes.dependencies import Service, json
from service.routes.documented import Responses

router = APIRouter(route_class=Budgeted, tags=["health"])
metrics_router = APIRouter(route_class=Budgeted, tags=["health"])

_METRICS_TYPE = "text/plain; version=0.0.4"
_NOT_READY: Responses = {
    503: {
        "description": "Not ready; `received` lists the reasons.",
        "content": {PROBLEM_TYPE: {"schema": schema_ref(wire.Problem)}},
    }
}
_METRICS: Responses = {
    200: {"description": "Prometheus text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get(
    "/livez", operation_id="get_liveness", summary="Check that the process answers", response_model=wire.Liveness
)
async def livez() -> Response:
    """Check that the process answers."""
    return json(wire.Liveness(status="ok"))


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Check that images can be segmented",
    response_model=wire.Readiness,
    responses=_NOT_READY,
)
async def readyz(request: Request, engine: Service) -> Response:
    """Check that the service can segment images, and read which release it serves on which device."""
    readiness: Readiness = request.app.state.readiness
    reasons = await readiness.check()
    if reasons:
        raise Problem(
            503, "Not ready.", received=reasons, fix="Send requests to another process. The log has the details."
        )
    served, state, use = engine.served, engine.live, engine.served.predictor.device_use
    return json(
        wire.Readiness(
            status="ready",
            release=served.name,
            release_digest=served.live.digest,
            earlier_edits=engine.earlier.count(served.live),
            device=engine.settings.device,
            runs_on=served.runs_on,
            network_bits=BITS[served.predictor.embedder.precision],
            steps_run_on=wire.DeviceSteps(network=use.network, sorting=use.sorting, search=use.search, name=use.name),
            exemplars=state.count,
            index_revision=state.revision,
        )
    )


@metrics_router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Read metrics for Prometheus",
    response_class=Response,
    responses=_METRICS,
)
async def metrics(request: Request) -> Response:
    """Read the metrics in the text format of Prometheus."""
    text = await to_thread.run_sync(generate_latest, request.app.state.metrics.registry, limiter=_scrapes())
    return Response(text, media_type=_METRICS_TYPE)


@cache
def _scrapes() -> CapacityLimiter:
    """Threads of their own, because other requests may hold all of the usual ones."""
    return CapacityLimiter(2)
