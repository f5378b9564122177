"""The service on a real Ray cluster of two nodes, with a replica on each, over one PostgreSQL database.

Where network namespaces can be made (root and the program `ip`), the second node is in one of its own, with its own
address and loopback device; a bridge joins it to the head. Nodes in two further namespaces could not reach each other
where the firewall of Docker refuses to forward packets, so the head stays in the namespace of the machine. Elsewhere
both nodes are on 127.0.0.1. Each node has a data folder of its own. HAProxy, which comes with Ray, is the ingress, as
in deploy/ray/node.env.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.kills import all_edits, segmented
from benchmarks.ray_cluster import INSTALLED, RayCluster, RayStartError, can_separate, ray_cluster
from benchmarks.ray_serve import config
from benchmarks.running_service import start_service, stop
from benchmarks.writers import Address, Writer
from service.http.keys import read_access
from service.replicas import EVERYWHERE, check_arguments, check_database, replica_settings
from service.settings import Settings
from tests.service.serving import wait_until

pytestmark = pytest.mark.timeout(1200)  # the first test starts the cluster, perhaps several times
DEPLOYED = {
    "num_replicas": 2,
    "health_check_period_s": 1,
    "graceful_shutdown_timeout_s": 60,
}
_STARTS = 3  # of a cluster whose nodes end while the application starts
IMAGE = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def cluster(
    tiny_release: Path, module_postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RayCluster]:
    """Two nodes and two replicas of the tiny release."""
    if not INSTALLED:
        pytest.skip("Ray is not installed; pip install 'segsort[ray]'")
    folder = tmp_path_factory.mktemp("ray")
    variables = {
        "SEGSORT_DATABASE_URL": module_postgres_url, "SEGSORT_DATA_DIR": f"{folder}/data-{{node}}",
        "SEGSORT_OPEN": "true", "SEGSORT_MAX_BYTES": "2000000", "SEGSORT_RELEASE": str(tiny_release),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "10",  # 30 without it: HAProxy forgets a replica meanwhile
    }  # fmt: skip
    with ExitStack() as stack:
        for start in range(1, _STARTS + 1):
            try:
                cluster = ray_cluster(variables, nodes=2, cpus=2, niceness=-10, apart=can_separate())
                found = stack.enter_context(cluster)
                found.deploy(config({}, **DEPLOYED))
                break
            except RayStartError as error:
                stack.close()
                if start == _STARTS or "has ended" not in str(error):
                    raise
        yield found


@pytest.fixture
def through(cluster: RayCluster) -> Iterator[httpx.Client]:
    """A client of the cluster's proxy."""
    with httpx.Client(base_url=cluster.address, timeout=120) as client:
        wait_until(lambda: _is_ready(client), 180)
        yield client


def _is_ready(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):  # the proxy starts after the replicas
        return client.get("/readyz").status_code == 200
    return False


def test_there_is_a_replica_on_each_node(cluster: RayCluster) -> None:
    running = [one for one in cluster.replicas() if one["state"] == "RUNNING"]
    assert len({one["node_id"] for one in running}) == 2
    if can_separate():
        assert len({one["node_ip"] for one in running}) == 2


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/livez", {}),
    ("GET", "/classes", {}),
    ("GET", "/me", {}),
    ("GET", "/nothing", {}),
    ("GET", "/", {}),
    ("HEAD", "/classes", {}),
    ("DELETE", "/classes", {}),
    ("GET", "/classes", {"headers": {"host": "evil.example.com"}}),
    ("POST", "/segment", {"content": b"", "headers": IMAGE}),
    ("POST", "/segment", {"content": b"no image", "headers": IMAGE}),
    ("POST", "/segment?k=0", {"content": b"no image", "headers": IMAGE}),
    ("POST", "/segment", {"content": bytes(3_000_000), "headers": IMAGE}),
    ("POST", "/segment", {"content": b"x", "headers": IMAGE | {"content-encoding": "gzip"}}),
    ("POST", "/classes", {"json": {"name": "x"}, "headers": {"origin": "https://evil.example.com"}}),
    ("GET", "/explain/00000000-0000-0000-0000-000000000000-1", {}),
    ("GET", "/classes", {"headers": {"x-request-id": "mine"}}),
    ("GET", "/docs", {"headers": {"accept-encoding": "gzip"}}),
]
CHANGING = {"content-length", "date", "etag", "last-modified", "server", "server-timing", "transfer-encoding"}


@pytest.mark.parametrize(("method", "path", "asked"), REQUESTS, ids=lambda one: str(one)[:40])
def test_answers_have_the_status_headers_and_problems_of_one_process(
    through: httpx.Client, plain: httpx.Client, method: str, path: str, asked: dict[str, Any]
) -> None:
    ours, theirs = (client.request(method, path, **asked) for client in (plain, through))
    assert theirs.status_code == ours.status_code, theirs.text[:500]
    names = [sorted(name for name in one.headers if name not in CHANGING) for one in (ours, theirs)]
    assert names[1] == names[0]
    assert len(theirs.headers.get_list("x-request-id")) == 1
    assert (theirs.headers["x-request-id"] == "mine") == ("x-request-id" in asked.get("headers", {}))
    if ours.headers.get("content-type", "").startswith("application/problem"):
        problem = theirs.json()
        assert problem.pop("request_id") == theirs.headers["x-request-id"]
        assert problem == {name: value for name, value in ours.json().items() if name != "request_id"}


@pytest.fixture(scope="module")
def plain(
    tiny_release: Path, module_postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of one process over the same database."""
    settings = {"SEGSORT_DATABASE_URL": module_postgres_url, "SEGSORT_MAX_BYTES": "2000000", "SEGSORT_OPEN": "true"}
    data = tmp_path_factory.mktemp("plain")
    process, address = start_service(data, "--release", str(tiny_release), patience=250, settings=settings)
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client
    finally:
        stop(process)


def test_edits_reach_every_replica_and_each_explains_every_answer(
    cluster: RayCluster, through: httpx.Client, photo: bytes
) -> None:
    answer = through.post("/segment", content=photo, headers=IMAGE).raise_for_status().json()
    segment = answer["segments"][0]["segment_id"]
    edit = through.post("/classes", json={"name": "from ray"}).raise_for_status().json()
    with httpx.Client(timeout=60) as client:
        addresses = cluster.replica_addresses()
        assert len(addresses) == 2
        for address in addresses:
            wait_until(lambda at=address: "from ray" in client.get(f"{at}/classes").text, 20)  # type: ignore[misc]
        explained = [client.get(f"{address}/explain/{segment}").raise_for_status().json() for address in addresses]
    assert explained[0] == explained[1]
    assert edit["index_revision"] >= 1


def test_no_acknowledged_edit_is_lost_when_a_replica_is_killed_and_it_comes_back(
    cluster: RayCluster, through: httpx.Client
) -> None:
    address = Address()
    address.set(cluster.address)
    writers = [Writer(name, address, segmented(through, n), 25, 5) for n, name in enumerate("ab")]
    threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(len(writer.acknowledged) for writer in writers) >= 10, 120)
    victim = cluster.replicas()[0]
    cluster.kill(victim)
    for thread in threads:
        thread.join(250)
    assert not [failure for writer in writers for failure in writer.failures]
    made = {edit["reason"]: edit for edit in all_edits(through)}
    for writer in writers:
        assert len(writer.acknowledged) == 25
        for reason, edit in writer.acknowledged.items():
            assert made[reason]["revision"] == edit["revision"]
    wait_until(lambda: _running(cluster) == 2 and victim["replica_id"] not in _ids(cluster), 240)


def test_no_request_fails_while_a_changed_setting_replaces_the_replicas(
    cluster: RayCluster, through: httpx.Client, photo: bytes
) -> None:
    before, statuses, ended = _ids(cluster), list[int | str](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=cluster.address, timeout=120) as client:
            while not ended.is_set():
                try:
                    statuses.append(client.post("/segment", content=photo, headers=IMAGE).status_code)
                except httpx.TransportError as error:
                    statuses.append(repr(error))

    callers = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        cluster.deploy(config({"max_k": 7}, **DEPLOYED))
        cluster.wait_until_gone(before)
    finally:
        ended.set()
        for caller in callers:
            caller.join(120)
    assert not _ids(cluster) & before
    assert len(statuses) > 10
    assert set(statuses) == {200}
    refused = through.post("/segment?k=8", content=photo, headers=IMAGE)
    assert (refused.status_code, refused.json()["allowed"]) == (422, "1 to 7"), refused.text


def _ids(cluster: RayCluster) -> set[str]:
    return {one["replica_id"] for one in cluster.replicas()}


def _running(cluster: RayCluster) -> int:
    return sum(one["state"] == "RUNNING" for one in cluster.replicas())


def test_several_replicas_over_a_file_are_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    check_database(settings, 1)
    with pytest.raises(ValueError, match=r"2 replicas cannot share an SQLite database.*SEGSORT_DATABASE_URL"):
        check_database(settings, 2)
    check_database(Settings(data_dir=tmp_path, database_url="postgresql+psycopg://one/two"), 2)


@pytest.mark.parametrize(
    ("args", "gpus", "named"),
    [
        ({"data_dir": "here"}, 0.0, "SEGSORT_DATA_DIR"),
        ({"metrics_port": 9000}, 0.0, "SEGSORT_METRICS_PORT"),
        ({"device": "cuda"}, 0.0, "num_gpus"),
    ],
)
def test_what_does_not_fit_a_replica_is_refused(tmp_path: Path, args: dict[str, Any], gpus: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replica_settings({"data_dir": tmp_path, **args}, 1.0, gpus)


def test_a_replica_takes_the_cores_and_the_fraction_of_a_gpu_that_ray_gives(tmp_path: Path) -> None:
    settings = replica_settings({"data_dir": tmp_path, "device": "cuda"}, 3.0, 0.5)
    assert (settings.threads, settings.host) == (3, EVERYWHERE)
    assert replica_settings({"data_dir": tmp_path, "threads": 2}, 3.0, 0.0).threads == 2


def test_a_host_of_this_machine_does_not_open_a_replica_to_everyone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_HOST", "127.0.0.1")
    settings = replica_settings({"data_dir": tmp_path}, 1.0, 0.0)
    assert settings.host == EVERYWHERE
    with pytest.raises(ValueError, match="no keys are set: anyone could edit"):
        read_access(settings).describe(settings)


def test_an_argument_that_is_no_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="'reelase' are not settings"):
        check_arguments({"reelase": "streets"})
