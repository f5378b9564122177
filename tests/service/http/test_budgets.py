"""Budgets: every route has one, and a request beyond it is refused before it is read."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.testclient import TestClient
from starlette.types import Message

from service.app import create_app
from service.http.budgeted import LONGEST_PATH, Budgeted, RequestBudgets
from service.http.budgets import BUDGETS, LANES, UNREAD, budget_of, threads
from service.http.document import DocumentedApp
from service.http.keys import new_key
from service.settings import Settings
from tests.service.serving import serving, wait_until

METHODS = ("get", "post", "put", "patch", "delete")
FILLED = {"segmentation_id": "0" * 32, "segment_id": "a-0", "exemplar_id": "e", "name": "n", "survey_id": "s"}
FILLED |= {"job_id": "j", "revision": "1", "webhook_id": "w"}


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of each operation of the OpenAPI document."""
    paths = app.openapi()["paths"]
    return [(method.upper(), path) for path, found in paths.items() for method in METHODS if method in found]


def asked(client: TestClient, method: str, path: str, **options: Any) -> httpx.Response:
    return client.request(method, path.format(**FILLED), **options)


def test_every_operation_has_a_budget(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    found = operations(client.app)
    assert len(found) > 50
    assert {f"{method} {path}" for method, path in found} <= set(BUDGETS)
    known = {route.path for route in client.app.routes if isinstance(route, Budgeted)}
    assert not known or {path for _, path in found} <= known


def test_every_budget_is_of_a_route_and_every_lane_is_used(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    pages = {"GET /", "GET /docs", "GET /docs/{name}", "GET /static/{name:path}"}
    assert set(BUDGETS) - {f"{method} {path}" for method, path in operations(client.app)} == pages
    assert {one.lane for one in BUDGETS.values()} == {None, *LANES}


def test_a_route_without_a_budget_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="GET /unheard has no budget"):
        APIRouter(route_class=Budgeted).get("/unheard")(lambda: None)
    with pytest.raises(ValueError, match="POST /livez"):
        budget_of("POST", "/livez")


def test_a_body_above_the_budget_of_any_route_is_refused(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    settings = RequestBudgets.of(client.app).settings
    for method, path in operations(client.app):
        length = BUDGETS[f"{method} {path}"].most(settings) + 1
        refused = asked(client, method, path, content=b"x", headers={"content-length": str(length)})
        assert refused.status_code == 413, (method, path)
        assert refused.headers["content-type"] == "application/problem+json"


def test_only_bodies_with_images_and_archives_have_megabytes_of_a_setting(settings: Settings) -> None:
    large = {name for name, one in BUDGETS.items() if isinstance(one.body, str) and one.body != "none"}
    images = {"POST /segment", "POST /segment/batch", "POST /jobs/segment", "POST /exemplars"}
    assert large == {*images, "POST /import", "POST /releases/survey"}
    assert budget_of("POST", "/session").most(settings) == 4000
    assert budget_of("GET", "/me").most(settings) == UNREAD


def test_long_addresses_and_cookies_are_refused(client: TestClient) -> None:
    long = client.get("/segmentations/" + "a" * LONGEST_PATH)
    assert (long.status_code, long.json()["received"]) == (414, f"{LONGEST_PATH + 15} bytes of path, 0 bytes of query")
    assert client.get("/livez?" + "a" * 5000).status_code == 414
    assert client.get("/export?" + "&".join(f"segmentation_id={n:032x}" for n in range(1000))).status_code == 404
    assert client.get("/livez", headers={"cookie": "a=b; " * 4000}).status_code == 431


@pytest.mark.parametrize("path", ["/session", "/classes", "/releases/build", "/exemplars/labels", "/export"])
def test_nested_and_numerous_json_is_refused_by_every_kind_of_route(client: TestClient, path: str) -> None:
    most = min(budget_of("POST", path).most(RequestBudgets.of(client.app).settings), 1_000_000)  # type: ignore[arg-type]
    headers = {"content-type": "application/json"}
    numerous = client.post(path, content=b"[" + b"1," * (most // 2 - 2) + b"1]", headers=headers)
    assert numerous.status_code == 413
    nested = client.post(path, content=b"[" * 40 + b'{"a":' * 30 + b"1" + b"}" * 30 + b"]" * 40, headers=headers)
    assert nested.status_code in (400, 413)


def test_callers_without_a_key_are_refused_before_their_body_is_read(start: Callable[..., TestClient]) -> None:
    _, key = new_key("anna", "curator")
    with start(api_keys=key.line) as client:
        assert isinstance(client.app, FastAPI)
        budgets, read = RequestBudgets.of(client.app), list[int]()
        received = budgets.bodies.received

        def noted(receive: Any, most: int) -> Any:
            read.append(most)
            return received(receive, most)

        budgets.bodies.received = noted  # type: ignore[method-assign]
        for method, path in operations(client.app):
            if client.app.openapi()["paths"][path][method.lower()]["security"]:
                assert asked(client, method, path, content=b"x" * 60_000).status_code == HTTPStatus.UNAUTHORIZED
        assert read == []
        assert client.post("/session", json={"key": "x"}).status_code == HTTPStatus.UNAUTHORIZED
        assert read == [4000]


def test_a_full_lane_refuses_with_429_and_other_lanes_go_on(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"deadline_s": 60}))
    release, lane = threading.Event(), RequestBudgets.of(app).lanes["explore"]
    records = app.state.engine.records
    newest = records.newest

    def held(*arguments: Any, **options: Any) -> Any:
        if options.get("load") == "prototypes":
            release.wait(60)
        return newest(*arguments, **options)

    records.newest = held
    pool, limits = ThreadPoolExecutor(80), httpx.Limits(max_connections=200)
    with ExitStack() as at_end:
        address = at_end.enter_context(serving(app))
        client = at_end.enter_context(httpx.Client(base_url=address, timeout=60, limits=limits))
        at_end.callback(release.set)
        running = lane.budget.at_once - 1  # the last place is for another caller
        most = running + lane.budget.waiting
        asking = [pool.submit(client.get, "/clusters") for _ in range(most)]
        wait_until(lambda: (lane.running, lane.waiting) == (running, lane.budget.waiting))
        refused = client.get("/suggestions")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert [client.get(path).status_code for path in ("/livez", "/classes", "/segmentations")] == [200] * 3
        release.set()
        assert {one.result().status_code for one in asking} == {200}
        wait_until(lambda: (lane.running, lane.waiting) == (0, 0))


def test_the_lanes_have_a_thread_for_each_request_that_runs() -> None:
    assert threads() == sum(one.at_once for one in LANES.values()) < 200


def test_an_export_leaves_its_lane_also_if_its_caller_leaves(settings: Settings, photo: bytes) -> None:
    app = create_app(settings)
    lane = RequestBudgets.of(app).lanes["export"]
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        ids = [client.post("/segment", content=photo).json()["segmentation_id"] for _ in range(3)]
        host = httpx.URL(address)
        with client.stream("POST", "/export", json={"segmentation_ids": ids, "images": True}) as answer:
            assert answer.read()[:2] == b"PK"
        wait_until(lambda: lane.running == 0)
        with socket.create_connection((host.host, host.port or 80)) as leaving:
            leaving.sendall(b"GET /export?images=true HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_until(lambda: lane.running == 0)


def test_the_document_is_made_once_and_outside_of_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, document = list[str](), DocumentedApp.openapi

    def noted(app: DocumentedApp) -> dict[str, Any]:
        made.append(threading.current_thread().name)
        return document(app)

    monkeypatch.setattr(DocumentedApp, "openapi", noted)
    first, second = client.get("/openapi.json"), client.get("/openapi.json")
    assert first.json() == second.json() == document(client.app)  # type: ignore[arg-type]
    assert len(made) == 1
    assert "worker" in made[0].lower()


def test_an_archive_that_waits_for_its_turn_arrives_complete() -> None:
    content = bytes(range(256)) * 2000
    router = APIRouter(route_class=Budgeted)

    @router.post("/releases/survey")
    async def survey(request: Request) -> Response:
        return Response(b"".join([part async for part in request.stream()]))

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 50_000):
            yield content[start : start + 50_000]

    async def never() -> Message:
        await asyncio.Event().wait()
        return {}

    async def main() -> bytes:
        app = FastAPI()
        app.include_router(router)
        lane = RequestBudgets.of(app).lanes["archives"]
        running = [await lane.enter(never, str(n)) for n in range(lane.budget.at_once)]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            asked = asyncio.create_task(client.post("/releases/survey", content=parts()))
            while not lane.waiting:
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)  # time in which the body could be read and lost
            for began in running:
                lane.leave(began)
            return (await asked).content

    assert asyncio.run(asyncio.wait_for(main(), 20)) == content
