import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from benchmarks.running_service import COMMAND, ServiceStartError, running_service, start_service
from service.http.access import Caller, add_access, curator, reader
from service.http.callers.callers import Callers
from service.http.keys import new_key, read_access
from service.http.origins import Origins
from service.problems import add_problem_handlers
from service.records.schema_version import open_database
from service.settings import Settings

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
DIGEST = BOS.digest.hex()
BOTH = f"{ANNAS.line}, {BOS.line},"


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of an app with one route to read and one to edit."""

    def make(**settings: object) -> TestClient:
        app = FastAPI()
        add_problem_handlers(app)
        asked = Settings(data_dir=tmp_path, **settings)
        database = open_database("sqlite://")
        closing.callback(database.dispose)
        add_access(app, Callers(asked, database), Origins.of(asked))

        @app.get("/read")
        def read(caller: Annotated[Caller, Depends(reader)]) -> str:
            return caller.name

        @app.post("/edit")
        def edit(caller: Annotated[Caller, Depends(curator)]) -> str:
            return caller.name

        return TestClient(app)

    with ExitStack() as closing:
        yield make


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_keys_everyone_is_the_local_curator(ask: Callable[..., TestClient]) -> None:
    client = ask()
    assert client.get("/read").json() == client.post("/edit").json() == "local"
    assert client.get("/me").json() == {"name": "local", "role": "curator", "keys": False, "limits": []}
    assert "set-cookie" not in client.post("/session", json={"key": "anything"}).headers


def test_each_way_to_send_a_key_identifies_the_caller(ask: Callable[..., TestClient]) -> None:
    client = ask(api_keys=BOTH)
    assert client.post("/edit", headers=bearer(ANNA)).json() == "anna"
    assert client.post("/edit", headers={"X-API-Key": ANNA}).json() == "anna"
    assert client.get("/read", headers={"Authorization": f"bearer  {BO}"}).json() == "bo"
    assert client.get("/me", headers=bearer(BO)).json() == {"name": "bo", "role": "reader", "keys": True, "limits": []}


def test_a_reader_may_not_edit(ask: Callable[..., TestClient]) -> None:
    refused = ask(api_keys=BOTH).post("/edit", headers=bearer(BO))
    assert refused.status_code == 403
    assert (refused.json()["received"], refused.json()["allowed"]) == ("reader", "curator")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("anna"),
        bearer(DIGEST),
        bearer(ANNAS.line),
        bearer(ANNA[:-1]),
        {"X-API-Key": ANNA + "x"},
        {"Authorization": "Basic YW5uYTph"},
        {"Cookie": f"segsort_key={BO}"},
    ],
    ids=[
        "none", "empty", "a name", "a digest", "a stored line", "too short", "too long", "another scheme", "a cookie"
    ],  # keys differ between the processes that run tests
)  # fmt: skip
def test_a_failed_sign_in_reveals_nothing(ask: Callable[..., TestClient], headers: dict[str, str]) -> None:
    """Every byte of the answer is the same for each cause."""
    client = ask(api_keys=BOTH)
    answers = [client.get("/read", headers=headers), client.post("/edit", headers=headers)]
    answers.append(client.post("/session", json={"key": "anna"}))
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.content == client.get("/me").content
        assert "set-cookie" not in answer.headers


def test_a_browser_signs_in_and_out(ask: Callable[..., TestClient]) -> None:
    client = ask(api_keys=BOTH)
    signed_in = client.post("/session", json={"key": ANNA})
    assert signed_in.json() == {"name": "anna", "role": "curator", "keys": True, "limits": []}
    cookie = signed_in.headers["set-cookie"].lower()
    assert all(flag in cookie for flag in ("httponly", "samesite=strict", "path=/"))
    assert "secure" not in cookie, "a browser would drop it over plain HTTP"
    assert client.post("/edit").json() == "anna"
    assert client.get("/read", headers=bearer("wrong")).status_code == 401, "the header takes precedence"
    assert client.delete("/session").status_code == 204
    assert client.post("/edit").status_code == 401


def test_over_tls_the_cookie_is_secure(ask: Callable[..., TestClient]) -> None:
    client = ask(api_keys=BOTH)
    assert "secure" in client.post("https://testserver/session", json={"key": ANNA}).headers["set-cookie"].lower()
    behind = client.post("/session", json={"key": ANNA}, headers={"Origin": "https://testserver"})
    assert "secure" in behind.headers["set-cookie"].lower(), "a proxy ends TLS, and does not say so"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver:99"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://testserver"}, 200),
    ],
    ids=str,
)
def test_a_page_of_another_site_cannot_edit(
    ask: Callable[..., TestClient], headers: dict[str, str], status: int
) -> None:
    """Neither without keys nor with the cookie. A request with a key in a header is trusted."""
    assert ask().post("/edit", headers=headers).status_code == status
    client = ask(api_keys=BOTH)
    assert client.post("/edit", headers={**headers, **bearer(ANNA)}).status_code == 200
    client.post("/session", json={"key": ANNA})
    assert client.post("/edit", headers=headers).status_code == status
    assert client.get("/read", headers=headers).status_code == 200


def test_a_page_of_a_trusted_origin_can_edit(ask: Callable[..., TestClient]) -> None:
    client = ask(trusted_origins="https://a.example, http://b.example:81")
    for origin, status in (("https://a.example", 200), ("http://b.example:81", 200), ("http://a.example", 403)):
        for site in ({}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post("/edit", headers={"Origin": origin, **site}).status_code == status
    refused = client.post("/edit", headers={"Origin": "http://b.example"}).json()
    assert "SEGSORT_TRUSTED_ORIGINS" in refused["fix"]


def test_keys_are_never_logged(ask: Callable[..., TestClient], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client = ask(api_keys=BOTH)
        client.post("/session", json={"key": ANNA})
        client.get("/read", headers=bearer(BO))
        client.get("/read", headers=bearer("wrong-key"))
    assert not [key for key in (ANNA, BO, "wrong-key") if key in caplog.text]
    assert ANNA not in repr(read_access(Settings(api_keys=BOTH)).keys)


def test_serve_refuses_other_machines_without_keys_and_says_who_may_do_what(tmp_path: Path) -> None:
    with pytest.raises(ServiceStartError, match="SEGSORT_OPEN=true"):
        start_service(tmp_path, "--host", "0.0.0.0")
    with running_service(tmp_path):
        pass
    assert "no keys are set, every caller of 127.0.0.1" in (tmp_path / "service.log").read_text()


def test_a_key_made_by_the_command_opens_the_service(ask: Callable[..., TestClient], tmp_path: Path) -> None:
    made = subprocess.run(
        [str(COMMAND), "keys", "new", "anna", "--role", "reader"], capture_output=True, text=True, check=True
    )
    file = tmp_path / "keys.txt"
    file.write_text(made.stdout)
    [key] = [line for line in made.stderr.splitlines() if line.startswith("segsort_")]
    assert key not in made.stdout, "a file of lines must not hold the key"
    assert ask(api_keys_file=file).get("/read", headers=bearer(key)).json() == "anna"


OPEN = {"/", "/livez", "/readyz", "/metrics", "/session", "/openapi.json", "/docs"}
OPEN_BELOW = ("/static",)
OF_READERS = {  # routes that change no exemplar
    "/segment", "/export", "/segmentations/{segmentation_id}", "/segmentations/{segmentation_id}/relabel",
    "/segmentations/{segmentation_id}/preview", "/segmentations/{segmentation_id}/segment", "/releases/compare",
    "/segmentations/{segmentation_id}/pin", "/segment/batch", "/jobs/segment", "/jobs/{job_id}",
    "/jobs/{job_id}/cancel",  # of jobs of images that it started
}  # fmt: skip


def test_every_route_that_is_not_open_asks_for_a_key_and_every_edit_for_a_curators(
    start: Callable[..., TestClient],
) -> None:
    """All routes of the service are checked, so a new route without a check fails here."""
    asked = 0
    with start(api_keys=BOTH) as client:
        schema = client.get("/openapi.json").json()["paths"]
        for path, methods in schema.items():
            url = re.sub(r"\{\w+\}", "1", path)
            for method in methods:
                answer = client.request(method, url)
                if path in OPEN or path.startswith(OPEN_BELOW):
                    assert "A key is needed" not in answer.text or path == "/session", (method, path)
                    continue
                assert answer.status_code == 401, (method, path)
                if method != "get" and path not in OF_READERS:
                    assert client.request(method, url, headers=bearer(BO)).status_code == 403, (method, path)
                asked += 1
    assert asked > 20
