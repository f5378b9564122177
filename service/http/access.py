"""Access: dependencies that require a key, and signing in with a browser.

An application calls `add_access(app, callers, origins)` once. Its routes then take `Depends(reader)` or
`Depends(curator)`, which give the `Caller`.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from service.http import wire
from service.http.addresses import client_address
from service.http.budgeted import Budgeted, before_the_body
from service.http.callers.callers import Callers, Identity, TooManyWrongKeys
from service.http.callers.presented import COOKIE, COOKIES, OLD_COOKIE, cookie_name
from service.http.callers.refusals import at_least
from service.http.callers.wrong_keys import DELAY
from service.http.identified import Identified
from service.http.keys import LOCAL, Caller, Key
from service.http.origins import Origins
from service.http.sites import from_another_site
from service.problems import Problem

__all__ = ["COOKIE", "Caller", "add_access", "curator", "owner", "reader", "router"]


def add_access(app: FastAPI, callers: Callers, origins: Origins) -> None:
    """Identify the sender of each request, and add the routes /me and /session.

    The middleware is outside of those that were added before.
    """
    app.state.callers, app.state.origins = callers, origins
    app.add_middleware(Identified, callers=callers)
    app.include_router(router)


@before_the_body
async def reader(request: Request) -> Caller:
    """Dependency: a caller who may read.

    Raises:
        Problem: 401 without a valid key; 429 after too many wrong ones.
    """
    identity: Identity = request.state.identity
    if identity.caller is None:
        raise identity.refusal()
    return identity.caller


@before_the_body
async def curator(request: Request) -> Caller:
    """Dependency: a caller who may edit.

    Raises:
        Problem: 401 and 429 as for a reader; 403 with a reader's key, and for a page of another site in a curator's
            browser.
    """
    caller = await reader(request)
    if caller.role != "curator":
        raise Problem(
            403, "This key may read but not edit.", received=caller.role, allowed="curator",
            fix="Ask the operator for a curator's key.",
        )  # fmt: skip
    _check_site(request)
    return caller


@before_the_body
async def owner(request: Request) -> Caller:
    """Dependency: a caller who changes what is its own, such as an answer that it deletes.

    Raises:
        Problem: 401 and 429 as for a reader; 403 for a page of another site in the caller's browser.
    """
    caller = await reader(request)
    _check_site(request)
    return caller


def _check_site(request: Request) -> None:
    """Refuse what a page of another site sends.

    Raises:
        Problem: 403.
    """
    if not request.state.identity.in_header and from_another_site(request.headers, request.app.state.origins):
        raise Problem(
            403, "A page of another site may not edit.", received=request.headers.get("origin"),
            allowed="pages of this service, and callers that send the key in a header",
            fix="Send the key as Authorization: Bearer KEY, or open the service's own page. If a proxy changes the "
            "host or the port, the operator can set SEGSORT_TRUSTED_ORIGINS or SEGSORT_TRUSTED_PROXIES.",
        )  # fmt: skip


class SignIn(BaseModel):
    """A key to sign in with."""

    key: str = Field(max_length=1000, description="A key of `segsort keys new`.", examples=["segsort_..."])


router = APIRouter(route_class=Budgeted, tags=["access"])

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
    """Read the name, the role and the limits of the caller, and whether the service asks for keys."""
    identity: Identity = request.state.identity
    return _describe(request, caller, identity.key)


@router.post(
    "/session",
    operation_id="sign_in",
    summary="Sign in with a browser",
    response_model=wire.Caller,
    responses=_SIGNED_IN,
)
async def sign_in(request: Request, body: SignIn) -> Response:
    """Sign in: begin a session, and store its token in a cookie that scripts cannot read."""
    _check_site(request)
    callers: Callers = request.app.state.callers
    try:
        key = callers.sign_in(body.key, client_address(request.scope))
    except TooManyWrongKeys:
        at_least(request.scope["state"], DELAY)
        raise
    answer = _describe(request, LOCAL if key is None else key.caller, key)
    if key is None:
        return answer
    request.state.identity = Identity(key.caller, key)  # for the log
    await _end_sessions(request, answer)
    token = await run_in_threadpool(callers.sessions.begin, key)
    path, secure = _cookie_path(request), _is_secure(request)
    answer.set_cookie(cookie_name(secure, path), token, path=path, httponly=True, samesite="strict", secure=secure)
    return answer


@router.delete(
    "/session", status_code=204, operation_id="sign_out", summary="Sign out", response_description="Signed out."
)
async def sign_out(request: Request) -> Response:
    """Sign out: end the session, and remove the cookie."""
    _check_site(request)
    answer = Response(status_code=204)
    await _end_sessions(request, answer)
    return answer


async def _end_sessions(request: Request, answer: Response) -> None:
    """End the sessions that a browser sends, and remove their cookies."""
    callers: Callers = request.app.state.callers
    path = _cookie_path(request)
    for name in (*COOKIES, OLD_COOKIE):
        token = request.cookies.get(name)
        if token is None:
            continue
        if name != OLD_COOKIE:
            await run_in_threadpool(callers.sessions.end, token, callers.access)
        secure = name.startswith("__")
        answer.delete_cookie(name, path=path, httponly=True, samesite="strict", secure=secure)


def _cookie_path(request: Request) -> str:
    """The path below which browsers send the cookie: that of this service only, on a host that has others too."""
    return request.scope.get("root_path") or "/"


def _is_secure(request: Request) -> bool:
    """Whether the browser uses TLS, perhaps to a proxy that does not say so."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


def _describe(request: Request, caller: Caller, key: Key | None) -> Response:
    callers: Callers = request.app.state.callers
    limits = [
        wire.Limit(
            name=one.name, quota=one.quota, window_s=one.window, remaining=one.remaining, reset_s=round(one.reset, 3)
        )
        for one in callers.spending.standings(key, client_address(request.scope))
    ]
    body = wire.Caller(name=caller.name, role=caller.role, keys=callers.access.asked, limits=limits)
    return Response(body.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})
