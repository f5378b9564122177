"""Talks to a Ray cluster for `benchmarks.ray_cluster`, in a process of its own: Ray allows one cluster a process.

    python -m benchmarks.ray_driver HOST:PORT

Each line of standard input is a JSON document with one request, and each line of standard output its answer:
`{"start": {"port": 8000}}` starts the proxies, `{"deploy": CONFIG}` deploys a Serve config file, `{"state": true}` says
how the applications, their replicas and the nodes are, and `{"targets": true}` where replicas answer.
"""

import json
import os
import sys
from typing import Any

import ray
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema


def main() -> None:
    """Answer until the end of standard input."""
    answers = os.fdopen(os.dup(1), "w")  # Ray prints to standard output
    os.dup2(2, 1)
    ray.init(address=sys.argv[1], log_to_driver=False)
    print(json.dumps({"connected": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(request)
        except Exception as error:  # the other process decides
            answer = {"error": f"{type(error).__name__}: {error}"[-3000:]}
        print(json.dumps(answer, default=str), file=answers, flush=True)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    if "start" in request:
        serve.start(**request["start"])
    if "deploy" in request:
        client: Any = _get_global_client()
        client.deploy_apps(ServeDeploySchema.model_validate(request["deploy"]))  # as `serve run FILE`
    if "targets" in request:
        return {"targets": _targets()}
    return _state() if "state" in request else {}


def _targets() -> list[dict[str, Any]]:
    """Where HAProxy finds the replicas."""
    client: Any = _get_global_client()
    groups = ray.get(client._controller.get_target_groups.remote(from_proxy_manager=True))
    return [{"ip": one.ip, "port": one.port} for group in groups for one in group.targets]


def _state() -> dict[str, Any]:
    client: Any = _get_global_client(raise_if_no_controller_running=False)
    details = {} if client is None else client.get_serve_details()
    known: Any = ray.nodes
    nodes = [{"address": node["NodeManagerAddress"], "alive": node["Alive"]} for node in known()]
    return {"applications": details.get("applications", {}), "nodes": nodes}


if __name__ == "__main__":
    main()
