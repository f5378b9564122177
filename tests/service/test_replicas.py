"""Two processes over one database: each sees the edits of the other, and both give equal explanations."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks.running_service import running_service
from service.records.follower import POLL
from tests.service.serving import wait_until

Pair = tuple[httpx.Client, httpx.Client]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def replicas(
    request: pytest.FixtureRequest, tiny_release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Clients of two processes that share a database, each with a data folder of its own."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    database = f"sqlite:///{first / 'segsort.sqlite'}"
    if request.param == "postgresql":
        database = str(request.getfixturevalue("module_postgres_url"))
    settings = first / "second.toml"
    settings.write_text(f'database_url = "{database}"\n')
    flags = ("--release", str(tiny_release))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSORT_SETTINGS_FILE", str(settings))
        with (
            running_service(first, *flags) as one,
            running_service(second, *flags) as other,
            httpx.Client(base_url=one, timeout=60) as a,
            httpx.Client(base_url=other, timeout=60) as b,
        ):
            yield a, b


def ask(client: httpx.Client, photo: bytes, query: str = "") -> dict:
    return client.post(f"/segment{query}", content=photo).raise_for_status().json()


def correct(client: httpx.Client, segment_id: str, name: str) -> dict:
    return client.post(f"/segments/{segment_id}/label", json={"class_name": name}).raise_for_status().json()


def revision(client: httpx.Client) -> int:
    return int(client.get("/readyz").json()["index_revision"])


def test_an_edit_is_seen_by_the_other_process_soon(replicas: Pair, photo: bytes) -> None:
    """Within a second, on a machine that is not busy: the log is read again after `POLL` seconds."""
    assert POLL <= 0.5
    a, b = replicas
    segment = ask(a, photo)["segments"][0]
    made = correct(a, segment["segment_id"], "lava")["index_revision"]
    wait_until(lambda: revision(b) >= made)
    assert ask(b, photo)["segments"][0]["class_name"] == "lava"


def test_a_request_for_a_revision_sees_the_edit_of_the_other_process(replicas: Pair, photo: bytes) -> None:
    a, b = replicas
    for writer, reader, name in ((a, b, "ash"), (b, a, "snow"), (a, b, "mud")):
        segment = ask(writer, photo)["segments"][1]
        made = correct(writer, segment["segment_id"], name)["index_revision"]
        assert ask(reader, photo, f"?min_index_revision={made}")["segments"][1]["class_name"] == name


def test_both_processes_give_equal_explanations_after_further_edits(replicas: Pair, photo: bytes) -> None:
    a, b = replicas
    answer = ask(a, photo)
    urls = [f"/explain/{segment['segment_id']}" for segment in answer["segments"]]
    before = [b.get(url).json() for url in urls]
    for why in before[:3]:
        a.delete(f"/exemplars/{why['exemplars'][1]['exemplar_id']}")
    ask(b, photo, f"?min_index_revision={revision(a)}")
    after = [a.get(url).content for url in urls]
    assert after == [b.get(url).content for url in urls]
    assert a.get("/classes").json() == b.get("/classes").json()


def test_concurrent_writers_in_both_processes_make_one_sequence_without_gaps(replicas: Pair, photo: bytes) -> None:
    a, b = replicas
    first = revision(a)
    names = [e["exemplar_id"] for e in a.get("/exemplars?limit=40").json()["exemplars"] if e["added_in"] is None][:16]

    def remove(n: int) -> int:
        return int((a, b)[n % 2].delete(f"/exemplars/{names[n]}").raise_for_status().json()["index_revision"])

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(remove, range(len(names))))
    assert sorted(made) == list(range(first + 1, first + 1 + len(names)))
    edits = a.get("/edits?limit=1000").json()
    assert [e["revision"] for e in edits] == list(range(edits[0]["revision"], 0, -1))
    with ThreadPoolExecutor(2) as pool:  # both remove one exemplar: one edit, one refusal
        name = a.get("/exemplars?limit=1").json()["exemplars"][0]["exemplar_id"]
        statuses = [r.status_code for r in pool.map(lambda client: client.delete(f"/exemplars/{name}"), (a, b))]
    assert sorted(statuses) == [200, 409]
