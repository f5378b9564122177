"""Middleware for a service behind a proxy: the path, the host and the scheme that the caller used."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answering.links import root_path
from service.http.origins import Origins

_SCHEMES = ("http", "https")
_REDIRECTS = range(300, 400)


class Proxied:
    """ASGI middleware that gives each request the address that its caller used.

    - The root path is part of the path, whether the proxy removed it or not. URLs in answers begin with it.
    - X-Forwarded-Proto and X-Forwarded-Host of a trusted proxy replace the scheme and the header Host, and
      X-Forwarded-For the address of the client. Those of others are ignored.
    - Redirects name a path without a host, because the proxy may change the host.

    Args:
        app: the ASGI application.
        origins: the root path, and the proxies.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app, self._origins, self._root = app, origins, origins.root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root:
            path = scope["path"]
            has_root = path == self._root or path.startswith(f"{self._root}/")
            scope = {**scope, "root_path": self._root, "path": path if has_root else self._root + path}
        if self._origins.proxies:
            scope = self._forwarded(scope)
        token = root_path.set(self._root)
        try:
            await self._app(scope, receive, _relative(send))
        finally:
            root_path.reset(token)

    def _forwarded(self, scope: Scope) -> Scope:
        client = scope.get("client")
        if client is None or not self._origins.trusts(client[0]):
            return scope
        headers = Headers(scope=scope)
        scheme = _first(headers.get("x-forwarded-proto", "")).lower()
        host = _first(headers.get("x-forwarded-host", ""))
        if scheme in _SCHEMES:
            scope = {**scope, "scheme": scheme}
        scope = {**scope, "client": (self._client(headers.getlist("x-forwarded-for"), client[0]), 0)}
        if host:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope = {**scope, "headers": [(b"host", host.encode("latin-1")), *others]}
        return scope

    def _client(self, forwarded: list[str], nearest: str) -> str:
        """The address of the client: in X-Forwarded-For, the last that is not of a trusted proxy.

        Addresses before it were written by the client itself, which may write any.
        """
        found = nearest
        for entry in reversed(",".join(forwarded).split(",")):
            address = _address(entry)
            if address is None:
                break
            found = address
            if not self._origins.trusts(address):
                break
        return found


def _address(entry: str) -> str | None:
    """The IP address of an entry of X-Forwarded-For, which may have a port; None: it is no address."""
    bare = entry.strip().removeprefix("[").partition("]")[0]
    if bare.count(":") == 1:  # an IPv4 address and its port
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None


def path_below_root(scope: Scope) -> str:
    """The path of a request without the root path."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _first(value: str) -> str:
    """The first entry of a header, which the proxy nearest to the caller wrote."""
    return value.partition(",")[0].strip()


def _relative(send: Send) -> Send:
    """A `send` that removes scheme and host from the target of a redirect."""

    async def relative(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in _REDIRECTS:
            headers = MutableHeaders(scope=message)
            target = urlsplit(headers.get("location", ""))
            if target.netloc:
                path = "/" + target.path.lstrip("/")  # a path that begins with // would name a host
                headers["location"] = target._replace(scheme="", netloc="", path=path).geturl()
        await send(message)

    return relative
