"""The HTTP service, assembled of its routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service import engine as engines
from service.access import add_access
from service.activation import Activation
from service.admission import Admission
from service.body_limit import BodyLimit
from service.problems import add_problem_handlers
from service.routes import classes, edits, exemplars, explanations, health, pages, releases, segmentations, segments
from service.settings import Settings


def create_app(settings: Settings, engine: engines.Engine | None = None) -> FastAPI:
    """The service over one engine, made from the settings unless it is given."""
    served = engine if engine is not None else engines.Engine(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        served.start()
        yield
        served.close()

    app = FastAPI(title="segsort", description="Image segmentation that can be argued with.", lifespan=lifespan)
    app.state.activation = Activation(served)
    app.state.engine, app.state.metrics = served, health.Metrics(served)
    add_problem_handlers(app)
    app.state.admission = Admission(settings.queue_pixels, settings.deadline_s)
    app.add_middleware(BodyLimit, max_bytes=settings.max_bytes, timeout=settings.upload_timeout_s)
    add_access(app, settings)
    for routes in (segmentations, explanations, segments, exemplars, edits, classes, releases, health, pages):
        app.include_router(routes.router)
    return app
