"""Ray Serve: the HTTP application as replicas in a Ray cluster.

    serve run service.ray:app [release=NAME] [database_url=URL] ...
    serve deploy deploy/ray/serve.yaml

Each replica is a process that runs the application of `segsort serve`. Ray starts replicas, spreads requests over them,
and replaces those that die. Settings are read by each replica on its node: from the environment (SEGSORT_, which
`runtime_env` of a Serve config file sets), and from arguments of the application, which take precedence. docs/ray.md
describes a whole setup.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.serve import Application
from starlette.types import ASGIApp

from service.replicas import OneRequestId, check_arguments, check_database, replica_settings

if TYPE_CHECKING:
    from service.http.readiness import Readiness

NAME = "segsort"  # of the deployment
_WAITING = 200  # requests of a replica; its own queue refuses images long before, with the time to wait

_log = logging.getLogger("segsort.ray")


def app(args: dict[str, Any]) -> Application:
    """The application for `serve run service.ray:app` and for `import_path` of a Serve config file.

    Args:
        args: settings by name, such as `release`. A change of them replaces the replicas.

    Raises:
        ValueError: if there is no such setting.
    """
    check_arguments(args)
    deployment: Any = serve.deployment(
        serve.ingress()(Replica),
        name=NAME,
        max_ongoing_requests=_WAITING,
        max_surge_percent=100,  # a new replica is ready before an old one stops
        graceful_shutdown_timeout_s=60,
        health_check_timeout_s=30,
    )
    application: Application = deployment.bind(args)
    return application


class Replica:
    """One process of the service.

    Args:
        args: settings that take precedence over those of the environment.

    Raises:
        ValueError: if the settings cannot be used, or not by so many replicas.
    """

    def __init__(self, args: dict[str, Any]) -> None:
        from service.app import create_app
        from service.http.keys import read_access
        from service.process import prepare_process, settle_process

        settings = replica_settings(args, cores=_assigned("CPU"), gpus=_assigned("GPU"))
        check_database(settings, most_replicas())
        access = read_access(settings).describe(settings)
        prepare_process(settings)
        _log.info("replica %s: %s", serve.get_replica_context().replica_tag, access)
        self._service = create_app(settings)
        self._readiness: Readiness = self._service.state.readiness
        settle_process()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application that Ray calls for each request. The name is Ray's."""
        return OneRequestId(self._service)

    async def check_health(self) -> None:
        """Tell Ray whether this process can answer images. Ray replaces one that cannot.

        Whether the database answers is left to `/readyz`: another process would not help.

        Raises:
            RuntimeError: with the reasons.
        """
        reasons = await asyncio.to_thread(self._readiness.stuck)
        if reasons:
            raise RuntimeError("; ".join(reasons))


def most_replicas() -> int:
    """The largest number of replicas that the deployment of this replica may have."""
    config = serve.get_replica_context()._deployment_config
    scaling = config.autoscaling_config
    return int(config.num_replicas or 1) if scaling is None else int(scaling.max_replicas)


def _assigned(resource: str) -> float:
    """How much of a resource Ray gives to this process."""
    context: Any = ray.get_runtime_context()
    return float(context.get_assigned_resources().get(resource, 0.0))
