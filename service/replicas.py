"""What a replica that another program starts needs beside the application: its settings, and checks of them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import make_url
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.settings import Settings, load_settings

EVERYWHERE = "0.0.0.0"  # proxies of a cluster may be reached from other machines
_REQUEST_ID = "x-request-id"


def check_arguments(names: Iterable[str]) -> None:
    """Check that arguments are settings.

    Raises:
        ValueError: if there are no such settings.
    """
    unknown = sorted(set(names) - set(Settings.model_fields))
    if unknown:
        raise ValueError(
            f"the arguments {', '.join(map(repr, unknown))} are not settings; allowed: names of docs/settings.md in "
            "lower case without SEGSORT_, such as release=streets"
        )


def replica_settings(args: dict[str, Any], cores: float, gpus: float) -> Settings:
    """The settings of a replica.

    Args:
        args: that take precedence over those of the environment.
        cores: CPUs that Ray gives to the replica. They are the threads of its engine, unless settings say otherwise.
        gpus: GPUs that Ray gives to it, perhaps a fraction.

    Raises:
        ValueError: if the settings do not fit what Ray gives.
    """
    settings = load_settings(**args)
    changes: dict[str, Any] = {"host": EVERYWHERE}  # whatever SEGSORT_HOST says: Ray's proxies listen, not the replica
    if settings.threads is None and cores >= 1:
        changes["threads"] = int(cores)
    if not settings.data_dir.is_absolute():
        raise ValueError(
            f"data_dir={str(settings.data_dir)!r} is in a folder of Ray's, which Ray removes; set SEGSORT_DATA_DIR to "
            "an absolute path, such as /srv/segsort"
        )
    if settings.metrics_port is not None:
        raise ValueError(
            f"metrics_port={settings.metrics_port} would be the port of several replicas on a node; unset "
            "SEGSORT_METRICS_PORT: Ray exports their metrics"
        )
    if settings.device == "cuda" and not gpus:
        raise ValueError(
            "device='cuda', and Ray gives the replica no GPU; set num_gpus in ray_actor_options of the deployment, "
            "such as 0.5, or SEGSORT_DEVICE=cpu"
        )
    return settings.model_copy(update=changes)


def check_database(settings: Settings, replicas: int) -> None:
    """Refuse several replicas over a file.

    Args:
        settings: of a replica.
        replicas: how many there may be.

    Raises:
        ValueError: if there may be several, and the database is SQLite.
    """
    if replicas > 1 and make_url(settings.database).get_backend_name() == "sqlite":
        raise ValueError(
            f"{replicas} replicas cannot share an SQLite database: they may be on several machines; set "
            "SEGSORT_DATABASE_URL to a PostgreSQL database (docs/database.md), or num_replicas to 1 without "
            "autoscaling"
        )


class OneRequestId:
    """ASGI middleware that removes the request id from answers: Ray adds its own, under which the request is logged.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)[_REQUEST_ID]
            await send(message)

        await self._app(scope, receive, without)
