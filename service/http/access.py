"""Access: dependencies that require a key, and signing in with a browser.

An application calls `add_access(app, settings)` once. Its routes then take `Depends(reader)` or `Depends(curator)`,
which give the `Caller`.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field

from service.http import wire
from service.http.keys import Access, Caller, read_access
from service.http.origins import Origins, is_own
from service.problems import Problem, add_handler, problem_response
from service.settings import Settings

__all__ = ["Caller", "add_access", "curator", "reader", "router"]

COOKIE = "segsort_key"


def add_access(app: FastAPI, settings: Settings) -> None:
    """Require the keys of the settings, and add the routes /me and /session.

    Raises:
        ValueError: see `read_access` and `Origins.of`.
    """

    async def unknown(request: Request, error: UnknownCaller) -> Response:
        return problem_response(error, {"WWW-Authenticate": 'Bearer realm="segsort"'})

    app.state.access, app.state.origins = read_access(settings), Origins.of(settings)
    add_handler(app, UnknownCaller, unknown)
    app.include_router(router)


class UnknownCaller(Problem):
    """401: no valid key. The answer is the same for every reason, so that it does not reveal which names exist."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "A key is needed.",
            allowed="Authorization: Bearer KEY, X-API-Key: KEY, or the cookie of POST /session",
            fix="Send a key that the operator gave you; `segsort keys new NAME --role reader` makes one.",
        )


async def reader(request: Request) -> Caller:
    """Dependency: a caller who may read.

    Raises:
        UnknownCaller: without a valid key (401).
    """
    access: Access = request.app.state.access
    caller = access.caller(_presented(request))
    if caller is None:
        raise UnknownCaller
    return caller


async def curator(request: Request) -> Caller:
    """Dependency: a caller who may edit.

    Raises:
        UnknownCaller: without a valid key (401).
        Problem: 403 with a reader's key, and for a page of another site in a curator's browser.
    """
    caller = await reader(request)
    if caller.role != "curator":
        raise Problem(
            403, "This key may read but not edit.", received=caller.role, allowed="curator",
            fix="Ask the operator for a curator's key.",
        )  # fmt: skip
    if _from_another_site(request):
        raise Problem(
            403, "A page of another site may not edit.", received=request.headers.get("origin"),
            allowed="pages of this service, and callers that send the key in a header",
            fix="Send the key as Authorization: Bearer KEY, or open the service's own page. If a proxy changes the "
            "host or the port, the operator can set SEGSORT_TRUSTED_ORIGINS or SEGSORT_TRUSTED_PROXIES.",
        )  # fmt: skip
    return caller


class SignIn(BaseModel):
    """A key to sign in with."""

    key: str = Field(max_length=1000, description="A key of `segsort keys new`.", examples=["segsort_..."])


router = APIRouter(tags=["access"])

_SIGNED_IN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Signed in.",
        "headers": {"Set-Cookie": {"description": f"The cookie {COOKIE}.", "schema": {"type": "string"}}},
    }
}


@router.get(
    "/me", operation_id="get_caller", summary="Read the name and the role of the caller", response_model=wire.Caller
)
def me(request: Request, caller: Annotated[Caller, Depends(reader)]) -> Response:
    """Read the name and the role of the caller, and whether the service asks for keys."""
    return _describe(request, caller)


@router.post(
    "/session",
    operation_id="sign_in",
    summary="Sign in with a browser",
    response_model=wire.Caller,
    responses=_SIGNED_IN,
)
def sign_in(request: Request, body: SignIn) -> Response:
    """Sign in: store the key in a cookie that scripts cannot read."""
    access: Access = request.app.state.access
    caller = access.caller(body.key)
    if caller is None:
        raise UnknownCaller
    answer = _describe(request, caller)
    if access.keys:
        answer.set_cookie(
            COOKIE, body.key, path=_cookie_path(request), httponly=True, samesite="strict", secure=_is_secure(request)
        )
    return answer


@router.delete(
    "/session", status_code=204, operation_id="sign_out", summary="Sign out", response_description="Signed out."
)
def sign_out(request: Request) -> Response:
    """Sign out: remove the cookie."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path=_cookie_path(request), httponly=True, samesite="strict")
    return answer


def _cookie_path(request: Request) -> str:
    """The path below which browsers send the cookie: that of this service only, on a host that has others too."""
    return request.scope.get("root_path") or "/"


def _is_secure(request: Request) -> bool:
    """Whether the browser uses TLS, perhaps to a proxy that does not say so."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


def _describe(request: Request, caller: Caller) -> Response:
    body = wire.Caller(name=caller.name, role=caller.role, keys=bool(request.app.state.access.keys))
    return Response(body.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


def _presented(request: Request) -> str | None:
    """The key of a request: in a header, or else in the cookie."""
    return _in_header(request) or request.cookies.get(COOKIE)


def _in_header(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key")


def _from_another_site(request: Request) -> bool:
    """Whether a page of another origin sends this request through a browser.

    The browser does not send the cookie then, but a service without keys needs no cookie. A key in a header was set by
    the sender itself, so such a request is trusted.
    """
    if request.app.state.access.keys and _in_header(request):
        return False
    origins: Origins = request.app.state.origins
    origin = request.headers.get("origin")
    if origin in origins.trusted:
        return False
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and not is_own(origin, request.headers.get("host"))
