"""Routes for operators: liveness, readiness, metrics. They are open to everyone."""

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest

from service.http import wire
from service.http.document import schema_ref
from service.http.readiness import Readiness
from service.problems import PROBLEM_TYPE, Problem
from service.routes.dependencies import Service, json
from service.routes.documented import Responses

router = APIRouter(tags=["health"])

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
def readyz(request: Request, engine: Service) -> Response:
    """Check that the service can segment images, and read which release it serves on which device."""
    readiness: Readiness = request.app.state.readiness
    reasons = readiness.reasons()
    if reasons:
        raise Problem(
            503, "Not ready.", received=reasons, fix="Send requests to another process. The log has the details."
        )
    served, state, use = engine.served, engine.live, engine.served.predictor.device_use
    return json(
        wire.Readiness(
            status="ready",
            release=served.name,
            device=engine.settings.device,
            runs_on=served.runs_on,
            network_bits=16 if served.predictor.embedder.half else 32,
            steps_run_on=wire.DeviceSteps(network=use.network, sorting=use.sorting, search=use.search, name=use.name),
            exemplars=state.count,
            index_revision=state.revision,
        )
    )


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Read metrics for Prometheus",
    response_class=Response,
    responses=_METRICS,
)
def metrics(request: Request) -> Response:
    """Read the metrics in the text format of Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=_METRICS_TYPE)
