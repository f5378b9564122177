import logging
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from benchmarks.running_service import COMMAND, ServiceStartError, running_service, start_service
from service.http.access import Caller, add_access, curator, reader
from service.http.keys import LOCAL, Access, is_loopback, new_key, read_access
from service.problems import add_problem_handlers
from service.settings import Settings

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
DIGEST = BOS.digest.hex()
BOTH = f"{ANNAS.line}, {BOS.line},"


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., TestClient]:
    """Makes a client of an app with one route to read and one to edit."""

    def make(**settings: object) -> TestClient:
        app = FastAPI()
        add_problem_handlers(app)
        add_access(app, Settings(data_dir=tmp_path, **settings))

        @app.get("/look")
        def look(caller: Annotated[Caller, Depends(reader)]) -> str:
            return caller.name

        @app.post("/edit")
        def edit(caller: Annotated[Caller, Depends(curator)]) -> str:
            return caller.name

        return TestClient(app)

    return make


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_keys_everyone_is_the_local_curator(ask: Callable[..., TestClient]) -> None:
    client = ask()
    assert client.get("/look").json() == client.post("/edit").json() == "local"
    assert client.get("/me").json() == {"name": "local", "role": "curator", "keys": False}
    assert "set-cookie" not in client.post("/session", json={"key": "anything"}).headers


def test_a_key_says_who_calls_however_it_is_presented(ask: Callable[..., TestClient]) -> None:
    client = ask(api_keys=BOTH)
    assert client.post("/edit", headers=bearer(ANNA)).json() == "anna"
    assert client.post("/edit", headers={"X-API-Key": ANNA}).json() == "anna"
    assert client.get("/look", headers={"Authorization": f"bearer  {BO}"}).json() == "bo"
    assert client.get("/me", headers=bearer(BO)).json() == {"name": "bo", "role": "reader", "keys": True}


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
        {"Cookie": "segsort_key=bo"},
    ],
    ids=str,
)
def test_a_failed_sign_in_tells_nothing(ask: Callable[..., TestClient], headers: dict[str, str]) -> None:
    """Whatever is wrong, every byte of the answer is the same."""
    client = ask(api_keys=BOTH)
    answers = [client.get("/look", headers=headers), client.post("/edit", headers=headers)]
    answers.append(client.post("/session", json={"key": "anna"}))
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.content == client.get("/me").content
        assert "set-cookie" not in answer.headers


def test_a_browser_signs_in_and_out(ask: Callable[..., TestClient]) -> None:
    client = ask(api_keys=BOTH)
    signed_in = client.post("/session", json={"key": ANNA})
    assert signed_in.json() == {"name": "anna", "role": "curator", "keys": True}
    cookie = signed_in.headers["set-cookie"].lower()
    assert all(flag in cookie for flag in ("httponly", "samesite=strict", "path=/"))
    assert "secure" not in cookie, "a browser would drop it over plain HTTP"
    assert client.post("/edit").json() == "anna"
    assert client.get("/look", headers=bearer("wrong")).status_code == 401, "the header goes before the cookie"
    assert client.delete("/session").status_code == 204
    assert client.post("/edit").status_code == 401


def test_over_tls_the_cookie_stays_there(ask: Callable[..., TestClient]) -> None:
    client = ask(api_keys=BOTH)
    assert "secure" in client.post("https://testserver/session", json={"key": ANNA}).headers["set-cookie"].lower()


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
    """Neither where there are no keys nor with the cookie; a key in a header is the page's own."""
    assert ask().post("/edit", headers=headers).status_code == status
    client = ask(api_keys=BOTH)
    assert client.post("/edit", headers={**headers, **bearer(ANNA)}).status_code == 200
    client.post("/session", json={"key": ANNA})
    assert client.post("/edit", headers=headers).status_code == status
    assert client.get("/look", headers=headers).status_code == 200


def test_keys_of_the_file_and_of_the_variable_are_accepted_together(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# who\n\n  {BOS.line}  \n")
    access = read_access(
        Settings(api_keys=ANNAS.line.upper().replace("ANNA:CURATOR", "anna:curator"), api_keys_file=file)
    )
    assert access.caller(ANNA) == Caller("anna", "curator")
    assert access.caller(BO) == Caller("bo", "reader")
    assert access.caller(None) is access.caller("") is None


@pytest.mark.parametrize("blank", ["", " ", ","])
def test_a_variable_left_blank_holds_no_keys(blank: str) -> None:
    assert read_access(Settings(api_keys=blank)).caller(None) == LOCAL


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("anna", "1 parts"),
        (f"anna:reader:{DIGEST}:x", "4 parts"),
        (f"anna:admin:{DIGEST}", "'admin'; allowed: reader, curator"),
        (f"anna:{ANNA}:reader", f"a word of {len(ANNA)} letters"),
        (f"anna:reader:{DIGEST[1:]}", "63 characters follow the role; allowed: 64 hexadecimal digits"),
        (f"anna:reader:{DIGEST[1:]}g", "64 hexadecimal digits"),
        (f"anna:reader:{ANNA}", "not the key itself"),
        (f":reader:{DIGEST}", "letters, digits"),
        (f"a b:reader:{DIGEST}", "letters, digits"),
        (f"{'a' * 61}:reader:{DIGEST}", "1 to 60"),
        (f"bo:curator:{ANNAS.digest.hex()}", "'bo' stands there twice"),
        (f"cy:curator:{DIGEST}", "'cy' is another name's too"),
    ],
)
def test_a_bad_line_is_named_by_its_place_and_its_fault_without_showing_a_key(
    tmp_path: Path, line: str, said: str
) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# keys\n{BOS.line}\n{line}\n")
    with pytest.raises(ValueError, match=r"keys\.txt, line 3: ") as in_file:
        read_access(Settings(api_keys_file=file))
    with pytest.raises(ValueError, match="SEGSORT_API_KEYS, entry 2: ") as in_variable:
        read_access(Settings(api_keys=f"{BOS.line},{line}"))
    for error in (in_file, in_variable):
        assert said in str(error.value)
        assert ANNA not in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"# none yet\n", b"\xff\xfe"])
def test_a_file_without_keys_does_not_open_the_service(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="SEGSORT_API_KEYS_FILE"):
        read_access(Settings(api_keys_file=file))


def test_keys_are_never_logged(ask: Callable[..., TestClient], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client = ask(api_keys=BOTH)
        client.post("/session", json={"key": ANNA})
        client.get("/look", headers=bearer(BO))
        client.get("/look", headers=bearer("wrong-key"))
    assert not [key for key in (ANNA, BO, "wrong-key") if key in caplog.text]
    assert ANNA not in repr(read_access(Settings(api_keys=BOTH)).keys)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_who_can_reach_a_host(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    settings = Settings(host=host)
    if not loopback:
        with pytest.raises(ValueError, match=r"SEGSORT_API_KEYS.*SEGSORT_OPEN"):
            Access().describe(settings)
    assert "by key, 1 reader and 1 curator" in read_access(Settings(host=host, api_keys=BOTH)).describe(settings)
    assert "may read and edit" in Access().describe(settings.model_copy(update={"open": True}))


def test_serve_refuses_other_machines_without_keys_and_says_who_may_do_what(tmp_path: Path) -> None:
    with pytest.raises(ServiceStartError, match="SEGSORT_OPEN=true"):
        start_service(tmp_path, "--host", "0.0.0.0")
    with running_service(tmp_path):
        pass
    assert "no keys, whoever reaches 127.0.0.1" in (tmp_path / "service.log").read_text()


def test_a_key_made_by_the_command_opens_the_service(ask: Callable[..., TestClient], tmp_path: Path) -> None:
    made = subprocess.run(
        [str(COMMAND), "keys", "new", "anna", "--role", "reader"], capture_output=True, text=True, check=True
    )
    file = tmp_path / "keys.txt"
    file.write_text(made.stdout)
    [key] = [line for line in made.stderr.splitlines() if line.startswith("segsort_")]
    assert key not in made.stdout, "a file of lines must not hold the key"
    assert ask(api_keys_file=file).get("/look", headers=bearer(key)).json() == "anna"


OPEN = {"/", "/livez", "/readyz", "/metrics", "/session", "/openapi.json", "/docs"}
OPEN_BELOW = ("/static",)
OF_READERS = {"/segment", "/segmentations/{segmentation_id}/relabel"}  # what is posted and changes no exemplar


def test_every_route_that_is_not_open_asks_for_a_key_and_every_edit_for_a_curators(
    start: Callable[..., TestClient],
) -> None:
    """Of the whole service: a route added without a thought is noticed."""
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
