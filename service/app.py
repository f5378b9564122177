"""The HTTP service, assembled of its routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from service.answering import engine as engines
from service.answering.activation import Activation
from service.answering.admission import Admission
from service.http.access import add_access
from service.http.body_limit import BodyLimit
from service.http.metrics import Metrics
from service.http.readiness import Readiness
from service.http.requests import Requests
from service.http.tracing import Tracing
from service.problems import REFUSALS, add_problem_handlers
from service.routes import classes, edits, exemplars, explanations, health, pages, releases, segmentations, segments
from service.settings import Settings


def create_app(settings: Settings, engine: engines.Engine | None = None) -> FastAPI:
    """The service over one engine, made from the settings unless it is given.

    Raises:
        ValueError: if the settings cannot be used.
    """
    tracing = Tracing.from_environment()
    served = engine if engine is not None else engines.Engine(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        served.start()
        threads = current_default_thread_limiter()
        threads.total_tokens += settings.lanes  # those in the engine keep no other caller from a thread
        yield
        served.close()
        if tracing is not None:
            tracing.close()

    about = "Image segmentation that can be argued with."
    app = FastAPI(title="segsort", description=about, lifespan=lifespan, responses=REFUSALS)
    app.state.activation = Activation(served)
    app.state.engine = served
    add_problem_handlers(app)
    admission = Admission(settings.queue_pixels, settings.deadline_s, settings.lanes, settings.engine_pixels)
    readiness = Readiness(served, admission)
    metrics = Metrics(served, admission, readiness)
    app.state.admission, app.state.readiness, app.state.metrics = admission, readiness, metrics
    app.add_middleware(BodyLimit, max_bytes=settings.max_bytes, timeout=settings.upload_timeout_s)
    app.add_middleware(Requests, metrics=metrics, readiness=readiness, tracing=tracing)  # around all others
    add_access(app, settings)
    for routes in (segmentations, explanations, segments, exemplars, edits, classes, releases, health, pages):
        app.include_router(routes.router)
    return app
