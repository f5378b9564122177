"""Middleware that refuses what pages of other sites send through a browser, by host name and by origin."""

from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.callers.callers import Callers
from service.http.callers.presented import presented
from service.http.hosts import AllowedHosts, host_name
from service.http.origins import ANY, Origins
from service.http.probes import HEALTH_PATHS
from service.http.proxied import path_below_root
from service.http.sites import from_another_site
from service.problems import Problem, problem_response

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # they change nothing, and pages of other sites cannot read the answer


class GateRules(NamedTuple):
    """What the gate lets through.

    hosts: allowed host names; callers: know whether keys are asked for; origins: of pages that may send requests.
    """

    hosts: AllowedHosts
    callers: Callers
    origins: Origins


class Gate:
    """ASGI middleware in front of all routes.

    - A request with two headers Host, without one, or with one that is not valid is answered with 400.
    - A request for a host name that is not allowed is answered with 421 (DNS rebinding). The health routes answer all
      host names, and HTTP/1.0 without a host, because of load balancers: they reveal no images and change nothing.
    - A request of another site that may change or add something is answered with 403. Origins of `trusted_origins` and
      `cors_origins` are let through, and so are requests with a key in a header. The routes of edits check again:
      origins of `cors_origins` do not suffice for them.

    Args:
        app: the ASGI application.
        rules: what is let through.
    """

    def __init__(self, app: ASGIApp, rules: GateRules) -> None:
        self._app, (self._hosts, self._callers, self._origins) = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        problem = self._refusal(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(problem)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        found = [value for name, value in scope["headers"] if name == b"host"]
        is_probe = path_below_root(scope) in HEALTH_PATHS
        if len(found) != 1:
            old = not found and scope.get("http_version") == "1.0"
            return None if is_probe and old else _not_one_host(len(found))
        name = host_name(found[0])
        if name is None:
            return _no_host_name(found[0])
        server = scope.get("server")  # the address of this end of the connection
        if not (is_probe or self._hosts.allows(name) or (server is not None and name == server[0])):
            return _foreign_host(found[0], name)
        return None if scope["method"] in _SAFE_METHODS else self._cross_site(Headers(scope=scope))

    def _cross_site(self, headers: Headers) -> Problem | None:
        if not from_another_site(headers, self._origins):
            return None
        if self._callers.access.asked and presented(headers.raw).key:  # only its sender can have set it
            return None
        origin = headers.get("origin")
        if origin is not None and (ANY in self._origins.readers or origin in self._origins.readers):
            return None
        return Problem(
            403, "A page of another site may not send this request.", received=origin,
            allowed="pages of this service, of SEGSORT_CORS_ORIGINS and of SEGSORT_TRUSTED_ORIGINS, and programs",
            fix="Send a key as Authorization: Bearer KEY, or open the service's own page. If a proxy changes the host "
            "or the port, the operator can set SEGSORT_TRUSTED_ORIGINS or SEGSORT_TRUSTED_PROXIES.",
        )  # fmt: skip


def _not_one_host(count: int) -> Problem:
    return Problem(
        400, "The request needs exactly one header Host.", received=f"{count} headers Host", allowed="one header Host",
        fix="Send the name and the port of the service as Host, such as Host: localhost:8000.",
    )  # fmt: skip


def _no_host_name(received: bytes) -> Problem:
    return Problem(
        400, "The header Host is not valid.", received=received, allowed="a name or an address, and a port",
        fix="Send the name and the port of the service as Host, such as Host: localhost:8000.",
    )  # fmt: skip


def _foreign_host(received: bytes, name: str) -> Problem:
    return Problem(
        421, "The service is not known by this host name.", received=received,
        allowed="localhost, IP addresses, and the names of SEGSORT_ALLOWED_HOSTS",
        fix=f"Use an address in place of the name. If {name[:100]} is a name of this service, the operator can set "
        f"SEGSORT_ALLOWED_HOSTS={name[:100]}, or require keys with SEGSORT_API_KEYS.",
    )  # fmt: skip
