"""Two processes over one database and one file of keys: sessions, revoked keys and quotas of a day are shared."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.running_service import COMMAND, running_service
from service.http.keys import new_key
from tests.service.serving import wait_until

Pair = tuple[httpx.Client, httpx.Client]
SECRETS = {name: new_key(name, role) for name, role in (("anna", "curator"), ("bo", "reader"), ("cy", "reader"))}
LIMITED, LIMITEDS = new_key("dan", "reader", [("images_per_day", 2)])


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[name][0]}"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    file.write_text("".join(f"{key.line}\n" for _, key in SECRETS.values()) + LIMITEDS.line + "\n")
    return file


@pytest.fixture(scope="module")
def processes(keys: Path, tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Clients of two processes, without a memory of cookies."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    flags = ("--release", str(tiny_release))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSORT_API_KEYS_FILE", str(keys))
        patch.setenv("SEGSORT_DATABASE_URL", f"sqlite:///{first / 'segsort.sqlite'}")
        with (
            running_service(first, *flags, patience=240) as one,
            running_service(second, *flags, patience=240) as other,
            httpx.Client(base_url=one, timeout=60) as a,
            httpx.Client(base_url=other, timeout=60) as b,
        ):
            yield a, b


def sign_in(client: httpx.Client, name: str) -> dict[str, str]:
    """The header of a new session."""
    answer = client.post("/session", json={"key": SECRETS[name][0]}).raise_for_status()
    client.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}


def status(client: httpx.Client, headers: dict[str, str]) -> int:
    return client.get("/classes", headers=headers).status_code


def test_a_session_of_one_process_is_known_to_the_other_and_ends_in_both(processes: Pair) -> None:
    a, b = processes
    session = sign_in(a, "bo")
    assert [status(client, session) for client in processes] == [200, 200]
    assert b.delete("/session", headers=session).status_code == 204
    wait_until(lambda: [status(client, session) for client in processes] == [401, 401], patience=20)


def test_a_quota_of_a_day_is_shared(processes: Pair, photo: bytes) -> None:
    a, b = processes
    dan = {"X-API-Key": LIMITED}
    assert a.post("/segment", content=photo, headers=dan).status_code == 200

    def left(client: httpx.Client) -> int:
        [limit] = client.get("/me", headers=dan).json()["limits"]
        return int(limit["remaining"])

    wait_until(lambda: left(b) == 1, patience=20)
    assert b.post("/segment", content=photo, headers=dan).status_code == 200
    wait_until(lambda: left(a) == 0, patience=20)
    refused = [client.post("/segment", content=photo, headers=dan) for client in processes]
    assert [one.status_code for one in refused] == [429, 429]
    assert re.fullmatch(r'"images_per_day";r=0;t=\d+', refused[0].headers["ratelimit"])


def test_a_key_is_revoked_by_the_command_and_another_is_added_without_a_restart(processes: Pair, keys: Path) -> None:
    sessions = {"cy": sign_in(processes[0], "cy"), "anna": sign_in(processes[1], "anna")}
    environment = {**os.environ, "SEGSORT_API_KEYS_FILE": str(keys)}
    subprocess.run([str(COMMAND), "keys", "revoke", "cy"], env=environment, check=True, capture_output=True)
    for headers in (bearer("cy"), sessions["cy"]):
        wait_until(lambda sent=headers: [status(one, sent) for one in processes] == [401, 401], patience=20)
    for headers in (bearer("bo"), sessions["anna"]):
        assert [status(client, headers) for client in processes] == [200, 200]
    with keys.open("a") as appended:  # as by `segsort keys new NAME --role reader >> keys.txt`
        appended.write(f"{SECRETS['cy'][1].line}\n")
    wait_until(lambda: [status(one, bearer("cy")) for one in processes] == [200, 200], patience=20)
    text = keys.read_text()
    keys.write_text(text.replace("anna:curator", "anna:emperor"))
    wait_until(lambda: "segsort_key_file_fault 1.0" in processes[0].get("/metrics").text, patience=20)
    assert [status(client, bearer(name)) for client in processes for name in SECRETS] == [200] * 6
    keys.write_text(text)
    wait_until(lambda: "segsort_key_file_fault 0.0" in processes[0].get("/metrics").text, patience=20)
